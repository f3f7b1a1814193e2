// Package arch holds the rules about who may import whom, and checks them
// against what `go list` says, through other packages as well. It fails for a
// package that nobody put into the table below. The linter has none of this: it
// sees a file at a time.
package arch

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const module = "github.com/configpin/configpin"

// layer is one row: a package and what it may import of our own.
type layer struct {
	name string // of a package below internal/
	pure bool   // it can't wait, log, or reach anything
	may  []string
}

// layers, from bottom to top. A package imports downwards only, and never a
// sibling. A new package gets a row here.
var layers = []layer{
	{name: "wellknown", pure: true},

	{name: "hashing", pure: true, may: []string{"wellknown"}},
	{name: "refs", pure: true, may: []string{"wellknown"}},
	{name: "workload", pure: true, may: []string{"wellknown"}},

	{name: "snapshot", pure: true, may: []string{"hashing", "wellknown"}},

	{name: "pin", pure: true, may: []string{"refs", "snapshot", "wellknown", "workload"}},
	{name: "retention", pure: true, may: []string{"snapshot", "wellknown"}},

	{name: "news", pure: true, may: []string{"pin", "refs", "snapshot", "wellknown", "workload"}},
	{name: "ownership", pure: true, may: []string{"pin", "refs", "wellknown", "workload"}},

	{name: "inspect", pure: true, may: core},

	{name: "cluster", may: []string{"hashing", "refs", "snapshot", "wellknown", "workload"}},

	{name: "cluster/ask", may: belowEdges},
	{name: "cluster/census", may: belowEdges},
	{name: "cluster/live", may: belowEdges},
	{name: "cluster/watch", may: append([]string{"ownership"}, belowEdges...)},

	{name: "admission", may: append([]string{"cluster/live", "ownership"}, belowEdges...)},
	{name: "versioner", may: append([]string{"cluster/watch"}, belowEdges...)},
	{name: "rollout", may: append([]string{"cluster/watch", "news"}, belowEdges...)},
	{name: "gc", may: append([]string{"cluster/census"}, belowEdges...)},
	{name: "cli", may: append([]string{"cluster/ask", "inspect"}, belowEdges...)},

	{name: "serve"}, // beside them all: what only programs need
}

// core is what decides.
var core = []string{"hashing", "pin", "refs", "retention", "snapshot", "wellknown", "workload"}

// belowEdges is everything below the packages that programs are made of.
var belowEdges = append([]string{"cluster"}, core...)

// outside are the folders beside internal/ that may hold packages, and the
// folders whose packages these may import. What tests stand on is in test/lab; a
// suite is for nobody else to import.
var outside = map[string][]string{
	"cmd":       {"internal", "manifests"},
	"certs":     {"internal"},
	"manifests": {"internal"},
	"test":      {"certs", "cmd", "internal", "manifests", "test/lab"},
}

// apart are packages outside internal/ that must not share the mistakes of what
// they judge, and all that they may reach of our own.
var apart = map[string][]string{"test/lab/oracle": {"internal/wellknown"}}

// unlinked are the packages that a program must not reach: it can't do by mistake what
// isn't in it.
var unlinked = map[string][]string{
	"cmd/kubectl-configpin": {"internal/cluster/census", "internal/cluster/live", "internal/cluster/watch"},
	"cmd/versioner":         {"internal/cluster/ask", "internal/cluster/live"},
	"cmd/webhook":           {"internal/cluster/ask", "internal/cluster/census", "internal/cluster/watch"},
}

// impure packages of the standard library, with those below them.
var impure = []string{"context", "log", "net", "os", "sync"}

// pureModules are the foreign packages that a pure package may import, with
// those below them. Each is a library of types or of text.
var pureModules = []string{"k8s.io/api", "k8s.io/apimachinery", "github.com/tidwall/gjson"}

// pureModulesOf are those that a single pure package may import as well.
var pureModulesOf = map[string][]string{"pin": {"gomodules.xyz/jsonpatch/v2"}} // for its type of an operation

// testOnly packages, with those below them, are for tests and what is below
// test/.
var testOnly = []string{
	"testing", "github.com/stretchr/testify", "pgregory.net/rapid",
	"k8s.io/client-go/kubernetes/fake", "sigs.k8s.io/controller-runtime/pkg/client/fake",
}

// banned packages, with those below them, are for nobody: a test checks the
// state, not the calls, and is a function.
var banned = []string{
	"github.com/stretchr/testify/mock", "github.com/stretchr/testify/suite",
	"github.com/golang/mock", "go.uber.org/mock",
}

// mainLines is how long a main may be: it reads flags, wires, runs and exits.
const mainLines = 100

// pkg is what `go list -json` says of a package, as far as the rules need it,
// the length of its main.go, and the lines of its imports, each with a colon.
type pkg struct {
	Dir, ImportPath, Doc               string
	GoFiles, TestGoFiles, XTestGoFiles []string
	Imports, TestImports, XTestImports []string
	Deps                               []string
	MainLines                          int
	lines                              map[string]string
}

