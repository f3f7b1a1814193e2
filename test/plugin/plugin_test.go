package plugin

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/client-go/rest"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/configpin/configpin/manifests"
	"github.com/configpin/configpin/test/controlplane"
	"github.com/configpin/configpin/test/installation"
)

var update = flag.Bool("update", false, "write what was said to testdata")

// shop is a cluster on which people work.
type shop struct {
	api        client.Client
	cluster    *controlplane.Cluster
	configpin  *installation.Installation
	kubeconfig string
	path       string // where kubectl and the plugin are
	cache      string // of kubectl's discovery
}

func open(t *testing.T) *shop {
	t.Helper()
	logf.SetLogger(logr.Discard()) // or it complains
	cluster, err := controlplane.Start(t.Context(), controlplane.Options{Dir: t.TempDir(), Progress: t.Output()})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, cluster.Stop()) })
	objects, err := manifests.Objects(manifests.Secrets, manifests.DigestKey)
	require.NoError(t, err)
	configpin, err := installation.New(t.Context(), cluster, installation.Options{
		Objects:        objects,
		WebhookFlags:   []string{"--secrets", "--drain=0s"},
		VersionerFlags: []string{"--secrets", "--settle=500ms", "--rollout-burst=1000", "--sweep=1h"},
		Progress:       t.Output(),
	})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, configpin.Stop()) })
	require.NoError(t, configpin.StartVersioner(t.Context())) // first: it makes the key that the webhook waits for
	require.NoError(t, configpin.StartWebhook(t.Context()))
	plugins := t.TempDir()
	require.NoError(t, installation.BuildPlugin(t.Context(), plugins))

	config := rest.CopyConfig(cluster.Config())
	config.QPS = -1
	config.WarningHandler = rest.NoWarnings{}
	api, err := client.New(config, client.Options{})
	require.NoError(t, err)
	s := &shop{
		api:        api,
		cluster:    cluster,
		configpin:  configpin,
		kubeconfig: cluster.Kubeconfig(),
		path:       plugins + string(os.PathListSeparator) + filepath.Dir(cluster.Binaries().Path("kubectl")),
		cache:      t.TempDir(),
	}
	s.runInPods(t, objects)
	return s
}

func TestPlugin(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a control plane")
	}
	s := open(t)
	t.Run("together", func(t *testing.T) {
		for name, play := range together {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				s.play(t, name, play)
			})
		}
	})
	for _, scene := range alone {
		t.Run(scene.name, func(t *testing.T) { s.play(t, scene.name, scene.play) })
	}
}

func (s *shop) play(t *testing.T, name string, play func(*shell)) {
	t.Helper()
	sh := s.begin(t)
	play(sh)
	if sh.said.Len() == 0 {
		return
	}
	sh.compare(filepath.Join("testdata", name+".txt"))
}
