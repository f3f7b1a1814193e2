package controlplane

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fakeCompiler writes a program per tool and remembers the order. It fails at the tool failAt, half-way through the
// file, as a build that is interrupted does.
type fakeCompiler struct {
	failAt string
	built  []string
}

var errInterrupted = errors.New("interrupted")

func (f *fakeCompiler) compile(_ context.Context, t tool, output string) error {
	if err := os.WriteFile(output, []byte("half"), 0o755); err != nil {
		return err
	}
	if t.name == f.failAt {
		return errInterrupted
	}
	f.built = append(f.built, t.name)
	return os.WriteFile(output, []byte("whole "+t.name), 0o755)
}

func newBuilder(t *testing.T, dir string, compiler *fakeCompiler) (*builder, *bytes.Buffer) {
	t.Helper()
	module := t.TempDir()
	for _, folder := range stageFolders {
		folder = filepath.Join(module, "kustomize", "stage", filepath.FromSlash(folder))
		require.NoError(t, os.MkdirAll(folder, 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(folder, "a.yaml"), []byte("kind: Stage\n"), 0o600))
		require.NoError(t, os.WriteFile(filepath.Join(folder, "kustomization.yaml"), []byte("kind: Kustomization\n"), 0o600))
	}
	r, err := readRecipes("build")
	require.NoError(t, err)
	var progress bytes.Buffer
	return &builder{
		recipes:  r,
		dir:      dir,
		progress: &progress,
		compile:  compiler.compile,
		sources:  func(context.Context, string, string) (string, error) { return module, nil },
	}, &progress
}

func toolNames() []string {
	var names []string
	for _, t := range tools {
		names = append(names, t.name)
	}
	return names
}

func TestABuildIsDoneOnce(t *testing.T) {
	dir, compiler := filepath.Join(t.TempDir(), "tools"), &fakeCompiler{}
	b, progress := newBuilder(t, dir, compiler)
	binaries, err := b.build(t.Context())
	require.NoError(t, err)
	assert.Equal(t, toolNames(), compiler.built)
	assert.Contains(t, progress.String(), "6 to 10 minutes")
	assert.Contains(t, progress.String(), "building kube-apiserver "+b.recipes.versions["k8s.io/kubernetes"]+" (2 of 6) ...\n")
	assert.Equal(t, filepath.Join(dir, "kubectl"), binaries.Path("kubectl"))
	assert.Equal(t, []string{dir}, binaries.Folders())

	stages, err := os.ReadFile(binaries.Stages())
	require.NoError(t, err)
	assert.Equal(t, len(stageFolders), strings.Count(string(stages), "kind: Stage\n"))
	assert.NotContains(t, string(stages), "Kustomization")

	b, progress = newBuilder(t, dir, compiler)
	_, err = b.build(t.Context())
	require.NoError(t, err)
	assert.Len(t, compiler.built, len(tools))
	assert.Empty(t, progress.String())
}

func TestAnInterruptedBuildGoesOnWhereItStopped(t *testing.T) {
	dir, compiler := t.TempDir(), &fakeCompiler{failAt: "kube-scheduler"}
	b, _ := newBuilder(t, dir, compiler)
	_, err := b.build(t.Context())
	require.ErrorIs(t, err, errInterrupted)
	assert.ErrorContains(t, err, "building kube-scheduler "+b.recipes.versions["k8s.io/kubernetes"])
	assert.False(t, b.complete())
	assert.NoFileExists(t, filepath.Join(dir, "kube-scheduler"))

	// A power cut leaves the half of a file.
	leftover := filepath.Join(dir, "kubectl"+temporary)
	require.NoError(t, os.WriteFile(leftover, []byte("half"), 0o700))

	compiler.failAt, compiler.built = "", nil
	b, _ = newBuilder(t, dir, compiler)
	binaries, err := b.build(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []string{"kube-scheduler", "kubectl", "kwok"}, compiler.built)
	assert.NoFileExists(t, leftover)
	for _, name := range toolNames() {
		content, err := os.ReadFile(binaries.Path(name))
		require.NoError(t, err)
		assert.Equal(t, "whole "+name, string(content))
	}
}

func TestADeletedProgramIsBuiltAgain(t *testing.T) {
	dir, compiler := t.TempDir(), &fakeCompiler{}
	b, _ := newBuilder(t, dir, compiler)
	binaries, err := b.build(t.Context())
	require.NoError(t, err)
	require.NoError(t, os.Remove(binaries.Path("etcd")))

	compiler.built = nil
	_, err = b.build(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []string{"etcd"}, compiler.built)
}

func TestOnlyWhatTheAssetsLackIsBuilt(t *testing.T) {
	assets := t.TempDir()
	for _, name := range []string{"etcd", "kube-apiserver", "kubectl"} {
		require.NoError(t, os.WriteFile(filepath.Join(assets, name), nil, 0o700))
	}
	dir, compiler := t.TempDir(), &fakeCompiler{}
	b, progress := newBuilder(t, dir, compiler)
	require.NoError(t, b.useAssets(assets))
	binaries, err := b.build(t.Context())
	require.NoError(t, err)
	assert.Contains(t, progress.String(), "using from KUBEBUILDER_ASSETS: etcd, kube-apiserver, kubectl\n")
	assert.Equal(t, []string{"kube-controller-manager", "kube-scheduler", "kwok"}, compiler.built)
	assert.Equal(t, filepath.Join(assets, "kubectl"), binaries.Path("kubectl"))
	assert.Equal(t, []string{assets, dir}, binaries.Folders())
}

func TestAssetsThatDoNotExistAreAnError(t *testing.T) {
	b, _ := newBuilder(t, t.TempDir(), &fakeCompiler{})
	err := b.useAssets(filepath.Join(t.TempDir(), "gone"))
	assert.ErrorContains(t, err, "using KUBEBUILDER_ASSETS")
	assert.ErrorContains(t, err, "unset it to build from source")
}

func TestACancelledBuildSaysSo(t *testing.T) {
	r, err := readRecipes("build")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	assert.ErrorIs(t, r.compile(ctx, tools[0], filepath.Join(t.TempDir(), "out")), context.Canceled)
}
