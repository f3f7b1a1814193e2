package tools

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// example is a set of two programs in two modules. The second one has source code of its own.
var example = Set{
	What:  "the example",
	Takes: "an hour",
	Dir:   "test/lab/tools/testdata/build",
	Tools: []Tool{
		{Name: "first", Module: "stamped", Requires: "example.com/one", Package: "example.com/one", Stamp: stampOne},
		{Name: "second", Module: "stamped", Requires: "example.com/one", Package: "example.com/one/cmd/second", Stamp: stampOne},
		{Name: "third", Module: "own", Requires: "example.com/two", Package: "."},
	},
	Files: []File{{Name: "motd", Content: func(ctx context.Context, sources Sources) ([]byte, error) {
		dir, err := sources(ctx, "own", "example.com/two")
		return []byte("made of " + dir), err
	}}},
	Key:    []Part{{Label: "one", Requires: "example.com/one"}, {Label: "two", Requires: "example.com/two"}},
	Assets: "EXAMPLE_ASSETS",
}

func stampOne(version string) []string { return []string{"main.version=" + version} }

// writeModules writes the build modules of the example.
func writeModules(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for file, content := range map[string]string{
		"stamped/go.mod": "module stamped\n\nrequire example.com/one v1.2.3\n",
		"stamped/go.sum": "sums of one\n",
		"own/go.mod":     "module own\n\nrequire example.com/two v4.5.6\n",
		"own/go.sum":     "sums of two\n",
		"own/main.go":    "package main\n\nfunc main() {}\n",
	} {
		path := filepath.Join(dir, filepath.FromSlash(file))
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	}
	return dir
}

func keyOf(t *testing.T, dir string) string {
	t.Helper()
	r, err := example.readRecipes(dir)
	require.NoError(t, err)
	return r.key
}

func TestTheKeyNamesVersionsAndPlatform(t *testing.T) {
	assert.Regexp(t, "^one-v1.2.3-two-v4.5.6-"+runtime.GOOS+"-"+runtime.GOARCH+"-[0-9a-f]{10}$", keyOf(t, writeModules(t)))
}

func TestTheKeyFollowsWhatIsBuilt(t *testing.T) {
	original := keyOf(t, writeModules(t))
	assert.Equal(t, original, keyOf(t, writeModules(t)), "the key should not depend on where the checkout is")

	for _, test := range []struct {
		file string
		same bool
	}{
		{file: "stamped/go.mod"},
		{file: "stamped/go.sum"},
		{file: "own/go.mod"},
		{file: "own/go.sum"},
		{file: "own/main.go"},
		{file: "own/another.go"},
		{file: "own/main_test.go", same: true},
		{file: "own/README.md", same: true},
	} {
		t.Run("a changed "+test.file, func(t *testing.T) {
			dir := writeModules(t)
			file, err := os.OpenFile(filepath.Join(dir, filepath.FromSlash(test.file)), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
			require.NoError(t, err)
			_, err = file.WriteString("// changed\n")
			require.NoError(t, errors.Join(err, file.Close()))
			assert.Equal(t, test.same, original == keyOf(t, dir))
		})
	}
}

func TestWhatIsMissingIsNamed(t *testing.T) {
	for _, test := range []struct{ file, want string }{
		{"stamped/go.mod", "reading the versions of the example: "},
		{"own/go.sum", "reading the checksums of the example: "},
	} {
		dir := writeModules(t)
		require.NoError(t, os.Remove(filepath.Join(dir, filepath.FromSlash(test.file))))
		_, err := example.readRecipes(dir)
		assert.ErrorContains(t, err, test.want)
		assert.ErrorIs(t, err, os.ErrNotExist)
	}
}

func TestTheVersionIsStamped(t *testing.T) {
	assert.Contains(t, example.Tools[0].flags("v1.2.3"), "-ldflags=-s -w -X main.version=v1.2.3")
	assert.Contains(t, example.Tools[2].flags("v4.5.6"), "-ldflags=-s -w")
}

func TestRequired(t *testing.T) {
	for _, test := range []struct{ name, mod, want, wantErr string }{
		{name: "on a line of its own", mod: "require k8s.io/kubernetes v1.2.3\n", want: "v1.2.3"},
		{name: "in a block", mod: "require (\n\tk8s.io/kubernetes v1.2.3 // indirect\n)\n", want: "v1.2.3"},
		{name: "not a tool", mod: "tool k8s.io/kubernetes\n", wantErr: "no version of k8s.io/kubernetes"},
		{name: "not a replacement", mod: "replace (\n\tk8s.io/kubernetes => x v1\n)\n", wantErr: "no version of k8s.io/kubernetes"},
		{name: "not a longer path", mod: "require k8s.io/kubernetes/x v1.2.3\n", wantErr: "no version of k8s.io/kubernetes"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := required([]byte(test.mod), "k8s.io/kubernetes")
			if test.wantErr != "" {
				require.EqualError(t, err, test.wantErr)
			}
			assert.Equal(t, test.want, got)
		})
	}
}

func TestFolder(t *testing.T) {
	r := recipes{key: "KEY"}
	home := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", home)
	dir, err := r.folder("the example")
	require.NoError(t, err)
	assert.Equal(t, filepath.Join(home, "configpin", "tools", "KEY"), dir)

	elsewhere := t.TempDir()
	t.Setenv("CONFIGPIN_TOOLS_DIR", elsewhere)
	dir, err = r.folder("the example")
	require.NoError(t, err)
	assert.Equal(t, filepath.Join(elsewhere, "KEY"), dir)
}

func TestTheCheckoutIsFoundFromABuildModule(t *testing.T) {
	here, err := filepath.Abs(filepath.Join("..", "..", ".."))
	require.NoError(t, err)
	t.Chdir(filepath.Join("..", "controlplane", "build", "kubernetes"))
	root, err := Checkout()
	require.NoError(t, err)
	assert.Equal(t, here, root)

	t.Chdir(t.TempDir())
	_, err = Checkout()
	assert.ErrorContains(t, err, "run this from a clone")
}
