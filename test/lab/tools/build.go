package tools

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// heartbeat is how often a build says that it is alive. kube-apiserver alone compiles for minutes.
const heartbeat = 15 * time.Second

// stampName is the file that says that a tools folder is complete. It is written last.
const stampName = "complete"

// Programs says where the programs of a set are.
type Programs struct {
	// Dir is the folder of what was built, with the set's files.
	Dir string
	// paths has a pair for each tool, in the set's order.
	paths    []program
	versions map[string]string
}

type program struct{ name, path string }

// Path returns the path of a program by its name, for example "kube-apiserver".
func (p Programs) Path(name string) string {
	for _, each := range p.paths {
		if each.name == name {
			return each.path
		}
	}
	return ""
}

// Version returns the version of a module that a tool requires, for example of "k8s.io/kubernetes". What the assets
// offer may differ.
func (p Programs) Version(requires string) string { return p.versions[requires] }

// Folders returns the folders to put on PATH, without duplicates.
func (p Programs) Folders() []string {
	var folders []string
	for _, each := range p.paths {
		if dir := filepath.Dir(each.path); !slices.Contains(folders, dir) {
			folders = append(folders, dir)
		}
	}
	return folders
}

// Build returns the programs of the set. What is missing is built from source, once per machine and set of versions; an
// interrupted build goes on where it stopped.
//
// Programs found in the folder that the set's variable for assets names are used as they are. CONFIGPIN_TOOLS_DIR says
// where to keep what is built; without it that is the user's cache folder.
func (s Set) Build(ctx context.Context, progress io.Writer) (Programs, error) {
	r, err := s.findRecipes()
	if err != nil {
		return Programs{}, err
	}
	dir, err := r.folder(s.What)
	if err != nil {
		return Programs{}, err
	}
	b := builder{set: s, recipes: r, dir: dir, progress: orDiscard(progress), compile: r.compile, sources: r.sources}
	if s.Assets != "" {
		if err := b.useAssets(os.Getenv(s.Assets)); err != nil {
			return Programs{}, err
		}
	}
	return b.build(ctx)
}

// builder fills one tools folder.
type builder struct {
	set      Set
	recipes  recipes
	dir      string
	assets   map[string]string // tools that need no build, by name
	progress io.Writer

	compile func(ctx context.Context, t Tool, output string) error
	sources Sources
}

// useAssets takes what another folder offers, so that for example the binaries of setup-envtest work.
func (b *builder) useAssets(dir string) error {
	if dir == "" {
		return nil
	}
	if _, err := os.Stat(dir); err != nil {
		return fmt.Errorf("using %s: %w; unset it to build from source", b.set.Assets, err)
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("using %s: %w", b.set.Assets, err)
	}
	b.assets = map[string]string{}
	var found []string
	for _, t := range b.set.Tools {
		if path := filepath.Join(dir, t.Name); isProgram(path) {
			b.assets[t.Name] = path
			found = append(found, t.Name)
		}
	}
	fmt.Fprintf(b.progress, "using from %s: %s\n", b.set.Assets, strings.Join(found, ", "))
	return nil
}

func (b *builder) build(ctx context.Context) (Programs, error) {
	if b.complete() {
		return b.programs(), nil
	}
	unlock, err := Lock(ctx, filepath.Join(b.dir, "lock"), "another build", b.progress)
	if err != nil {
		return Programs{}, fmt.Errorf("building %s: %w", b.set.What, err)
	}
	defer unlock()
	if b.complete() { // by the build that we waited for
		return b.programs(), nil
	}
	if err := b.fill(ctx); err != nil {
		return Programs{}, fmt.Errorf("building %s in %s: %w", b.set.What, b.dir, err)
	}
	return b.programs(), nil
}

