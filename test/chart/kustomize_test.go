package chart

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/configpin/configpin/manifests"
	"github.com/configpin/configpin/test/lab/controlplane"
	"github.com/configpin/configpin/test/lab/kustomize"
	"github.com/configpin/configpin/test/lab/tools"
)

// TestManifestsAreUpToDate makes again what is made.
func TestManifestsAreUpToDate(t *testing.T) {
	t.Parallel()
	helms(t)
	root, err := tools.Checkout()
	require.NoError(t, err)
	fresh := t.TempDir()
	command := exec.CommandContext(t.Context(), "go", "run", "./test/chart/generate", "-into="+fresh)
	command.Dir = root
	out, err := command.CombinedOutput()
	require.NoError(t, err, "%s", out)
	made := 0
	require.NoError(t, filepath.WalkDir(fresh, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		made++
		name, err := filepath.Rel(fresh, path)
		require.NoError(t, err)
		want, err := os.ReadFile(path)
		require.NoError(t, err)
		got, err := os.ReadFile(filepath.Join(root, "manifests", name))
		require.NoError(t, err, "run: make generate")
		assert.Equal(t, string(want), string(got), "manifests/%s is out of date; run: make generate", name)
		return nil
	}))
	assert.Positive(t, made)
}

// TestKustomizeAndHelmInstallTheSame compares what the folders of manifests build with
// the chart's switches.
func TestKustomizeAndHelmInstallTheSame(t *testing.T) {
	t.Parallel()
	h := helms(t)[0]
	binaries, err := controlplane.Build(t.Context(), t.Output())
	require.NoError(t, err)
	root, err := tools.Checkout()
	require.NoError(t, err)
	for folder, values := range map[string]string{
		"manifests/base":    "",
		"manifests/strict":  "strict: true",
		"manifests/secrets": "secrets: {enabled: true}",
	} {
		t.Run(folder, func(t *testing.T) {
			t.Parallel()
			found, err := kustomize.Build(t.Context(), binaries.Path("kubectl"), root, folder)
			require.NoError(t, err)
			built := slices.DeleteFunc(objects(found), func(o *unstructured.Unstructured) bool { return o.GetKind() == "Namespace" })
			equal(t, h.render(t, release, values), built)
		})
	}
}

// TestRightsInSomeNamespaces compares rights alone: which namespaces the programs serve is
// for a flag, and for a person's own patch where helm doesn't set it.
func TestRightsInSomeNamespaces(t *testing.T) {
	t.Parallel()
	h := helms(t)[0]
	rights := func(all objects) objects {
		return slices.DeleteFunc(all, func(o *unstructured.Unstructured) bool {
			return !strings.HasSuffix(o.GroupVersionKind().Group, "rbac.authorization.k8s.io")
		})
	}
	for values, secrets := range map[string][]string{
		"namespaces: [bank, shop]":                                  nil,
		"{namespaces: [bank, shop], secrets: {enabled: true}}":      {"bank", "shop"},
		"{namespaces: [bank, shop], secrets: {namespaces: [shop]}}": {"shop"},
	} {
		t.Run(values, func(t *testing.T) {
			t.Parallel()
			found, err := manifests.Namespaced([]string{"bank", "shop"}, secrets)
			require.NoError(t, err)
			want := rights(h.render(t, release, values))
			assert.NotEmpty(t, want)
			equal(t, want, rights(found))
		})
	}
}

func TestTheReadmeIsUpToDate(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("builds helm-docs")
	}
	root, err := tools.Checkout()
	require.NoError(t, err)
	command := exec.CommandContext(t.Context(), "go", "tool", "-modfile=tools.mod", "helm-docs",
		"--dry-run", "--log-level=warning", "--chart-search-root="+filepath.Join("manifests", "charts"))
	command.Dir, command.Stderr = root, t.Output()
	want, err := command.Output()
	require.NoError(t, err)
	got, err := os.ReadFile(filepath.Join(root, "manifests", "charts", "configpin", "README.md"))
	require.NoError(t, err)
	assert.Equal(t, strings.TrimSpace(string(want)), strings.TrimSpace(string(got)), "it is out of date; run: make generate")
}
