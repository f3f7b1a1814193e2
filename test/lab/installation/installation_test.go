package installation_test

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/configpin/configpin/test/lab/controlplane"
	"github.com/configpin/configpin/test/lab/installation"
)

const standin = "./test/lab/installation/testdata/standin"

func objects(t *testing.T) []*unstructured.Unstructured {
	t.Helper()
	file, err := os.Open("testdata/manifests.yaml")
	require.NoError(t, err)
	defer file.Close()
	decoder := yaml.NewYAMLOrJSONDecoder(file, 4096)
	var read []*unstructured.Unstructured
	for {
		object := &unstructured.Unstructured{}
		if err := decoder.Decode(&object.Object); err != nil {
			return read
		}
		read = append(read, object)
	}
}

func install(t *testing.T, cluster *controlplane.Cluster, webhookFlags ...string) *installation.Installation {
	t.Helper()
	i, err := installation.New(t.Context(), cluster, installation.Options{
		Objects:          objects(t),
		WebhookPackage:   standin,
		VersionerPackage: standin,
		WebhookFlags:     webhookFlags,
		Progress:         t.Output(),
	})
	require.NoError(t, err)
	return i
}

// label asks, without keeping anything, what the webhook does to a new ConfigMap.
func label(t *testing.T, cluster *controlplane.Cluster) string {
	t.Helper()
	client, err := kubernetes.NewForConfig(cluster.Config())
	require.NoError(t, err)
	made, err := client.CoreV1().ConfigMaps("default").Create(t.Context(),
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "asked"}},
		metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	require.NoError(t, err)
	return made.Labels["seen"]
}

func TestInstallation(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a control plane")
	}
	cluster, err := controlplane.Start(t.Context(), controlplane.Options{Dir: t.TempDir(), Progress: t.Output()})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, cluster.Stop()) })

	i := install(t, cluster)
	t.Cleanup(func() { assert.NoError(t, i.Stop()) })
	require.NoError(t, i.StartWebhook(t.Context()))
	require.NoError(t, i.StartVersioner(t.Context(), "versioner", "versioner-b"))

	t.Run("the API server calls the webhook, over TLS that it verifies", func(t *testing.T) {
		require.Eventually(t, func() bool { return label(t, cluster) == "yes" }, 30*time.Second, 20*time.Millisecond)
	})

	t.Run("a webhook that was killed is gone, and comes back at the same address", func(t *testing.T) {
		require.NoError(t, i.KillWebhook())
		assert.Empty(t, label(t, cluster))
		require.NoError(t, i.StartWebhook(t.Context()))
		assert.Equal(t, "yes", label(t, cluster))
	})

	t.Run("a paused webhook does not answer until it is resumed", func(t *testing.T) {
		require.NoError(t, i.Webhook().Pause())
		began := time.Now()
		assert.Empty(t, label(t, cluster))
		assert.GreaterOrEqual(t, time.Since(began), 3*time.Second, "the API server should have waited for the timeout")
		require.NoError(t, i.Webhook().Resume())
		assert.Equal(t, "yes", label(t, cluster))
	})

	t.Run("the programs have the rights of their service accounts and no others", func(t *testing.T) {
		path, err := cluster.KubeconfigFor(installation.VersionerUser, installation.Groups()...)
		require.NoError(t, err)
		config, err := clientcmd.BuildConfigFromFlags("", path)
		require.NoError(t, err)
		client, err := kubernetes.NewForConfig(config)
		require.NoError(t, err)
		_, err = client.CoreV1().ConfigMaps(installation.Namespace).List(t.Context(), metav1.ListOptions{})
		require.NoError(t, err)
		_, err = client.CoreV1().Secrets(installation.Namespace).List(t.Context(), metav1.ListOptions{})
		assert.True(t, apierrors.IsForbidden(err), "got %v", err)
	})

	t.Run("installing again restarts only the program whose flags differ", func(t *testing.T) {
		wasWebhook, wasVersioner := i.Webhook().PID(), i.Versioner("versioner").PID()

		again := install(t, cluster, "--label=again")
		require.NoError(t, again.StartWebhook(t.Context()))
		require.NoError(t, again.StartVersioner(t.Context()))
		assert.NotEqual(t, wasWebhook, again.Webhook().PID())
		assert.Equal(t, wasVersioner, again.Versioner("versioner").PID())
		assert.Equal(t, "again", label(t, cluster))
	})

	t.Run("one of two versioners is stopped, the other goes on", func(t *testing.T) {
		require.NoError(t, i.StopVersioner("versioner-b"))
		assert.False(t, i.Versioner("versioner-b").Running())
		assert.True(t, i.Versioner("versioner").Running())
	})

	t.Run("a program that does not build is named", func(t *testing.T) {
		_, err := installation.New(t.Context(), cluster, installation.Options{
			Dir:              t.TempDir(),
			WebhookPackage:   "./cmd/gone",
			VersionerPackage: standin,
		})
		assert.ErrorContains(t, err, "building ./cmd/gone")
	})

	t.Run("a program that does not start says why", func(t *testing.T) {
		require.NoError(t, i.StopWebhook())
		broken := install(t, cluster, "--no-such-flag")
		err := broken.StartWebhook(t.Context())
		assert.ErrorContains(t, err, "waiting for webhook: it has ended")
		assert.ErrorContains(t, err, "flag provided but not defined: -no-such-flag")
	})
}
