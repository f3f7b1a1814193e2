package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/tools/go/packages"
)

// subject is a package that is changed.
type subject struct {
	name    string // below the module
	path    string // to import it by
	mutants []mutant
	chosen  []mutant // those that are tried

	overlay map[string][]byte // what the compiler is to read, by file
}

// load reads packages, and finds their mutants.
func load(ctx context.Context, root string, patterns []string) ([]*subject, error) {
	loaded, err := packages.Load(&packages.Config{
		Context: ctx,
		Dir:     root,
		Mode: packages.NeedName | packages.NeedFiles | packages.NeedCompiledGoFiles | packages.NeedImports |
			packages.NeedSyntax | packages.NeedTypes | packages.NeedTypesInfo | packages.NeedExportFile,
	}, patterns...)
	if err != nil {
		return nil, fmt.Errorf("loading packages: %w", err)
	}
	var subjects []*subject
	for _, p := range loaded {
		if len(p.Errors) > 0 {
			return nil, fmt.Errorf("loading %s: %w", p.PkgPath, p.Errors[0])
		}
		s, err := newSubject(root, p)
		if err != nil {
			return nil, err
		}
		subjects = append(subjects, s)
	}
	if len(subjects) == 0 {
		return nil, fmt.Errorf("loading packages: there are none of %s", strings.Join(patterns, " "))
	}
	return subjects, nil
}

func newSubject(root string, p *packages.Package) (*subject, error) {
	f := &finder{fset: p.Fset, info: p.TypesInfo, changes: map[string]int{}}
	s := &subject{path: p.PkgPath, overlay: map[string][]byte{}}
	for _, syntax := range p.Syntax {
		path := p.Fset.Position(syntax.Package).Filename
		source, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("reading a file of %s: %w", p.PkgPath, err)
		}
		s.overlay[path] = f.file(relative(root, path), source, syntax)
		s.name = relative(root, filepath.Dir(path))
	}
	s.mutants = f.mutants
	s.overlay[filepath.Join(root, s.name, "mutation_switchboard.go")] = fmt.Appendf(nil, switchboard,
		p.Name, chosenVariable, logVariable, len(s.mutants)+1)
	return s, nil
}

// suite are the tests of a package.
type suite struct {
	path string
	dir  string
	deps []string
}

// rapid is the library of property tests. Its seed is fixed, or the list of what
// survives would be another one each time; and a property that fails is neither
// made smaller nor written down.
const rapid = "pgregory.net/rapid"

// flags of the suite's program.
func (s suite) flags() []string {
	flags := []string{"-test.failfast"}
	if slices.Contains(s.deps, rapid) {
		flags = append(flags, "-rapid.seed=1", "-rapid.nofailfile", "-rapid.shrinktime=1ms")
	}
	return flags
}

// suitesOf returns the tests of packages, with all that they depend on.
func suitesOf(ctx context.Context, root, patterns string) ([]suite, error) {
	args := []string{"list", "-test", "-f", `{{.ImportPath}}	{{.Dir}}	{{range .Deps}}{{.}};{{end}}`}
	out, err := goCommand(ctx, root, append(args, strings.Split(patterns, ",")...)...)
	if err != nil {
		return nil, err
	}
	var suites []suite
	for line := range strings.Lines(out) {
		fields := strings.Split(strings.TrimSpace(line), "\t")
		path, isTest := strings.CutSuffix(fields[0], ".test")
		if !isTest || len(fields) != 3 {
			continue
		}
		s := suite{path: path, dir: fields[1]}
		for dependency := range strings.SplitSeq(fields[2], ";") {
			name, _, _ := strings.Cut(dependency, " ") // without "[of this test]"
			s.deps = append(s.deps, name)
		}
		suites = append(suites, s)
	}
	return suites, nil
}

// concerned are the suites that depend on a package, its own first.
func concerned(suites []suite, path string) []suite {
	var own, others []suite
	for _, s := range suites {
		switch {
		case s.path == path:
			own = append(own, s)
		case slices.Contains(s.deps, path):
			others = append(others, s)
		}
	}
	return append(own, others...)
}

func moduleRoot(ctx context.Context) (string, error) {
	out, err := goCommand(ctx, "", "env", "GOMOD")
	if err != nil {
		return "", err
	}
	file := strings.TrimSpace(out)
	if filepath.Base(file) != "go.mod" {
		return "", errors.New("finding the module: this isn't in one")
	}
	return filepath.Dir(file), nil
}

func goCommand(ctx context.Context, dir string, args ...string) (string, error) {
	command := exec.CommandContext(ctx, "go", args...)
	command.Dir = dir
	var out, complaints bytes.Buffer
	command.Stdout, command.Stderr = &out, &complaints
	if err := command.Run(); err != nil {
		return "", fmt.Errorf("running go %s: %w\n%s", args[0], err, complaints.Bytes())
	}
	return out.String(), nil
}