// rel is the path below the module.
func (p pkg) rel() string { return strings.TrimPrefix(p.ImportPath, module+"/") }

// imports says that the package imports path, and where.
func (p pkg) imports(path string) string {
	return p.lines[path] + p.rel() + " imports " + strings.TrimPrefix(path, module+"/")
}

func TestTheModuleKeepsItsRules(t *testing.T) {
	t.Parallel()
	packages := list(t)
	require.NotEmpty(t, packages)
	for _, broken := range check(packages) {
		t.Error(broken)
	}
	for program, others := range unlinked {
		for _, rel := range append(others, program) {
			assert.True(t, slices.ContainsFunc(packages, func(p pkg) bool { return p.rel() == rel }), "there is no %s", rel)
		}
	}
}

// TestOnlyBuildsForTestsAreLinkedWithFaults: nothing that a release is built from knows what
// tests stand on, and of what is built to fail, one file of each program.
func TestOnlyBuildsForTestsAreLinkedWithFaults(t *testing.T) {
	t.Parallel()
	assert.Equal(t, []string{
		"cmd/versioner/faults.go:7: cmd/versioner imports test/lab/faults: cmd may import only internal and manifests",
		"cmd/webhook/faults.go:7: cmd/webhook imports test/lab/faults: cmd may import only internal and manifests",
	}, check(list(t, "-tags=faults")))
}

// TestTheLinterKnowsThePurePackages: who asks for the time is for the linter to see.
func TestTheLinterKnowsThePurePackages(t *testing.T) {
	t.Parallel()
	config, err := os.ReadFile(filepath.Join("..", "..", ".golangci.yml"))
	require.NoError(t, err)
	for _, l := range layers {
		in := regexp.MustCompile(`path-except: \^internal/\(.*\b` + l.name + `\b.*\)/`).Match(config)
		assert.Equal(t, l.pure, in, "%s is pure, or isn't: say so in .golangci.yml", l.name)
	}
}

// list returns the packages of the module, those that don't build as well: why
// they don't is for the compiler to say.
func list(t *testing.T, flags ...string) []pkg {
	t.Helper()
	command := exec.CommandContext(t.Context(), "go", slices.Concat([]string{"list", "-e", "-json"}, flags, []string{"./..."})...)
	command.Dir = filepath.Join("..", "..")
	command.Stderr = t.Output()
	out, err := command.Output()
	require.NoError(t, err)
	var packages []pkg
	for decoder := json.NewDecoder(bytes.NewReader(out)); decoder.More(); {
		var p pkg
		require.NoError(t, decoder.Decode(&p))
		complete(t, &p)
		packages = append(packages, p)
	}
	return packages
}

// complete adds what `go list` leaves out.
func complete(t *testing.T, p *pkg) {
	t.Helper()
	if slices.Contains(p.GoFiles, "main.go") {
		text, err := os.ReadFile(filepath.Join(p.Dir, "main.go"))
		require.NoError(t, err)
		p.MainLines = bytes.Count(text, []byte("\n"))
	}
	p.lines = map[string]string{}
	for n, name := range slices.Concat(p.GoFiles, p.TestGoFiles, p.XTestGoFiles) {
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, filepath.Join(p.Dir, name), nil, parser.ImportsOnly|parser.ParseComments)
		require.NoError(t, err)
		if len(p.GoFiles) == 0 {
			p.Doc += file.Doc.Text()
		}
		for _, i := range file.Imports {
			path := strings.Trim(i.Path.Value, `"`)
			if n < len(p.GoFiles) || !slices.Contains(p.Imports, path) { // a test may import what its package may not
				p.lines[path] += fmt.Sprintf("%s/%s:%d: ", p.rel(), name, files.Position(i.Pos()).Line)
			}
		}
	}
}

// check returns a sentence for each rule that is broken, sorted.
func check(packages []pkg) []string {
	var broken []string
	for _, p := range packages {
		broken = append(broken, checkPlace(p)...)
		broken = append(broken, checkUnlinked(p)...)
		broken = append(broken, checkTests(p)...)
		broken = append(broken, checkForm(p)...)
		if name, internal := strings.CutPrefix(p.rel(), "internal/"); internal {
			if i := slices.IndexFunc(layers, func(l layer) bool { return l.name == name }); i >= 0 {
				broken = append(broken, checkLayer(p, layers[i])...)
				broken = append(broken, checkPure(p, layers[i])...)
			}
		}
	}
	slices.Sort(broken)
	return broken
}

