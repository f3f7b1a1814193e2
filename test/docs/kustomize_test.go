package docs

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/configpin/configpin/manifests"
	"github.com/configpin/configpin/test/lab/controlplane"
	"github.com/configpin/configpin/test/lab/kustomize"
	"github.com/configpin/configpin/test/lab/markdown"
)

// byKustomize matches a command about a folder of manifests.
var byKustomize = regexp.MustCompile(`kubectl (?:apply|delete) -k (\S+)`)

// patched is of each folder that does more than add objects the kind that it changes:
// test/chart compares all of it with what helm renders.
var patched = map[string]string{
	"manifests/strict":  "MutatingWebhookConfiguration",
	"manifests/secrets": "Deployment",
}

// TestFoldersBuildWhatIsTested: people apply what kustomize makes of a folder, and
// tests install what the package manifests reads, which looks at no
// kustomization.yaml.
func TestFoldersBuildWhatIsTested(t *testing.T) {
	if testing.Short() {
		t.Skip("needs kubectl, which is built with the control plane")
	}
	t.Parallel()
	kubectl := builtKubectl(t)
	base, everything := objects(t), objects(t, manifests.Secrets, manifests.DigestKey)
	tested := map[string]map[string]map[string]any{
		"manifests/base":                  kustomize.ByName(base),
		"manifests/secrets":               kustomize.ByName(everything),
		"manifests/strict":                kustomize.ByName(base),
		"manifests/components/secrets":    beyond(kustomize.ByName(base), kustomize.ByName(everything)),
		"manifests/components/digest-key": beyond(kustomize.ByName(base), kustomize.ByName(objects(t, manifests.DigestKey))),
		"manifests/namespaced":            kustomize.ByName(namespaced(t, nil, nil)),
	}
	told := map[string]string{} // of folders, where
	for _, d := range readersDocuments(t) {
		for _, line := range commandLines(d) {
			for _, m := range byKustomize.FindAllStringSubmatch(line, -1) {
				told[m[1]] = d.Path
			}
		}
	}
	for folder, path := range told {
		if strings.HasPrefix(folder, "manifests/") && tested[folder] == nil {
			t.Errorf("%s applies %s, and this test doesn't know what that has to build: add it", path, folder)
		}
	}
	for folder, want := range tested {
		assert.Contains(t, told, folder, "no document applies it: remove it from this test")
		got := kustomize.ByName(kustomized(t, kubectl, root, folder))
		assert.Equal(t, without(patched[folder], want), without(patched[folder], got), folder)
	}
}

// TestFoldersForSomeNamespaces follows the section, file and commands, beside a
// checkout.
func TestFoldersForSomeNamespaces(t *testing.T) {
	if testing.Short() {
		t.Skip("needs kubectl, which is built with the control plane")
	}
	t.Parallel()
	kubectl, beside := builtKubectl(t), t.TempDir()
	checkout, err := filepath.Abs(root)
	require.NoError(t, err)
	require.NoError(t, os.Symlink(filepath.Join(checkout, "manifests"), filepath.Join(beside, "manifests")))
	require.NoError(t, os.Mkdir(filepath.Join(beside, "shop"), 0o700))
	var built []*unstructured.Unstructured
	for _, block := range reference(t).Blocks {
		text := strings.Join(block.Lines, "\n")
		if block.Section != "In some namespaces alone" {
			continue
		}
		if block.Language == "yaml" {
			require.NoError(t, os.WriteFile(filepath.Join(beside, "shop", "kustomization.yaml"), []byte(text), 0o600))
			continue
		}
		for _, m := range byKustomize.FindAllStringSubmatch(text, -1) {
			built = append(built, kustomized(t, kubectl, beside, m[1])...)
		}
	}
	assert.Equal(t, kustomize.ByName(namespaced(t, []string{"shop"}, []string{"shop"})), kustomize.ByName(built))
}

func builtKubectl(t *testing.T) string {
	t.Helper()
	binaries, err := controlplane.Build(t.Context(), t.Output())
	require.NoError(t, err)
	return binaries.Path("kubectl")
}

func kustomized(t *testing.T, kubectl, dir, folder string) []*unstructured.Unstructured {
	t.Helper()
	found, err := kustomize.Build(t.Context(), kubectl, dir, folder)
	require.NoError(t, err)
	return found
}

func namespaced(t *testing.T, all, secrets []string) []*unstructured.Unstructured {
	t.Helper()
	found, err := manifests.Namespaced(all, secrets)
	require.NoError(t, err)
	return found
}

// beyond are the objects that are in all and not in some.
func beyond(some, all map[string]map[string]any) map[string]map[string]any {
	found := maps.Clone(all)
	maps.DeleteFunc(found, func(name string, _ map[string]any) bool { return some[name] != nil })
	return found
}

// without leaves out objects of a kind.
func without(kind string, all map[string]map[string]any) map[string]map[string]any {
	rest := maps.Clone(all)
	maps.DeleteFunc(rest, func(name string, _ map[string]any) bool { return strings.HasPrefix(name, kind+" ") })
	return rest
}

// commandLines are the lines of a document's commands, those in its sentences as
// well.
func commandLines(d markdown.Document) []string {
	var lines []string
	for _, block := range d.Blocks {
		lines = append(lines, block.Lines...)
	}
	for _, span := range d.Code {
		lines = append(lines, span.Text)
	}
	return lines
}
