// Package tools builds programs from Go modules of their own, once per machine and set of versions.
//
// A set of programs is a value: what to build, and the directory of the modules whose go.mod and go.sum pin it. Such
// modules keep the dependencies of Kubernetes, Helm or Argo CD out of configpin's own go.mod, and need nothing but a Go
// toolchain and a module proxy.
//
// It is separate from those that declare a set because they have nothing else in common. It deliberately doesn't
// download programs, removes no folder of an earlier set, and knows nothing of what it builds.
package tools

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// Set is programs that are built, kept and used together.
type Set struct {
	// What they are together, as in "building <the control plane>".
	What string
	// Takes is how long a first build takes, as in "6 to 10 minutes on two cores".
	Takes string
	// Dir holds the build modules, below the checkout and with slashes.
	Dir string
	// Tools are built in this order.
	Tools []Tool
	// Files are what the folder of the programs holds besides them.
	Files []File
	// Key is what a person reads in the name of the folder. A hash of everything that is built follows it.
	Key []Part
	// Assets is the environment variable that names a folder with programs to use as they are. Empty: none.
	Assets string
}

// Tool is one program that is built from a Go module of its own.
type Tool struct {
	Name string
	// Module is the directory below the set's whose go.mod pins the versions.
	Module string
	// Requires is the module path that gives the tool its version.
	Requires string
	// Package is what to build. It may be in the build module itself.
	Package string
	// Tags are those of `go build`, separated by commas. Empty: none.
	Tags string
	// Stamp turns the version into the linker's -X settings. Nil: none.
	Stamp func(version string) []string
}

// Part is a version in the name of a folder: etcd-v3.7.3.
type Part struct{ Label, Requires string }

// File is something that a set has and nobody compiles.
type File struct {
	Name string
	// Content makes it, for example of what comes with a module's source code.
	Content func(ctx context.Context, sources Sources) ([]byte, error)
}

// Sources returns the directory of a module's source code in the version that a build module requires.
type Sources func(ctx context.Context, module, path string) (string, error)

// flags are the arguments of `go build`. CGO_ENABLED=0 comes with them (see goCommand).
func (t Tool) flags(version string) []string {
	linker := "-s -w"
	if t.Stamp != nil {
		for _, setting := range t.Stamp(version) {
			linker += " -X " + setting
		}
	}
	flags := []string{"-trimpath", "-buildvcs=false", "-mod=readonly", "-ldflags=" + linker}
	if t.Tags != "" {
		flags = append(flags, "-tags="+t.Tags)
	}
	return flags
}

// recipes is the directory of the build modules with the versions they pin.
type recipes struct {
	dir      string
	versions map[string]string // by Tool.Requires
	key      string
}

// findRecipes reads the build modules of the checkout that the caller works in.
func (s Set) findRecipes() (recipes, error) {
	root, err := Checkout()
	if err != nil {
		return recipes{}, err
	}
	return s.readRecipes(filepath.Join(root, filepath.FromSlash(s.Dir)))
}

func (s Set) readRecipes(dir string) (recipes, error) {
	r := recipes{dir: dir, versions: map[string]string{}}
	sum := sha256.New()
	for _, t := range s.Tools {
		mod, err := os.ReadFile(filepath.Join(dir, t.Module, "go.mod"))
		if err != nil {
			return recipes{}, fmt.Errorf("reading the versions of %s: %w", s.What, err)
		}
		version, err := required(mod, t.Requires)
		if err != nil {
			return recipes{}, fmt.Errorf("reading %s: %w", filepath.Join(dir, t.Module, "go.mod"), err)
		}
		sums, err := os.ReadFile(filepath.Join(dir, t.Module, "go.sum"))
		if err != nil {
			return recipes{}, fmt.Errorf("reading the checksums of %s: %w", s.What, err)
		}
		r.versions[t.Requires] = version
		fmt.Fprintf(sum, "%s %q %q %q\n", t.Name, mod, sums, t.flags(version))
		if err := hashSources(sum, filepath.Join(dir, t.Module)); err != nil {
			return recipes{}, fmt.Errorf("reading the source code of %s: %w", t.Name, err)
		}
	}
	r.key = s.key(r.versions, hex.EncodeToString(sum.Sum(nil))[:10])
	return r, nil
}