// checkPlace says whether the package is where the tables know it, and, outside
// internal/, imports what its folder may.
func checkPlace(p pkg) []string {
	top, name, _ := strings.Cut(p.rel(), "/")
	if top == "internal" {
		if !slices.ContainsFunc(layers, func(l layer) bool { return l.name == name }) {
			return []string{p.rel() + " is in no layer: give it a row in test/arch"}
		}
		return nil
	}
	may, known := outside[top]
	if !known {
		return []string{p.rel() + " is in no folder that may hold packages: add it to test/arch"}
	}
	imports := p.Imports
	if top == "test" {
		imports = slices.Concat(imports, p.TestImports, p.XTestImports)
	}
	var broken []string
	for _, path := range imports {
		rel, ours := strings.CutPrefix(path, module+"/")
		if ours && path != p.ImportPath && !within(rel, may...) {
			broken = append(broken, fmt.Sprintf("%s: %s may import %s", p.imports(path), top, only(may)))
		}
	}
	return append(broken, checkApart(p)...)
}

// checkApart says whether a package that stands apart reaches what it may.
func checkApart(p pkg) []string {
	may, is := apart[p.rel()]
	if !is {
		return nil
	}
	var broken []string
	for _, path := range slices.Concat(p.Deps, p.TestImports, p.XTestImports) {
		if rel, ours := strings.CutPrefix(path, module+"/"); ours && !slices.Contains(may, rel) {
			broken = append(broken, fmt.Sprintf("%s%s reaches %s: it may reach %s", p.lines[path], p.rel(), rel, only(may)))
		}
	}
	return broken
}

// checkUnlinked says whether a program reaches what it must not.
func checkUnlinked(p pkg) []string {
	var broken []string
	for _, rel := range unlinked[p.rel()] {
		if slices.Contains(p.Deps, module+"/"+rel) {
			broken = append(broken, fmt.Sprintf("%s reaches %s: that is linked into other programs alone", p.rel(), rel))
		}
	}
	return broken
}

// checkLayer says whether the package imports, or reaches through others, what
// its layer may.
func checkLayer(p pkg, l layer) []string {
	may := reachable(l)
	var broken []string
	for _, path := range p.Deps {
		rel, ours := strings.CutPrefix(path, module+"/")
		if !ours {
			continue
		}
		name := strings.TrimPrefix(rel, "internal/")
		switch {
		case slices.Contains(l.may, name):
		case slices.Contains(p.Imports, path):
			broken = append(broken, fmt.Sprintf("%s: %s may import %s", p.imports(path), l.name, only(l.may)))
		case !slices.Contains(may, name):
			broken = append(broken, fmt.Sprintf("%s reaches %s through what it imports: %s may reach %s", p.rel(), rel, l.name, only(may)))
		}
	}
	return broken
}

// reachable is what a layer may import, and what that may import, and so on.
func reachable(l layer) []string {
	found := slices.Clone(l.may)
	for _, below := range layers {
		if slices.Contains(l.may, below.name) {
			found = append(found, reachable(below)...)
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// checkPure says whether a package that shall be pure imports something that
// is not. Only its own imports count: encoding/json reaches os, too.
func checkPure(p pkg, l layer) []string {
	if !l.pure {
		return nil
	}
	var broken []string
	for _, path := range p.Imports {
		switch {
		case within(path, module):
		case within(path, impure...):
			broken = append(broken, fmt.Sprintf("%s: %s is pure, and may import none of %s", p.imports(path), l.name, sentence(impure)))
		case standard(path), within(path, pureModules...), within(path, pureModulesOf[l.name]...):
		default:
			broken = append(broken, fmt.Sprintf("%s: %s is pure, and may import only the standard library, %s",
				p.imports(path), l.name, sentence(slices.Concat(pureModules, pureModulesOf[l.name]))))
		}
	}
	return broken
}

// checkTests says whether what is for tests stays in tests, and what is for
// nobody stays away.
func checkTests(p pkg) []string {
	var broken []string
	for _, path := range p.Imports {
		if !within(p.rel(), "test") && within(path, testOnly...) {
			broken = append(broken, p.imports(path)+": only tests may")
		}
	}
	for _, path := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
		if within(path, banned...) {
			broken = append(broken, p.imports(path)+": write the fake by hand, and the test as a function")
		}
	}
	return broken
}

// checkForm says whether the package explains itself, and its main is short.
func checkForm(p pkg) []string {
	var broken []string
	if p.Doc == "" {
		broken = append(broken, p.rel()+" has no package comment: say what it is and what it does not do")
	}
	if within(p.rel(), "cmd") && p.MainLines > mainLines {
		broken = append(broken, fmt.Sprintf("%s/main.go has %d lines: %d are enough to read flags, wire, run and exit", p.rel(), p.MainLines, mainLines))
	}
	return broken
}

// within says whether path is one of the trees, or below it.
func within(path string, trees ...string) bool {
	return slices.ContainsFunc(trees, func(tree string) bool {
		return path == tree || strings.HasPrefix(path, tree+"/")
	})
}

// standard says whether path is of the standard library: the first element of
// every other path is a host, and has a dot.
func standard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".")
}

// only is what comes after "may import".
func only(names []string) string {
	if len(names) == 0 {
		return "nothing of ours"
	}
	return "only " + sentence(names)
}

func sentence(names []string) string {
	last := len(names) - 1
	if last == 0 {
		return names[0]
	}
	return strings.Join(names[:last], ", ") + " and " + names[last]
}
