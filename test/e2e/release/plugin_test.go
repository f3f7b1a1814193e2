package release

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"debug/buildinfo"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// krewManifest is what krew reads to install a plugin.
type krewManifest struct {
	metav1.TypeMeta `json:",inline"`

	Metadata struct {
		Name string `json:"name"`
	} `json:"metadata"`
	Spec struct {
		Version          string         `json:"version"`
		Homepage         string         `json:"homepage"`
		ShortDescription string         `json:"shortDescription"`
		Description      string         `json:"description"`
		Caveats          string         `json:"caveats"`
		Platforms        []krewPlatform `json:"platforms"`
	} `json:"spec"`
}

type krewPlatform struct {
	Selector metav1.LabelSelector `json:"selector"`
	URI      string               `json:"uri"`
	SHA256   string               `json:"sha256"`
	Bin      string               `json:"bin"`
	Files    []krewFile           `json:"files"`
}

type krewFile struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// checkPlugin checks the archives of the plugin in a release, and the manifest by which
// krew finds them at downloads.
func checkPlugin(t *testing.T, folder, version, downloads string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(folder, "configpin.yaml"))
	require.NoError(t, err)
	var manifest krewManifest
	require.NoError(t, yaml.UnmarshalStrict(text, &manifest))
	assert.Equal(t, metav1.TypeMeta{APIVersion: "krew.googlecontainertools.github.com/v1alpha2", Kind: "Plugin"}, manifest.TypeMeta)
	assert.Equal(t, "configpin", manifest.Metadata.Name)
	assert.Equal(t, "v"+version, manifest.Spec.Version)
	assert.Regexp(t, `^https://\S+$`, manifest.Spec.Homepage)
	assert.Regexp(t, `^.{1,80}$`, manifest.Spec.ShortDescription)
	assert.NotEmpty(t, manifest.Spec.Description)

	sums, err := os.ReadFile(filepath.Join(folder, "SHA256SUMS"))
	require.NoError(t, err)
	assert.Contains(t, string(sums), "  configpin.yaml\n")
	var platforms, archives []string
	for _, p := range manifest.Spec.Platforms {
		system, arch := p.Selector.MatchLabels["os"], p.Selector.MatchLabels["arch"]
		archive := fmt.Sprintf("kubectl-configpin_%s_%s_%s.tar.gz", version, system, arch)
		platforms, archives = append(platforms, system+"/"+arch), append(archives, filepath.Join(folder, archive))
		assert.Equal(t, metav1.LabelSelector{MatchLabels: map[string]string{"os": system, "arch": arch}}, p.Selector)
		assert.Equal(t, downloads+"/"+archive, p.URI)
		content, err := os.ReadFile(filepath.Join(folder, archive))
		require.NoError(t, err)
		assert.Equal(t, fmt.Sprintf("%x", sha256.Sum256(content)), p.SHA256, archive)
		assert.Contains(t, string(sums), p.SHA256+"  "+archive+"\n")
		checkArchive(t, content, p, version)
	}
	assert.ElementsMatch(t, []string{"linux/amd64", "linux/arm64", "darwin/amd64", "darwin/arm64", "windows/amd64"}, platforms)
	there, err := filepath.Glob(filepath.Join(folder, "kubectl-configpin*"))
	require.NoError(t, err)
	assert.ElementsMatch(t, there, archives)
}

// checkArchive checks what krew unpacks for a platform, and runs the program if it is for
// this one.
func checkArchive(t *testing.T, content []byte, p krewPlatform, version string) {
	t.Helper()
	unzipped, err := gzip.NewReader(bytes.NewReader(content))
	require.NoError(t, err)
	var program []byte
	var packed []krewFile
	for files := tar.NewReader(unzipped); ; {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		packed = append(packed, krewFile{From: header.Name, To: "."})
		mode := int64(0o644)
		if header.Name == p.Bin {
			mode = 0o755
			program, err = io.ReadAll(files)
			require.NoError(t, err)
		}
		assert.Equal(t, mode, header.Mode, header.Name)
	}
	assert.ElementsMatch(t, packed, p.Files)
	assert.Contains(t, packed, krewFile{From: "LICENSE", To: "."})

	info, err := buildinfo.Read(bytes.NewReader(program))
	require.NoError(t, err, p.Bin)
	settings := map[string]string{}
	for _, setting := range info.Settings {
		settings[setting.Key] = setting.Value
	}
	system, arch := p.Selector.MatchLabels["os"], p.Selector.MatchLabels["arch"]
	assert.Equal(t, []string{system, arch, "0"}, []string{settings["GOOS"], settings["GOARCH"], settings["CGO_ENABLED"]})
	assert.Equal(t, system == "windows", filepath.Ext(p.Bin) == ".exe", "%s runs no %s", system, p.Bin)
	if system != runtime.GOOS || arch != runtime.GOARCH {
		return
	}
	path := filepath.Join(t.TempDir(), p.Bin)
	require.NoError(t, os.WriteFile(path, program, 0o700))
	said, err := command(t, "", path, "--version").Output()
	require.NoError(t, err)
	assert.Equal(t, version+"\n", string(said))
}
