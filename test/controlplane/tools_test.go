package controlplane

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// copyRecipes copies the real build modules, for a test to change.
func copyRecipes(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "build")
	require.NoError(t, os.CopyFS(dir, os.DirFS("build")))
	return dir
}

func keyOf(t *testing.T, dir string) string {
	t.Helper()
	r, err := readRecipes(dir)
	require.NoError(t, err)
	return r.key
}

func TestTheKeyNamesVersionsAndPlatform(t *testing.T) {
	r, err := readRecipes("build")
	require.NoError(t, err)
	for _, part := range []string{
		"kubernetes-" + r.versions["k8s.io/kubernetes"],
		"etcd-" + r.versions["go.etcd.io/etcd/server/v3"],
		"kwok-" + r.versions["sigs.k8s.io/kwok"],
		runtime.GOOS + "-" + runtime.GOARCH,
	} {
		assert.Contains(t, r.key, part)
	}
}

func TestTheKeyFollowsWhatIsBuilt(t *testing.T) {
	original := keyOf(t, "build")
	assert.Equal(t, original, keyOf(t, copyRecipes(t)), "the key should not depend on where the checkout is")

	for _, file := range []string{
		"etcd/go.mod", "etcd/go.sum", "kubernetes/go.mod", "kubernetes/go.sum", "kwok/go.mod", "kwok/go.sum",
	} {
		t.Run("a changed "+file+" is another key", func(t *testing.T) {
			dir := copyRecipes(t)
			path := filepath.Join(dir, filepath.FromSlash(file))
			content, err := os.ReadFile(path)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(path, append(content, "// changed\n"...), 0o600))
			assert.NotEqual(t, original, keyOf(t, dir))
		})
	}
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

func TestKubernetesProgramsSayTheirVersion(t *testing.T) {
	flags := strings.Join(kubernetesTool("kubectl").flags("v1.37.2"), " ")
	for _, setting := range []string{
		"-X k8s.io/component-base/version.gitVersion=v1.37.2",
		"-X k8s.io/component-base/version.gitMajor=1 ",
		"-X k8s.io/component-base/version.gitMinor=37 ",
		"-X k8s.io/client-go/pkg/version.gitVersion=v1.37.2",
	} {
		assert.Contains(t, flags, setting)
	}
}

func TestToolsFolder(t *testing.T) {
	r := recipes{key: "KEY"}
	home := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", home)
	dir, err := r.toolsFolder()
	require.NoError(t, err)
	assert.Equal(t, filepath.Join(home, "configpin", "tools", "KEY"), dir)

	elsewhere := t.TempDir()
	t.Setenv("CONFIGPIN_TOOLS_DIR", elsewhere)
	dir, err = r.toolsFolder()
	require.NoError(t, err)
	assert.Equal(t, filepath.Join(elsewhere, "KEY"), dir)
}

func TestTheCheckoutIsFoundFromTheBuildModules(t *testing.T) {
	here, err := filepath.Abs(filepath.Join("..", ".."))
	require.NoError(t, err)
	t.Chdir(filepath.Join("build", "kubernetes"))
	root, err := Checkout()
	require.NoError(t, err)
	assert.Equal(t, here, root)

	t.Chdir(t.TempDir())
	_, err = Checkout()
	assert.ErrorContains(t, err, "run this from a clone")
}

func TestKubernetesModuleDirHoldsRealManifests(t *testing.T) {
	if testing.Short() {
		t.Skip("may download Kubernetes' source code")
	}
	dir, err := KubernetesModuleDir(t.Context())
	require.NoError(t, err)
	assert.FileExists(t, filepath.Join(dir, "cluster", "addons", "dns", "coredns", "coredns.yaml.base"))
	assert.DirExists(t, filepath.Join(dir, "test", "e2e", "testing-manifests", "statefulset"))
}