// hashSources adds the code that a build module has of its own. Its tests are not built, and don't count.
func hashSources(sum interface{ Write(p []byte) (int, error) }, dir string) error {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return err
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		fmt.Fprintf(sum, "%s %q\n", filepath.Base(file), content)
	}
	return nil
}

// key is the name of the folder: its parts, the platform, and the hash.
func (s Set) key(versions map[string]string, sum string) string {
	var names []string
	for _, part := range s.Key {
		names = append(names, part.Label, versions[part.Requires])
	}
	return strings.Join(append(names, runtime.GOOS, runtime.GOARCH, sum), "-")
}

// required returns the version that a go.mod requires of a module. The go command keeps the file in a form that needs
// no parser: a requirement is a line of path and version, after the word "require" or in its block.
func required(mod []byte, path string) (string, error) {
	for line := range strings.Lines(string(mod)) {
		fields := strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "require "))
		if len(fields) >= 2 && fields[0] == path && strings.HasPrefix(fields[1], "v") {
			return fields[1], nil
		}
	}
	return "", fmt.Errorf("no version of %s", path)
}

// folder is where the built programs are kept, for this set of versions on this platform.
func (r recipes) folder(what string) (string, error) {
	if dir := os.Getenv("CONFIGPIN_TOOLS_DIR"); dir != "" {
		dir, err := filepath.Abs(dir)
		if err != nil {
			return "", fmt.Errorf("resolving CONFIGPIN_TOOLS_DIR: %w", err)
		}
		return filepath.Join(dir, r.key), nil
	}
	cache := os.Getenv("XDG_CACHE_HOME")
	if cache == "" {
		var err error
		if cache, err = os.UserCacheDir(); err != nil {
			return "", fmt.Errorf("finding a folder for %s (CONFIGPIN_TOOLS_DIR names one): %w", what, err)
		}
	}
	return filepath.Join(cache, "configpin", "tools", r.key), nil
}

// goCommand runs the go command in a build module, for this machine, whatever the caller's environment says.
func (r recipes) goCommand(ctx context.Context, module string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = filepath.Join(r.dir, module)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=",
		"GOOS="+runtime.GOOS, "GOARCH="+runtime.GOARCH, "PWD="+cmd.Dir)
	return cmd
}

// Sources returns the directory of a module's source code, and downloads it first when it is not there. The version is
// the one that the build module requires.
func (s Set) Sources(ctx context.Context, module, path string) (string, error) {
	r, err := s.findRecipes()
	if err != nil {
		return "", err
	}
	return r.sources(ctx, module, path)
}

func (r recipes) sources(ctx context.Context, module, path string) (string, error) {
	cmd := r.goCommand(ctx, module, "mod", "download", "-json", path)
	out, err := cmd.Output()
	var answer struct{ Dir, Error string }
	if jsonErr := json.Unmarshal(out, &answer); jsonErr == nil && answer.Error != "" {
		err = errors.New(answer.Error)
	}
	if err != nil {
		return "", fmt.Errorf("finding the source code of %s: %w", path, explain(err))
	}
	if answer.Dir == "" {
		return "", fmt.Errorf("finding the source code of %s: `go mod download` names no directory", path)
	}
	return answer.Dir, nil
}

// explain adds what a command printed to standard error.
func explain(err error) error {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && len(exit.Stderr) > 0 {
		return fmt.Errorf("%w\n%s", err, bytes.TrimSpace(exit.Stderr))
	}
	return err
}

// Checkout returns the root of the configpin source tree around the working directory. `go test` and `go run` work
// within it, and a binary built with -trimpath does not know where it came from.
func Checkout() (string, error) {
	from, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("finding the configpin checkout: %w", err)
	}
	for dir := from; ; dir = filepath.Dir(dir) {
		mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && slices.Contains(strings.Split(string(mod), "\n"), "module github.com/configpin/configpin") {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("finding the configpin checkout: %s is not inside one; run this from a clone", from)
		}
	}
}
