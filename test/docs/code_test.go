// Package docs compares what the documentation says with what is so: with the code,
// with files, with what is installed, and with what commands print.
package docs

import (
	"go/ast"
	"go/constant"
	"go/types"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/tools/go/packages"
	"golang.org/x/tools/go/types/typeutil"
)

// root is the checkout.
var root = filepath.Join("..", "..")

// load reads what our programs are made of, without tests, once.
var load = sync.OnceValues(func() ([]*packages.Package, error) {
	return packages.Load(&packages.Config{Mode: packages.LoadSyntax, Dir: root}, "./cmd/...", "./internal/...")
})

// packagesIn are those of a folder and of those below it, in the order of their paths.
func packagesIn(t *testing.T, folder string) []*packages.Package {
	t.Helper()
	all, err := load()
	require.NoError(t, err)
	var found []*packages.Package
	for _, p := range all {
		if strings.Contains(p.PkgPath+"/", "/configpin/"+folder+"/") {
			require.Empty(t, p.Errors)
			found = append(found, p)
		}
	}
	require.NotEmpty(t, found, "there is nothing in %s", folder)
	slices.SortFunc(found, func(a, b *packages.Package) int { return strings.Compare(a.PkgPath, b.PkgPath) })
	return found
}

// declared is a constant where it is declared.
type declared struct {
	name, value string
	doc, block  string // the comment on it, and the one above its block
}

// constants are those whose names begin with prefix, in the order of the code.
func constants(t *testing.T, folder, prefix string) []declared {
	t.Helper()
	var found []declared
	block := ""
	for _, p := range packagesIn(t, folder) {
		inspect(p, func(_ string, node ast.Node) {
			switch n := node.(type) {
			case *ast.GenDecl:
				block = n.Doc.Text()
			case *ast.ValueSpec:
				for _, name := range n.Names {
					if c, is := p.TypesInfo.Defs[name].(*types.Const); is && strings.HasPrefix(name.Name, prefix) {
						found = append(found, declared{name.Name, text(c.Val(), c.Type()), n.Doc.Text() + n.Comment.Text(), block})
					}
				}
			}
		})
	}
	require.NotEmpty(t, found, "%s has no constant that begins with %q", folder, prefix)
	return found
}

// inspect visits everything in a package, and says in which function it is, if in one.
func inspect(p *packages.Package, visit func(in string, node ast.Node)) {
	for _, file := range p.Syntax {
		for _, declaration := range file.Decls {
			in := ""
			if function, is := declaration.(*ast.FuncDecl); is {
				in = function.Name.Name
			}
			ast.Inspect(declaration, func(node ast.Node) bool { visit(in, node); return true })
		}
	}
}

// text is a value as people write it.
func text(value constant.Value, of types.Type) string {
	if value.Kind() == constant.String {
		return constant.StringVal(value)
	}
	if of.String() == "time.Duration" {
		n, _ := constant.Int64Val(value)
		return time.Duration(n).String()
	}
	return value.String()
}

// call is a call of a function or method.
type call struct {
	*ast.CallExpr
	of types.Object // what is called
	in string       // the function that it is in
	p  *packages.Package
}

// calls are those in a folder of functions whose names match, in the order of the code.
func calls(t *testing.T, folder, name string) []call {
	t.Helper()
	var found []call
	pattern := regexp.MustCompile("^(?:" + name + ")$")
	for _, p := range packagesIn(t, folder) {
		inspect(p, func(in string, node ast.Node) {
			if expression, is := node.(*ast.CallExpr); is {
				if of := typeutil.Callee(p.TypesInfo, expression); of != nil && pattern.MatchString(of.Name()) {
					found = append(found, call{expression, of, in, p})
				}
			}
		})
	}
	return found
}

// value tells what an expression is, if it is always the same.
func (c call) value(expression ast.Expr) (value string, constant bool) {
	v := c.p.TypesInfo.Types[expression]
	if v.Value == nil {
		return "", false
	}
	return text(v.Value, v.Type), true
}

// comment is what stands above the line of the call.
func (c call) comment() string {
	at := c.p.Fset.Position(c.Pos())
	for _, file := range c.p.Syntax {
		for _, group := range file.Comments {
			if end := c.p.Fset.Position(group.End()); end.Filename == at.Filename && end.Line == at.Line-1 {
				return group.Text()
			}
		}
	}
	return ""
}

var verb = regexp.MustCompile(`%[sdvq]`)

// sentence is what a format, an argument of the call, says with those behind it: <> for
// what isn't known before it runs. It isn't known if the format isn't.
func (c call) sentence(format int) (said string, known bool) {
	said, known = c.value(c.Args[format])
	next := format
	return verb.ReplaceAllStringFunc(said, func(verb string) string {
		text := "<>"
		if next++; next < len(c.Args) {
			if value, known := c.value(c.Args[next]); known {
				text = value
			}
		}
		if verb == "%q" {
			return `"` + text + `"`
		}
		return text
	}), known
}

var placeholder = regexp.MustCompile(`<[a-z ]+>`)

// unnamed is a sentence of a document with <> for its placeholders.
func unnamed(sentence string) string { return placeholder.ReplaceAllString(sentence, "<>") }
