package main

import (
	"bytes"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// found returns the mutants of a file, and the file with all of them.
func found(t *testing.T, source string) (descriptions []string, woven string) {
	t.Helper()
	fset := token.NewFileSet()
	syntax, err := parser.ParseFile(fset, "a.go", source, parser.ParseComments)
	require.NoError(t, err)
	info := &types.Info{Types: map[ast.Expr]types.TypeAndValue{}, Uses: map[*ast.Ident]types.Object{}}
	check := types.Config{Importer: importer.Default()}
	_, err = check.Check("a", fset, []*ast.File{syntax}, info)
	require.NoError(t, err)
	f := &finder{fset: fset, info: info, changes: map[string]int{}}
	woven = string(f.file("a.go", []byte(source), syntax))
	for _, m := range f.mutants {
		descriptions = append(descriptions, m.String())
	}
	return descriptions, woven
}

func TestWhatIsChanged(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		body string
		want []string
	}{
		"a condition": {
			"func f(a, b string) int { if a == b { return 1 }; return 2 }",
			[]string{"f: `a == b` becomes true", "f: `a == b` becomes false"},
		},
		"operands, each once, however they are nested": {
			"func f(a, b, c bool) bool { return a && b && !c }",
			[]string{
				"f: `a && b && !c` becomes true", "f: `a && b && !c` becomes false",
				"f: `a` becomes true", "f: `b` becomes true", "f: `!c` becomes true",
			},
		},
		"operands of both kinds": {
			"func f(a, b, c bool) bool { return a && (b || c) }",
			[]string{
				"f: `a && (b || c)` becomes true", "f: `a && (b || c)` becomes false",
				"f: `a` becomes true", "f: `(b || c)` becomes true", "f: `b` becomes false", "f: `c` becomes false",
			},
		},
		"a bound, of a loop that must end": {
			"func f(n int) { for i := 0; i < n; i++ { println(i) } }",
			[]string{"f: `i < n` becomes false", "f: `i < n` becomes `i <= n`", "f: `println(i)` is left out"},
		},
		"results that are constants": {
			"func f() (bool, bool) { return true, false }",
			[]string{"f: `return true` becomes `return false`", "f: `return false` becomes `return true`"},
		},
		"what is known before the program runs": {
			"const a = 1 == 2; func f() bool { const b = a; return b }",
			nil,
		},
		"cases, and their order": {
			"func f(a, b bool) int { switch { case a: return 1; case b: return 2; default: return 3 } }",
			[]string{
				"f: case `a` comes after the next one", "f: `a` becomes true", "f: `a` becomes false",
				"f: `b` becomes true", "f: `b` becomes false",
			},
		},
		"rows of a table, and no other lists": {
			"type r struct{ a string }; var rules = []r{{\"1\"}, {\"2\"}, {\"3\"}}; var words = []string{\"a\", \"b\"}",
			[]string{"rules: row `{\"1\"}` comes after the next one", "rules: row `{\"2\"}` comes after the next one"},
		},
		"functions in a list": {
			"func a() {}; func b() {}; var rules = []func(){a, b}; var c = func() {}; var others = []func(){c, c}",
			[]string{"rules: row `a` comes after the next one"},
		},
		"fields that are no constants": {
			"type r struct{ a, b string; c any }; func f(a string) r { return r{a: a, b: \"b\", c: a} }",
			[]string{"f: `a: a` is left out"},
		},
		"the same change twice in a method": {
			"type r struct{ a bool }; func (s *r) f() int { if s.a { return 1 }; if s.a { return 2 }; return 3 }",
			[]string{
				"r.f: `s.a` becomes true", "r.f: `s.a` becomes false",
				"r.f: `s.a` becomes true (2)", "r.f: `s.a` becomes false (2)",
			},
		},
		"what the compiler counts on": {
			"func f(a bool) int { if a { return 1 }; panic(\"a\") }",
			[]string{"f: `a` becomes true", "f: `a` becomes false"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, _ := found(t, "package a\n"+test.body)
			var want []string
			for _, w := range test.want {
				want = append(want, "a.go: "+w)
			}
			assert.Equal(t, want, got)
		})
	}
}

func TestWeavingNests(t *testing.T) {
	t.Parallel()
	_, woven := found(t, "package a\nfunc f(a, b bool) bool { return a && b }\n")
	assert.Equal(t, "package a\nfunc f(a, b bool) bool { return "+
		"(mutationOn(1) || !mutationOn(2) && ((mutationOn(3) || (a)) && (mutationOn(4) || (b))))"+" }\n", woven)
}

