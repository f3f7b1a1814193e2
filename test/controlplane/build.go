package controlplane

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

// Binaries says where the programs of the control plane are.
type Binaries struct {
	// Dir is the folder of what was built. It also holds the stages that kwok plays.
	Dir string
	// KubernetesVersion is the version that is built, such as v1.37.2. What KUBEBUILDER_ASSETS offers may differ.
	KubernetesVersion string
	// paths has an entry for each tool, by name.
	paths map[string]string
}

// Path returns the path of a program by its name, for example "kube-apiserver".
func (b Binaries) Path(name string) string { return b.paths[name] }

// Stages is the file that tells kwok how nodes and Pods behave.
func (b Binaries) Stages() string { return filepath.Join(b.Dir, stagesName) }

// Folders returns the folders to put on PATH, without duplicates.
func (b Binaries) Folders() []string {
	var folders []string
	for _, t := range tools {
		dir := filepath.Dir(b.paths[t.name])
		if !slices.Contains(folders, dir) {
			folders = append(folders, dir)
		}
	}
	return folders
}

// Build returns the programs of the control plane. What is missing is built from source, once per machine and set of
// versions; an interrupted build goes on where it stopped.
//
// Programs found in the folder that KUBEBUILDER_ASSETS names are used as they are. CONFIGPIN_TOOLS_DIR says where to
// keep what is built; without it that is the user's cache folder.
func Build(ctx context.Context, progress io.Writer) (Binaries, error) {
	r, err := findRecipes()
	if err != nil {
		return Binaries{}, err
	}
	dir, err := r.toolsFolder()
	if err != nil {
		return Binaries{}, err
	}
	b := builder{recipes: r, dir: dir, progress: orDiscard(progress), compile: r.compile, sources: r.sources}
	if err := b.useAssets(os.Getenv("KUBEBUILDER_ASSETS")); err != nil {
		return Binaries{}, err
	}
	return b.build(ctx)
}

// builder fills one tools folder.
type builder struct {
	recipes  recipes
	dir      string
	assets   map[string]string // tools that need no build, by name
	progress io.Writer

	compile func(ctx context.Context, t tool, output string) error
	sources func(ctx context.Context, module, path string) (string, error)
}

// useAssets takes what KUBEBUILDER_ASSETS offers, so that the binaries of setup-envtest work.
func (b *builder) useAssets(dir string) error {
	if dir == "" {
		return nil
	}
	if _, err := os.Stat(dir); err != nil {
		return fmt.Errorf("using KUBEBUILDER_ASSETS: %w; unset it to build from source", err)
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("using KUBEBUILDER_ASSETS: %w", err)
	}
	b.assets = map[string]string{}
	var found []string
	for _, t := range tools {
		if path := filepath.Join(dir, t.name); isProgram(path) {
			b.assets[t.name] = path
			found = append(found, t.name)
		}
	}
	fmt.Fprintf(b.progress, "using from KUBEBUILDER_ASSETS: %s\n", strings.Join(found, ", "))
	return nil
}

func (b *builder) build(ctx context.Context) (Binaries, error) {
	if b.complete() {
		return b.binaries(), nil
	}
	unlock, err := Lock(ctx, filepath.Join(b.dir, "lock"), "another build", b.progress)
	if err != nil {
		return Binaries{}, fmt.Errorf("building the control plane: %w", err)
	}
	defer unlock()
	if b.complete() { // by the build that we waited for
		return b.binaries(), nil
	}
	if err := b.fill(ctx); err != nil {
		return Binaries{}, fmt.Errorf("building the control plane in %s: %w", b.dir, err)
	}
	return b.binaries(), nil
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
	if slices.ContainsFunc(tools, func(t tool) bool { return !isProgram(b.path(t)) }) {
		fmt.Fprintf(b.progress, "building the control plane in %s\n"+
			"A first build takes 6 to 10 minutes on two cores; later starts use what it built.\n", b.dir)
	}
	for i, t := range tools {
		if isProgram(b.path(t)) {
			continue
		}
		if err := b.buildTool(ctx, t, fmt.Sprintf("%d of %d", i+1, len(tools))); err != nil {
			return err
		}
	}
	if err := b.writeStages(ctx); err != nil {
		return err
	}
	return replaceFile(filepath.Join(b.dir, stampName), func(file string) error {
		return os.WriteFile(file, []byte(time.Now().UTC().Format(time.RFC3339)+"\n"), 0o644)
	})
}

func (b *builder) buildTool(ctx context.Context, t tool, position string) error {
	what := t.name + " " + b.recipes.versions[t.requires]
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
func (r recipes) compile(ctx context.Context, t tool, output string) error {
	args := append([]string{"build", "-o", output}, t.flags(r.versions[t.requires])...)
	cmd := r.goCommand(ctx, t.module, append(args, t.pkg)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	cmd.WaitDelay = 10 * time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("go build %s: %w\n%s", t.pkg, err, bytes.TrimSpace(out.Bytes()))
	}
	return nil
}

func (b *builder) complete() bool {
	for _, t := range tools {
		if !isProgram(b.path(t)) {
			return false
		}
	}
	for _, name := range []string{stagesName, stampName} {
		if _, err := os.Stat(filepath.Join(b.dir, name)); err != nil {
			return false
		}
	}
	return true
}

func (b *builder) path(t tool) string {
	if asset := b.assets[t.name]; asset != "" {
		return asset
	}
	return filepath.Join(b.dir, t.name)
}

func (b *builder) binaries() Binaries {
	paths := map[string]string{}
	for _, t := range tools {
		paths[t.name] = b.path(t)
	}
	return Binaries{Dir: b.dir, KubernetesVersion: b.recipes.versions["k8s.io/kubernetes"], paths: paths}
}

// temporary is the end of the names of unfinished files.
const temporary = ".unfinished"

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
