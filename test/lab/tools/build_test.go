package tools

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
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

func (f *fakeCompiler) compile(_ context.Context, t Tool, output string) error {
	if err := os.WriteFile(output, []byte("half"), 0o755); err != nil {
		return err
	}
	if t.Name == f.failAt {
		return errInterrupted
	}
	f.built = append(f.built, t.Name)
	return os.WriteFile(output, []byte("whole "+t.Name), 0o755)
}

func newBuilder(t *testing.T, dir string, compiler *fakeCompiler) (*builder, *bytes.Buffer) {
	t.Helper()
	r, err := example.readRecipes(writeModules(t))
	require.NoError(t, err)
	var progress bytes.Buffer
	return &builder{
		set:      example,
		recipes:  r,
		dir:      dir,
		progress: &progress,
		compile:  compiler.compile,
		sources:  func(_ context.Context, _, path string) (string, error) { return path, nil },
	}, &progress
}

func TestABuildIsDoneOnce(t *testing.T) {
	dir, compiler := filepath.Join(t.TempDir(), "tools"), &fakeCompiler{}
	b, progress := newBuilder(t, dir, compiler)
	programs, err := b.build(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []string{"first", "second", "third"}, compiler.built)
	assert.Contains(t, progress.String(), "building the example in "+dir+"\nA first build takes an hour; ")
	assert.Contains(t, progress.String(), "building second v1.2.3 (2 of 3) ...\n")
	assert.Equal(t, dir, programs.Dir)
	assert.Equal(t, filepath.Join(dir, "third"), programs.Path("third"))
	assert.Equal(t, "v4.5.6", programs.Version("example.com/two"))
	assert.Equal(t, []string{dir}, programs.Folders())

	motd, err := os.ReadFile(filepath.Join(dir, "motd"))
	require.NoError(t, err)
	assert.Equal(t, "made of example.com/two", string(motd))

	b, progress = newBuilder(t, dir, compiler)
	_, err = b.build(t.Context())
	require.NoError(t, err)
	assert.Len(t, compiler.built, 3)
	assert.Empty(t, progress.String())
}

func TestAnInterruptedBuildGoesOnWhereItStopped(t *testing.T) {
	dir, compiler := t.TempDir(), &fakeCompiler{failAt: "second"}
	b, _ := newBuilder(t, dir, compiler)
	_, err := b.build(t.Context())
	require.ErrorIs(t, err, errInterrupted)
	assert.ErrorContains(t, err, "building second v1.2.3")
	assert.False(t, b.complete())
	assert.NoFileExists(t, filepath.Join(dir, "second"))

	// A power cut leaves the half of a file.
	leftover := filepath.Join(dir, "third"+temporary)
	require.NoError(t, os.WriteFile(leftover, []byte("half"), 0o700))

	compiler.failAt, compiler.built = "", nil
	b, _ = newBuilder(t, dir, compiler)
	programs, err := b.build(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []string{"second", "third"}, compiler.built)
	assert.NoFileExists(t, leftover)
	for _, name := range []string{"first", "second", "third"} {
		content, err := os.ReadFile(programs.Path(name))
		require.NoError(t, err)
		assert.Equal(t, "whole "+name, string(content))
	}
}

func TestADeletedProgramIsBuiltAgain(t *testing.T) {
	dir, compiler := t.TempDir(), &fakeCompiler{}
	b, _ := newBuilder(t, dir, compiler)
	programs, err := b.build(t.Context())
	require.NoError(t, err)
	require.NoError(t, os.Remove(programs.Path("first")))

	compiler.built = nil
	_, err = b.build(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []string{"first"}, compiler.built)
}

func TestOnlyWhatTheAssetsLackIsBuilt(t *testing.T) {
	assets := t.TempDir()
	for _, name := range []string{"first", "third"} {
		require.NoError(t, os.WriteFile(filepath.Join(assets, name), nil, 0o700))
	}
	dir, compiler := t.TempDir(), &fakeCompiler{}
	b, progress := newBuilder(t, dir, compiler)
	require.NoError(t, b.useAssets(assets))
	programs, err := b.build(t.Context())
	require.NoError(t, err)
	assert.Contains(t, progress.String(), "using from EXAMPLE_ASSETS: first, third\n")
	assert.Equal(t, []string{"second"}, compiler.built)
	assert.Equal(t, filepath.Join(assets, "third"), programs.Path("third"))
	assert.Equal(t, []string{assets, dir}, programs.Folders())
}

func TestAssetsThatDoNotExistAreAnError(t *testing.T) {
	b, _ := newBuilder(t, t.TempDir(), &fakeCompiler{})
	err := b.useAssets(filepath.Join(t.TempDir(), "gone"))
	assert.ErrorContains(t, err, "using EXAMPLE_ASSETS")
	assert.ErrorContains(t, err, "unset it to build from source")
}

func TestACancelledBuildSaysSo(t *testing.T) {
	r, err := example.readRecipes(writeModules(t))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	assert.ErrorIs(t, r.compile(ctx, example.Tools[0], filepath.Join(t.TempDir(), "out")), context.Canceled)
}
