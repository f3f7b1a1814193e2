// Package terminal is where tests type kubectl, with the plugin, as people do: on a
// cluster with configpin, which serves Secrets too, each in a namespace of their own.
package terminal

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/configpin/configpin/manifests"
	"github.com/configpin/configpin/test/lab/controlplane"
	"github.com/configpin/configpin/test/lab/installation"
)

// Terminal is a cluster with configpin, and programs to look at it with.
type Terminal struct {
	API       client.Client
	Cluster   *controlplane.Cluster
	Configpin *installation.Installation

	// Objects are what was installed.
	Objects []*unstructured.Unstructured

	path  string // where kubectl and the plugin are
	cache string // of kubectl's discovery
}

// Open starts a cluster and configpin until the test ends. What people do in minutes
// tests do in seconds, so changes aren't damped for it; flags are the versioner's others.
func Open(t *testing.T, flags ...string) *Terminal {
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
		VersionerFlags: append([]string{"--secrets", "--settle=500ms", "--rollout-burst=1000"}, flags...),
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
	return &Terminal{
		API:       api,
		Cluster:   cluster,
		Configpin: configpin,
		Objects:   objects,
		path:      strings.Join([]string{plugins, filepath.Dir(cluster.Binaries().Path("kubectl")), os.Getenv("PATH")}, string(os.PathListSeparator)),
		cache:     t.TempDir(),
	}
}

// Namespace makes a namespace whose name begins with prefix, and returns the environment
// of shells that are in it.
func (x *Terminal) Namespace(t *testing.T, prefix string) (name string, env []string) {
	t.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: prefix}}
	require.NoError(t, x.API.Create(t.Context(), namespace))
	config, err := clientcmd.LoadFromFile(x.Cluster.Kubeconfig())
	require.NoError(t, err)
	config.Contexts[config.CurrentContext].Namespace = namespace.Name
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, clientcmd.WriteToFile(*config, kubeconfig))
	return namespace.Name, append(os.Environ(), "KUBECONFIG="+kubeconfig, "KUBECACHEDIR="+x.cache, "PATH="+x.path)
}
