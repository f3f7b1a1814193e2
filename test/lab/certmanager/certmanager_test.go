package certmanager_test

import (
	"crypto/x509"
	"encoding/pem"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/configpin/configpin/manifests"
	"github.com/configpin/configpin/test/lab/certmanager"
	"github.com/configpin/configpin/test/lab/controlplane"
)

// patience is for a machine that does something else too: cert-manager takes a second.
const patience = time.Minute

// TestTheBaseGetsItsCertificate applies manifests/base, and waits for what cert-manager
// makes of it: a certificate for the webhook's Service, and an authority in the webhook
// configuration that signed it.
func TestTheBaseGetsItsCertificate(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a control plane")
	}
	cluster, err := controlplane.Start(t.Context(), controlplane.Options{Dir: t.TempDir(), Progress: t.Output()})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, cluster.Stop()) })
	running, err := certmanager.Start(t.Context(), cluster, t.Output())
	require.NoError(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("cert-manager says last:\n%s", running.LogTail(40))
		}
		assert.NoError(t, running.Stop())
	})
	api, err := client.New(cluster.Config(), client.Options{})
	require.NoError(t, err)
	objects, err := manifests.Objects()
	require.NoError(t, err)
	for _, object := range objects {
		if object.GetKind() == "Deployment" {
			continue // nobody has their images here
		}
		require.NoError(t, api.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(object), client.FieldOwner("test")))
	}

	var certificate corev1.Secret
	require.Eventually(t, func() bool {
		key := client.ObjectKey{Namespace: "configpin-system", Name: "configpin-webhook-certificate"}
		return api.Get(t.Context(), key, &certificate) == nil
	}, patience, 100*time.Millisecond)
	var configuration admissionregistrationv1.MutatingWebhookConfiguration
	require.Eventually(t, func() bool {
		require.NoError(t, api.Get(t.Context(), client.ObjectKey{Name: "zz-configpin"}, &configuration))
		return len(configuration.Webhooks[0].ClientConfig.CABundle) > 0 && len(configuration.Webhooks[1].ClientConfig.CABundle) > 0
	}, patience, 100*time.Millisecond)

	block, _ := pem.Decode(certificate.Data[corev1.TLSCertKey])
	require.NotNil(t, block)
	leaf, err := x509.ParseCertificate(block.Bytes)
	require.NoError(t, err)
	for _, w := range configuration.Webhooks {
		roots := x509.NewCertPool()
		require.True(t, roots.AppendCertsFromPEM(w.ClientConfig.CABundle))
		service := w.ClientConfig.Service
		_, err := leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: service.Name + "." + service.Namespace + ".svc"})
		require.NoError(t, err, w.Name)
	}
}