// fill builds what the folder lacks. The caller holds the lock, so a temporary file is a leftover.
func (b *builder) fill(ctx context.Context) error {
	leftovers, err := filepath.Glob(filepath.Join(b.dir, "*"+temporary))
	if err != nil {
		return err
	}
	for _, file := range leftovers {
		if err := os.Remove(file); err != nil {
			return err
		}
	}
	if slices.ContainsFunc(b.set.Tools, func(t Tool) bool { return !isProgram(b.path(t)) }) {
		fmt.Fprintf(b.progress, "building %s in %s\n"+
			"A first build takes %s; later starts use what it built.\n", b.set.What, b.dir, b.set.Takes)
	}
	for i, t := range b.set.Tools {
		if isProgram(b.path(t)) {
			continue
		}
		if err := b.buildTool(ctx, t, fmt.Sprintf("%d of %d", i+1, len(b.set.Tools))); err != nil {
			return err
		}
	}
	for _, f := range b.set.Files {
		content, err := f.Content(ctx, b.sources)
		if err != nil {
			return fmt.Errorf("making %s: %w", f.Name, err)
		}
		if err := WriteFile(filepath.Join(b.dir, f.Name), content, 0o644); err != nil {
			return err
		}
	}
	return WriteFile(filepath.Join(b.dir, stampName), []byte(time.Now().UTC().Format(time.RFC3339)+"\n"), 0o644)
}

func (b *builder) buildTool(ctx context.Context, t Tool, position string) error {
	what := t.Name + " " + b.recipes.versions[t.Requires]
	fmt.Fprintf(b.progress, "building %s (%s) ...\n", what, position)
	began := time.Now()
	stop := every(heartbeat, func() {
		fmt.Fprintf(b.progress, "still building %s, %s so far\n", what, time.Since(began).Round(time.Second))
	})
	err := replaceFile(b.path(t), func(file string) error { return b.compile(ctx, t, file) })
	stop()
	if err != nil {
		return fmt.Errorf("building %s: %w", what, err)
	}
	fmt.Fprintf(b.progress, "built %s in %s\n", what, time.Since(began).Round(time.Second))
	return nil
}

// compile runs `go build`. When the context ends, the go command gets the chance to clean up.
func (r recipes) compile(ctx context.Context, t Tool, output string) error {
	args := append([]string{"build", "-o", output}, t.flags(r.versions[t.Requires])...)
	cmd := r.goCommand(ctx, t.Module, append(args, t.Package)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	cmd.WaitDelay = 10 * time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("go build %s: %w\n%s", t.Package, err, bytes.TrimSpace(out.Bytes()))
	}
	return nil
}

func (b *builder) complete() bool {
	for _, t := range b.set.Tools {
		if !isProgram(b.path(t)) {
			return false
		}
	}
	for _, f := range b.set.Files {
		if !exists(filepath.Join(b.dir, f.Name)) {
			return false
		}
	}
	return exists(filepath.Join(b.dir, stampName))
}

func (b *builder) path(t Tool) string {
	if asset := b.assets[t.Name]; asset != "" {
		return asset
	}
	return filepath.Join(b.dir, t.Name)
}

func (b *builder) programs() Programs {
	p := Programs{Dir: b.dir, versions: b.recipes.versions}
	for _, t := range b.set.Tools {
		p.paths = append(p.paths, program{name: t.Name, path: b.path(t)})
	}
	return p
}

// temporary is the end of the names of unfinished files.
const temporary = ".unfinished"

// WriteFile is os.WriteFile, but who reads the file finds all of its content, or what it held before.
func WriteFile(path string, content []byte, mode os.FileMode) error {
	return replaceFile(path, func(file string) error { return os.WriteFile(file, content, mode) })
}

// replaceFile lets write make a file under a temporary name, and gives it its own name only when it is whole.
func replaceFile(path string, write func(file string) error) error {
	file := path + temporary
	if err := write(file); err != nil {
		return errors.Join(err, ignoreMissing(os.Remove(file)))
	}
	return os.Rename(file, path)
}

func ignoreMissing(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func isProgram(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// every calls f at intervals until the returned function is called; that waits for a call under way.
func every(interval time.Duration, f func()) (stop func()) {
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				f()
			case <-quit:
				return
			}
		}
	}()
	return func() { close(quit); <-done }
}

func orDiscard(w io.Writer) io.Writer {
	if w == nil {
		return io.Discard
	}
	return w
}
