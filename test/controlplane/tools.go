package controlplane

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

// tool is one program that is built from a Go module of its own.
type tool struct {
	name string
	// module is the directory below build/ whose go.mod pins the versions.
	module string
	// requires is the module path that gives the tool its version.
	requires string
	pkg      string
	// stamp turns the version into the linker's -X settings. Without them, the Kubernetes programs say that they are
	// v0.0.0-master, kubectl refuses to compare versions, and charts with a kubeVersion refuse to install.
	stamp func(version string) []string
}

// tools lists what is built, in this order: etcd takes seconds, and shows early that the build works at all.
var tools = []tool{
	{name: "etcd", module: "etcd", requires: "go.etcd.io/etcd/server/v3", pkg: "go.etcd.io/etcd/server/v3"},
	kubernetesTool("kube-apiserver"),
	kubernetesTool("kube-controller-manager"),
	kubernetesTool("kube-scheduler"),
	kubernetesTool("kubectl"),
	{name: "kwok", module: "kwok", requires: "sigs.k8s.io/kwok", pkg: "sigs.k8s.io/kwok/cmd/kwok", stamp: stampKwok},
}

func kubernetesTool(name string) tool {
	return tool{
		name:     name,
		module:   "kubernetes",
		requires: "k8s.io/kubernetes",
		pkg:      "k8s.io/kubernetes/cmd/" + name,
		stamp:    stampKubernetes,
	}
}

func stampKubernetes(version string) []string {
	major, rest, _ := strings.Cut(strings.TrimPrefix(version, "v"), ".")
	minor, _, _ := strings.Cut(rest, ".")
	return []string{
		"k8s.io/component-base/version.gitVersion=" + version,
		"k8s.io/component-base/version.gitMajor=" + major,
		"k8s.io/component-base/version.gitMinor=" + minor,
		"k8s.io/client-go/pkg/version.gitVersion=" + version,
	}
}

func stampKwok(version string) []string {
	return []string{"sigs.k8s.io/kwok/pkg/consts.Version=" + strings.TrimPrefix(version, "v")}
}

// flags are the arguments of `go build`. CGO_ENABLED=0 comes with them (see goCommand).
func (t tool) flags(version string) []string {
	linker := "-s -w"
	if t.stamp != nil {
		for _, setting := range t.stamp(version) {
			linker += " -X " + setting
		}
	}
	return []string{"-trimpath", "-buildvcs=false", "-mod=readonly", "-ldflags=" + linker}
}

// recipes is the directory of the build modules with the versions they pin.
type recipes struct {
	dir      string
	versions map[string]string // by tool.requires
	key      string
}

// findRecipes reads the build modules of the checkout that the caller works in.
func findRecipes() (recipes, error) {
	root, err := Checkout()
	if err != nil {
		return recipes{}, err
	}
	return readRecipes(filepath.Join(root, "test", "controlplane", "build"))
}

func readRecipes(dir string) (recipes, error) {
	r := recipes{dir: dir, versions: map[string]string{}}
	sum := sha256.New()
	for _, t := range tools {
		mod, err := os.ReadFile(filepath.Join(dir, t.module, "go.mod"))
		if err != nil {
			return recipes{}, fmt.Errorf("reading the versions of the control plane: %w", err)
		}
		version, err := required(mod, t.requires)
		if err != nil {
			return recipes{}, fmt.Errorf("reading %s: %w", filepath.Join(dir, t.module, "go.mod"), err)
		}
		sums, err := os.ReadFile(filepath.Join(dir, t.module, "go.sum"))
		if err != nil {
			return recipes{}, fmt.Errorf("reading the checksums of the control plane: %w", err)
		}
		r.versions[t.requires] = version
		fmt.Fprintf(sum, "%s %q %q %q\n", t.name, mod, sums, t.flags(version))
	}
	r.key = fmt.Sprintf("kubernetes-%s-etcd-%s-kwok-%s-%s-%s-%s",
		r.versions["k8s.io/kubernetes"], r.versions["go.etcd.io/etcd/server/v3"], r.versions["sigs.k8s.io/kwok"],
		runtime.GOOS, runtime.GOARCH, hex.EncodeToString(sum.Sum(nil))[:10])
	return r, nil
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

// toolsFolder is where the built programs are kept, for this set of versions on this platform.
func (r recipes) toolsFolder() (string, error) {
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
			return "", fmt.Errorf("finding a folder for the control plane (CONFIGPIN_TOOLS_DIR names one): %w", err)
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

// sources returns the directory of a module's source code, and downloads it first when it is not there.
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

// KubernetesModuleDir returns the directory of Kubernetes' source code in the version that runs here. It holds real
// manifests, for example in cluster/addons and test/e2e/testing-manifests.
func KubernetesModuleDir(ctx context.Context) (string, error) {
	r, err := findRecipes()
	if err != nil {
		return "", err
	}
	return r.sources(ctx, "kubernetes", "k8s.io/kubernetes")
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
