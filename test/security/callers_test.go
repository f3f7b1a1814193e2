package security

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/configpin/configpin/test/lab/pki"
)

func (l *lab) theAPIServerIsAnswered(t *testing.T) {
	made, err := l.deploy(t.Context(), l.namespace(t), "web")
	require.NoError(t, err)
	assert.NoError(t, pinned(made))
}

func (l *lab) nobodyElseIsAnswered(t *testing.T) {
	namespace := l.namespace(t)
	strangers := pki.NewAuthority(t, "strangers")
	for name, test := range map[string]struct {
		shown   []tls.Certificate
		refused string
	}{
		"without a certificate":                   {nil, "certificate required"},
		"with one of another authority":           {[]tls.Certificate{strangers.Client(t, callerName).TLS(t)}, "bad certificate"},
		"with another name":                       {[]tls.Certificate{l.clients.Client(t, "somebody").TLS(t)}, "bad certificate"},
		"with the serving certificate":            {[]tls.Certificate{l.serving(t)}, "bad certificate"},
		"with what the cluster gives its kubelet": {[]tls.Certificate{l.kubelet(t)}, "bad certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, of := range []string{namespace, "there-is-no-such-namespace"} {
				status, answer, err := l.forge(t, of, test.shown)
				assert.ErrorContains(t, err, test.refused)
				assert.Zero(t, status)
				assert.Empty(t, answer)
			}
		})
	}
	status, answer, err := l.forge(t, namespace, []tls.Certificate{l.clients.Client(t, callerName).TLS(t)})
	require.NoError(t, err, "or it would be refused for another reason")
	assert.Equal(t, http.StatusOK, status)
	assert.Contains(t, answer, `"patch":`)
}

// forge posts a review that no API server sent, whatever certificate is asked for.
func (l *lab) forge(t *testing.T, namespace string, shown []tls.Certificate) (status int, answer string, err error) {
	t.Helper()
	object, err := json.Marshal(deployment("web"))
	require.NoError(t, err)
	review, err := json.Marshal(admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "admission.k8s.io/v1", Kind: "AdmissionReview"},
		Request: &admissionv1.AdmissionRequest{
			UID: "forged", Namespace: namespace, Name: "web", Operation: admissionv1.Create,
			Kind:   metav1.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"},
			Object: runtime.RawExtension{Raw: object},
		},
	})
	require.NoError(t, err)
	url, err := l.configpin.WebhookURL()
	require.NoError(t, err)
	config := &tls.Config{InsecureSkipVerify: true} // who the webhook is doesn't matter to who forges
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		if len(shown) == 0 {
			return &tls.Certificate{}, nil
		}
		return &shown[0], nil
	}
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}
	response, err := client.Post(url+"/mutate", "application/json", bytes.NewReader(review))
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return response.StatusCode, string(text), err
}

func (l *lab) serving(t *testing.T) tls.Certificate {
	t.Helper()
	folder := l.configpin.Certificates()
	return pki.Pair{Certificate: readFile(t, folder, "tls.crt"), Key: readFile(t, folder, "tls.key")}.TLS(t)
}

func (l *lab) kubelet(t *testing.T) tls.Certificate {
	t.Helper()
	config, err := l.cluster.ConfigFor("system:node:node-0", "system:nodes")
	require.NoError(t, err)
	return pki.Pair{Certificate: config.CertData, Key: config.KeyData}.TLS(t)
}
