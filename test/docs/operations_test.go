package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const operationsPath = "docs/operations.md"

// none is said of what no test plays, and may be followed by why.
const none = "none"

// A test is named by its folder and the functions or scenarios in it, as in
// `test/e2e/races` `TestRaces`, "a leader dies".
var (
	testsOfFolder = regexp.MustCompile("^`(test/[\\w/]+)` ((?:(?:`Test\\w+`|\"[^\"]+\")(?:, )?)+)(?:; |$)")
	testOfFolder  = regexp.MustCompile("`(Test\\w+)`|\"([^\"]+)\"")
)

// namedTests reads a cell that names tests, by folder, or says that there are none.
func namedTests(cell string) (tests map[string][]string, understood bool) {
	if cell == none || strings.HasPrefix(cell, none+": ") {
		return nil, true
	}
	tests = map[string][]string{}
	for cell != "" {
		m := testsOfFolder.FindStringSubmatch(cell)
		if m == nil {
			return tests, false
		}
		for _, name := range testOfFolder.FindAllStringSubmatch(m[2], -1) {
			tests[m[1]] = append(tests[m[1]], name[1]+name[2])
		}
		cell = cell[len(m[0]):]
	}
	return tests, len(tests) > 0
}

func TestNamedTests(t *testing.T) {
	t.Parallel()
	for cell, want := range map[string]map[string][]string{
		"`test/e2e/races` \"a leader dies\"":                 {"test/e2e/races": {"a leader dies"}},
		"`test/e2e/races` `TestRaces`, \"two leaders\"":      {"test/e2e/races": {"TestRaces", "two leaders"}},
		"`test/a` \"one, two: three\"; `test/b/c` `TestTwo`": {"test/a": {"one, two: three"}, "test/b/c": {"TestTwo"}},
		"none":             nil,
		"none: nobody can": nil,
	} {
		got, understood := namedTests(cell)
		assert.True(t, understood, cell)
		assert.Equal(t, want, got, cell)
	}
	for _, cell := range []string{"", "`test/e2e/races`", "`test/e2e/races` and others", "nonesuch", "test/e2e/races \"a leader dies\"", "`internal/pin` `TestDecide`"} {
		_, understood := namedTests(cell)
		assert.False(t, understood, cell)
	}
}

// TestOperationsNamesTestsThatExist finds the tests that a statement is said to be
// played by, so that one that is renamed or removed takes the statement with it.
func TestOperationsNamesTestsThatExist(t *testing.T) {
	t.Parallel()
	const columnTest = 1
	there := map[string]map[string]bool{}
	for statement, row := range rows(t, document(t, operationsPath), "Which test plays it") {
		named, understood := namedTests(row.Cells[columnTest])
		if !understood {
			t.Errorf("%s:%d: %q isn't of the form `test/folder` \"scenario\", `TestFunction`; `test/other` … nor none", operationsPath, row.Line, statement)
		}
		for folder, tests := range named {
			if there[folder] == nil {
				there[folder] = testsIn(t, folder)
			}
			for _, name := range tests {
				if !there[folder][name] {
					t.Errorf("%s:%d: %s has no test %q: correct it, or what it is to prove", operationsPath, row.Line, folder, name)
				}
			}
		}
	}
}

// testsIn are the names of tests in the Go files of a folder: functions, what t.Run is
// given, and what scenarios and rows of tables are called.
func testsIn(t *testing.T, folder string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(folder), "*.go"))
	require.NoError(t, err)
	found := map[string]bool{}
	for _, path := range files {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		ast.Inspect(file, func(node ast.Node) bool {
			var name ast.Expr
			switch n := node.(type) {
			case *ast.FuncDecl:
				if strings.HasPrefix(n.Name.Name, "Test") && strings.HasSuffix(path, "_test.go") {
					found[n.Name.Name] = true
				}
			case *ast.CallExpr:
				if f, is := n.Fun.(*ast.SelectorExpr); is && f.Sel.Name == "Run" && len(n.Args) > 0 {
					name = n.Args[0]
				}
			case *ast.CompositeLit:
				name = nameIn(n)
			}
			if literal, is := name.(*ast.BasicLit); is && literal.Kind == token.STRING {
				text, err := strconv.Unquote(literal.Value)
				require.NoError(t, err)
				found[text] = true
			}
			return true
		})
	}
	return found
}

// nameIn is the name in a scenario, {"name", play}, or in a row, {name: "name", …}.
func nameIn(literal *ast.CompositeLit) ast.Expr {
	for i, element := range literal.Elts {
		if pair, is := element.(*ast.KeyValueExpr); is {
			if key, is := pair.Key.(*ast.Ident); is && key.Name == "name" {
				return pair.Value
			}
			continue
		}
		if _, second := literal.Elts[len(literal.Elts)-1].(*ast.BasicLit); i == 0 && len(literal.Elts) == 2 && !second {
			return element
		}
	}
	return nil
}

var metricInText = regexp.MustCompile(`\bconfigpin_[a-z_]+`)

// TestDocsNameNoOtherMetrics looks at every document, since an alert about a metric
// that doesn't exist never fires.
func TestDocsNameNoOtherMetrics(t *testing.T) {
	t.Parallel()
	known := set(slices.Collect(maps.Keys(rows(t, reference(t), "Metrics")))...)
	for name, row := range rows(t, reference(t), "Metrics") {
		if row.Cells[1] == "histogram" {
			maps.Copy(known, set(name+"_bucket", name+"_sum", name+"_count"))
		}
	}
	for name, places := range named(t, readersDocuments(t), metricInText) {
		assert.True(t, known[name], "%s: there is no metric %s: remove or correct it", places, name)
	}
}
