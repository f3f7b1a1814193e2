package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// root is the checkout.
var root = filepath.Join("..", "..")

// parseFolder parses the Go files of a folder and those below it, without tests.
func parseFolder(t *testing.T, folder string) map[string]*ast.File {
	t.Helper()
	files := map[string]*ast.File{}
	err := filepath.WalkDir(filepath.Join(root, folder), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		files[strings.TrimPrefix(path, root+"/")] = file
		return err
	})
	require.NoError(t, err)
	return files
}

// constant is a constant of type string or int.
type constant struct {
	name, typ, value string
	file             string
	block            string // the comment above its block
}

// constants returns the constants of files whose value can be told from them.
func constants(files map[string]*ast.File) []constant {
	var found []constant
	values := map[string]string{}
	for range 2 { // a constant may be made of one that comes later
		found = nil
		for path, file := range files {
			for _, declaration := range file.Decls {
				if d, ok := declaration.(*ast.GenDecl); ok && d.Tok == token.CONST {
					for _, spec := range d.Specs {
						found = append(found, constantsOf(path, d.Doc.Text(), spec.(*ast.ValueSpec), values)...)
					}
				}
			}
		}
	}
	slices.SortFunc(found, func(a, b constant) int { return strings.Compare(a.name, b.name) })
	return found
}

func constantsOf(path, block string, spec *ast.ValueSpec, values map[string]string) []constant {
	var found []constant
	typ, _ := spec.Type.(*ast.Ident)
	for i, name := range spec.Names {
		if i >= len(spec.Values) {
			continue
		}
		value, known := evaluate(spec.Values[i], values)
		if !known {
			continue
		}
		values[name.Name] = value
		c := constant{name: name.Name, value: value, file: path, block: block}
		if typ != nil {
			c.typ = typ.Name
		}
		found = append(found, c)
	}
	return found
}

// evaluate tells the value of a literal, of a constant in values, or of a sum of
// such.
func evaluate(expression ast.Expr, values map[string]string) (value string, known bool) {
	switch e := expression.(type) {
	case *ast.BasicLit:
		if text, err := strconv.Unquote(e.Value); err == nil && e.Kind == token.STRING {
			return text, true
		}
		return e.Value, e.Kind == token.INT
	case *ast.Ident:
		value, known = values[e.Name]
		return value, known
	case *ast.SelectorExpr:
		if nameOf(e.X) == "wellknown" { // and not a field that is called like a constant
			return evaluate(e.Sel, values)
		}
	case *ast.BinaryExpr:
		x, xKnown := evaluate(e.X, values)
		y, yKnown := evaluate(e.Y, values)
		return x + y, xKnown && yKnown && e.Op == token.ADD
	}
	return "", false
}

// valuesOf maps the names of constants to their values.
func valuesOf(all []constant) map[string]string {
	values := map[string]string{}
	for _, c := range all {
		values[c.name] = c.value
	}
	return values
}

// eachCall visits the calls in a file that are of a function or method with
// this name, or in it.
func eachCall(within ast.Node, name string, visit func(call *ast.CallExpr)) {
	ast.Inspect(within, func(node ast.Node) bool {
		if call, ok := node.(*ast.CallExpr); ok && nameOf(call.Fun) == name {
			visit(call)
		}
		return true
	})
}

func nameOf(expression ast.Expr) string {
	switch e := expression.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	}
	return ""
}

// function returns a function or method of a file, or nil.
func function(file *ast.File, name string) *ast.FuncDecl {
	for _, declaration := range file.Decls {
		if f, ok := declaration.(*ast.FuncDecl); ok && f.Name.Name == name {
			return f
		}
	}
	return nil
}

var verb = regexp.MustCompile(`%[sdvq]`)

// sentence is what a format says, with <> for what isn't known before it runs.
func sentence(format string, args []ast.Expr, values map[string]string) string {
	next := 0
	return verb.ReplaceAllStringFunc(format, func(verb string) string {
		text := "<>"
		if next < len(args) {
			if value, known := evaluate(args[next], values); known {
				text = value
			}
		}
		next++
		if verb == "%q" {
			return `"` + text + `"`
		}
		return text
	})
}

var placeholder = regexp.MustCompile(`<[a-z ]+>`)

// unnamed is a sentence of a document with <> for its placeholders.
func unnamed(sentence string) string { return placeholder.ReplaceAllString(sentence, "<>") }
