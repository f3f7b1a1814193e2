package controlplane

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestKubernetesProgramsSayTheirVersion(t *testing.T) {
	settings := strings.Join(StampKubernetes("v1.37.2"), "\n")
	for _, setting := range []string{
		"k8s.io/component-base/version.gitVersion=v1.37.2",
		"k8s.io/component-base/version.gitMajor=1\n",
		"k8s.io/component-base/version.gitMinor=37\n",
		"k8s.io/client-go/pkg/version.gitVersion=v1.37.2",
	} {
		assert.Contains(t, settings, setting)
	}
}

// writeKwok writes a module with as many stages as we play, each in a file beside a kustomization.
func writeKwok(t *testing.T) (module string) {
	t.Helper()
	module = t.TempDir()
	for _, folder := range stageFolders {
		folder = filepath.Join(module, "kustomize", "stage", filepath.FromSlash(folder))
		require.NoError(t, os.MkdirAll(folder, 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(folder, "a.yaml"), []byte("kind: Stage\n"), 0o600))
		require.NoError(t, os.WriteFile(filepath.Join(folder, "kustomization.yaml"), []byte("kind: Kustomization\n"), 0o600))
	}
	return module
}

func TestTheStagesAreThoseOfKwoksOwnRelease(t *testing.T) {
	module := writeKwok(t)
	stages, err := makeStages(t.Context(), func(context.Context, string, string) (string, error) { return module, nil })
	require.NoError(t, err)
	assert.Equal(t, len(stageFolders), strings.Count(string(stages), "kind: Stage\n"))
	assert.NotContains(t, string(stages), "Kustomization")

	require.NoError(t, os.Remove(filepath.Join(module, "kustomize", "stage", "pod", "fast", "a.yaml")))
	_, err = makeStages(t.Context(), func(context.Context, string, string) (string, error) { return module, nil })
	assert.ErrorContains(t, err, "reading kwok's stages: no stage in ")
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
