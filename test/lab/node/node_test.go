package node

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

// TestTheKubeletIsThatOfTheControlPlane: they come from two modules, because the kubelet requires more.
func TestTheKubeletIsThatOfTheControlPlane(t *testing.T) {
	versions := func(file string) []string {
		mod, err := os.ReadFile(filepath.FromSlash(file))
		require.NoError(t, err)
		return regexp.MustCompile(`\bk8s\.io/kubernetes v\S+`).FindAllString(string(mod), -1)
	}
	want := versions("../controlplane/build/kubernetes/go.mod")
	require.Len(t, want, 1)
	assert.Equal(t, want, versions("build/kubelet/go.mod"))
}

func TestTheKubeletsConfigIsOne(t *testing.T) {
	f := files{dir: t.TempDir(), plugins: "/plugins", runc: "/runc", pause: "localhost/pause:1"}
	require.NoError(t, f.write(map[string][]byte{"ca.crt": []byte("a certificate")}))
	text, err := os.ReadFile(f.path(kubeletFile))
	require.NoError(t, err)
	var config struct {
		Kind                     string
		Address                  string
		ContainerRuntimeEndpoint string
		EvictionHard             map[string]string
	}
	require.NoError(t, yaml.Unmarshal(text, &config))
	assert.Equal(t, "KubeletConfiguration", config.Kind)
	assert.Equal(t, Address, config.Address)
	assert.Equal(t, "unix://"+socket, config.ContainerRuntimeEndpoint)
	assert.Equal(t, "0%", config.EvictionHard["nodefs.available"])
	assert.FileExists(t, f.path("ca.crt"))
	assert.FileExists(t, f.path(networkFile))
}