func TestDescriptionsStayWhileLinesMove(t *testing.T) {
	t.Parallel()
	body := "func f(a bool) int { if a { return 1 }; return 2 }"
	before, _ := found(t, "package a\n"+body)
	after, _ := found(t, "package a\n\n\n"+body)
	assert.Equal(t, before, after)
	m := mutant{file: "a.go", line: 7, in: "f", change: "`a` becomes true"}
	assert.Equal(t, "a.go:7: f: `a` becomes true", m.located())
}

func TestSampleIsSpreadEvenly(t *testing.T) {
	t.Parallel()
	subjects := []*subject{{mutants: make([]mutant, 10)}, {mutants: make([]mutant, 30)}}
	choose(subjects, options{sample: 8})
	assert.Len(t, subjects[0].chosen, 2)
	assert.Len(t, subjects[1].chosen, 6)
}

func TestKnown(t *testing.T) {
	t.Parallel()
	list, err := parseKnown(strings.NewReader("# what this is\n\na.go: f: x\n\tbecause\n\tof that\n\nb.go: g: y\n\tlikewise\n"))
	require.NoError(t, err)
	assert.Equal(t, []string{"a.go: f: x", "b.go: g: y"}, list.order)
	assert.True(t, list.has(mutant{file: "a.go", line: 3, in: "f", change: "x"}))
	for text, want := range map[string]string{
		"\tbecause\n":               `a reason stands below nothing: "because"`,
		"a.go: f: x\n":              `"a.go: f: x" has no reason`,
		"a: b: c\n\td\na: b: c\n":   `"a: b: c" is listed twice`,
		"a: b: c\nd: e: f\n\tgh\n":  `"a: b: c" has no reason`,
		"\n#only words\n\t spaces ": `a reason stands below nothing: "spaces"`,
	} {
		_, err := parseKnown(strings.NewReader(text))
		assert.EqualError(t, err, want)
	}
}

// TestTheList: whether its rows are true takes minutes to see; that each has a reason
// doesn't.
func TestTheList(t *testing.T) {
	t.Parallel()
	root, err := moduleRoot(t.Context())
	require.NoError(t, err)
	_, err = readKnown(root, "test/mutation/equivalent.txt")
	require.NoError(t, err)
}

// TestOneModule: the whole way, about a module that is made for it.
func TestOneModule(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module example.com/m\n\ngo 1.26\n",
		"m.go": `package m

// Sign is -1, 0 or 1.
func Sign(n int) int {
	switch {
	case n < 0:
		return -1
	case n > 0:
		return 1
	}
	return 0
}

// Untested is that.
func Untested(b bool) bool { return b }
`,
		"m_test.go": `package m

import "testing"

func TestSign(t *testing.T) {
	if Sign(-2) != -1 || Sign(2) != 1 {
		t.Fatal("wrong")
	}
}
`,
		"known.txt": `m.go: Sign: ` + "case `n < 0`" + ` comes after the next one
	No number is both.
m.go: Sign: ` + "`n < 0` becomes false" + `
	This is a lie.
m.go: Sign: ` + "`n < 0` becomes `n < 1`" + `
	There is no such change.
`,
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	t.Chdir(dir)
	var out, progress bytes.Buffer
	assert.Equal(t, exitFailed, execute([]string{"--known", "known.txt", "--tests", "./...", "."}, &out, &progress), progress.String())
	assert.Equal(t, "m.go:6: Sign: `n < 0` becomes `n <= 0`\n"+
		"m.go:8: Sign: `n > 0` becomes true\n"+
		"m.go:8: Sign: `n > 0` becomes `n >= 0`\n"+
		"m.go:15: Untested: `b` becomes true (no test comes by)\n"+
		"m.go:15: Untested: `b` becomes false (no test comes by)\n"+
		"9 changes: tests notice 3, 6 survive, 1 of these are listed as equivalent\n"+
		"listed, but noticed: m.go:6: Sign: `n < 0` becomes false\n"+
		"listed, but not there any more: m.go: Sign: `n < 0` becomes `n < 1`\n", out.String())
	assert.Regexp(t, `^\.: 9 changes; 1 packages of tests, built and run once in \d+s\n`, progress.String())

	out.Reset()
	assert.Zero(t, execute([]string{"--known", "known.txt", "--tests", "./...", "--match", "after the next", "."}, &out, &progress))
	assert.Equal(t, "1 changes: tests notice 0, 1 survive, 1 of these are listed as equivalent\n", out.String())
}

func TestArguments(t *testing.T) {
	t.Parallel()
	var out, complaints bytes.Buffer
	assert.Zero(t, execute([]string{"--help"}, &out, &complaints))
	assert.Contains(t, out.String(), "go run ./test/mutation [flags] [packages]")
	assert.Equal(t, exitUsage, execute([]string{"--sample", "-1"}, &out, &complaints))
	assert.Equal(t, "mutation: --sample is negative; see --help\n", complaints.String())
}
