package main

import (
	"archive/tar"
	"bytes"
	"debug/elf"
	"errors"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// mostBytes is what a node may have to pull.
const mostBytes = 40e6

// TestImages builds the images, with a registry to push to. That they are the same when
// they are built again is a test of test/e2e/release.
func TestImages(t *testing.T) {
	into := t.TempDir()
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://") + "/team"
	o := options{checkout: filepath.Join("..", ".."), into: into, version: "9.8.7", push: host, platforms: platform, packages: packages}
	require.NoError(t, run(t.Context(), o, t.Output()))

	for _, folder := range packages {
		program := filepath.Base(folder)
		index := read(t, filepath.Join(into, program+".tar"))
		want, err := index.Digest()
		require.NoError(t, err)
		tag, err := name.NewTag(host + "/configpin/" + program + ":9.8.7")
		require.NoError(t, err)
		pushed, err := remote.Index(tag)
		require.NoError(t, err)
		got, err := pushed.Digest()
		require.NoError(t, err)
		assert.Equal(t, want, got, "the same image in the registry")

		manifest, err := index.IndexManifest()
		require.NoError(t, err)
		var platforms []string
		for _, each := range manifest.Manifests {
			platforms = append(platforms, each.Platform.String())
			image, err := index.Image(each.Digest)
			require.NoError(t, err)
			checkImage(t, program, each.Platform, image)
			bill, err := os.ReadFile(filepath.Join(into, program+"-linux-"+each.Platform.Architecture+".spdx.json"))
			require.NoError(t, err)
			assert.Contains(t, string(bill), `"k8s.io/client-go"`)
		}
		assert.ElementsMatch(t, strings.Split(platform, ","), platforms)
	}
}

// checkImage checks what a cluster asks of an image, and runs its program.
func checkImage(t *testing.T, program string, p *v1.Platform, image v1.Image) {
	t.Helper()
	config, err := image.ConfigFile()
	require.NoError(t, err)
	assert.Equal(t, user, config.Config.User, "a number, so that a kubelet sees that it isn't root")
	assert.Equal(t, p.Architecture, config.Architecture)
	require.Len(t, config.Config.Entrypoint, 1)
	size, err := pulled(image)
	require.NoError(t, err)
	assert.Less(t, size, int64(mostBytes))
	content := file(t, image, config.Config.Entrypoint[0])
	binary, err := elf.NewFile(bytes.NewReader(content))
	require.NoError(t, err)
	for _, part := range binary.Progs {
		assert.NotEqual(t, elf.PT_INTERP, part.Type, "it isn't static")
	}
	if p.Architecture != runtime.GOARCH || runtime.GOOS != "linux" {
		return
	}
	path := filepath.Join(t.TempDir(), program)
	require.NoError(t, os.WriteFile(path, content, 0o700))
	said, err := exec.CommandContext(t.Context(), path, "--version").Output()
	require.NoError(t, err)
	assert.Contains(t, string(said), "configpin-"+program+" 9.8.7 ")
}

// file is a file of an image.
func file(t *testing.T, image v1.Image, path string) []byte {
	t.Helper()
	all := mutate.Extract(image)
	defer all.Close()
	for files := tar.NewReader(all); ; {
		header, err := files.Next()
		require.NoError(t, err, "there is no %s", path)
		if "/"+strings.TrimPrefix(header.Name, "/") == path {
			content, err := io.ReadAll(files)
			require.NoError(t, err)
			return content
		}
	}
}

// read unpacks an archive, and returns the image in it.
func read(t *testing.T, archive string) v1.ImageIndex {
	t.Helper()
	folder := t.TempDir()
	content, err := os.ReadFile(archive)
	require.NoError(t, err)
	for files := tar.NewReader(bytes.NewReader(content)); ; {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		path := filepath.Join(folder, filepath.FromSlash(header.Name))
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		part, err := io.ReadAll(files)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(path, part, 0o600))
	}
	all, err := layout.ImageIndexFromPath(folder)
	require.NoError(t, err)
	manifest, err := all.IndexManifest()
	require.NoError(t, err)
	require.Len(t, manifest.Manifests, 1)
	index, err := all.ImageIndex(manifest.Manifests[0].Digest)
	require.NoError(t, err)
	return index
}

func TestWrongTime(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "yesterday")
	assert.EqualError(t, run(t.Context(), options{}, io.Discard), `reading SOURCE_DATE_EPOCH: "yesterday" is no number of seconds`)
}
