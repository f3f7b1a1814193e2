package security

import (
	"context"
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/configpin/configpin/test/lab/pki"
)

// certificatesAreReplaced replaces the authority of the webhook's certificate in
// the three steps that docs/security.md tells, while Deployments are written whose
// writes fail without the webhook.
func (l *lab) certificatesAreReplaced(t *testing.T) {
	w := l.write(t)
	w.goOn(t)

	next := pki.NewAuthority(t, "next")
	require.NoError(t, l.configpin.Trust(t.Context(), slices.Concat(l.cluster.CAPEM(), next.PEM)))
	l.seen(t)
	w.goOn(t)

	renewed := next.Server(t)
	renewed.Write(t, l.configpin.Certificates())
	require.Eventually(t, func() bool { return l.serves(t, renewed) }, patience, pause)
	w.goOn(t)

	require.NoError(t, l.configpin.Trust(t.Context(), next.PEM))
	l.seen(t)
	w.goOn(t)

	again := next.Server(t) // a leaf that is renewed, as it is every few weeks
	again.Write(t, l.configpin.Certificates())
	require.Eventually(t, func() bool { return l.serves(t, again) }, patience, pause)
	w.goOn(t)
	w.stop(t)
}

// serves says whether the webhook serves this certificate.
func (l *lab) serves(t *testing.T, want pki.Pair) bool {
	t.Helper()
	url, err := l.configpin.WebhookURL()
	require.NoError(t, err)
	connection, err := tls.Dial("tcp", strings.TrimPrefix(url, "https://"), &tls.Config{
		InsecureSkipVerify: true, // it is compared
		Certificates:       []tls.Certificate{l.clients.Client(t, callerName).TLS(t)},
	})
	require.NoError(t, err)
	defer connection.Close()
	return connection.ConnectionState().PeerCertificates[0].Equal(want.TLS(t).Leaf)
}

// seen waits until the API server knows of every webhook configuration that was
// written before: it hears of them in their order, and so of one that refuses what
// nobody else writes.
func (l *lab) seen(t *testing.T) {
	t.Helper()
	fail, none, nowhere := admissionregistrationv1.Fail, admissionregistrationv1.SideEffectClassNone, "https://127.0.0.1:1/"
	canary := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{GenerateName: "canary-", Labels: map[string]string{"canary": "yes"}}}
	made, err := l.api.AdmissionregistrationV1().MutatingWebhookConfigurations().Create(t.Context(), &admissionregistrationv1.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "canary-"},
		Webhooks: []admissionregistrationv1.MutatingWebhook{{
			Name:                    "canary.configpin.io",
			ClientConfig:            admissionregistrationv1.WebhookClientConfig{URL: &nowhere},
			ObjectSelector:          &metav1.LabelSelector{MatchLabels: canary.Labels},
			FailurePolicy:           &fail,
			SideEffects:             &none,
			AdmissionReviewVersions: []string{"v1"},
			Rules: []admissionregistrationv1.RuleWithOperations{{
				Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
				Rule:       admissionregistrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"configmaps"}},
			}},
		}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		_, err := l.api.CoreV1().ConfigMaps("default").Create(t.Context(), canary, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return err != nil && strings.Contains(err.Error(), "canary.configpin.io")
	}, patience, pause)
	require.NoError(t, l.api.AdmissionregistrationV1().MutatingWebhookConfigurations().Delete(t.Context(), made.Name, metav1.DeleteOptions{}))
}

const (
	rate        = 200 // writes a second
	deployments = 8
)

// writes go on until they are stopped.
type writes struct {
	began        time.Time
	done, failed atomic.Int64
	end          func()
	ended        sync.WaitGroup
}

// write begins to write some Deployments, as often as the machine can and at most
// at this rate. Each is written by one writer, so that no two conflict.
func (l *lab) write(t *testing.T) *writes {
	t.Helper()
	w := &writes{began: time.Now()}
	namespace := l.namespace(t)
	ctx, end := context.WithCancel(t.Context())
	w.end = end
	t.Cleanup(func() { // whatever fails, nobody may write when the test is over
		end()
		w.ended.Wait()
	})
	for i := range deployments {
		name := fmt.Sprint("web-", i)
		_, err := l.deploy(t.Context(), namespace, name)
		require.NoError(t, err)
		w.ended.Go(func() {
			ticker := time.NewTicker(time.Second * deployments / rate)
			defer ticker.Stop()
			for n := 0; ctx.Err() == nil; n++ {
				<-ticker.C
				if err := l.annotate(context.WithoutCancel(ctx), namespace, name, n); err != nil && w.failed.Add(1) == 1 {
					t.Errorf("the first that failed: %v", err)
				}
				w.done.Add(1)
			}
		})
	}
	return w
}

// annotate writes a Deployment, and returns whether it is still pinned as an error.
func (l *lab) annotate(ctx context.Context, namespace, name string, n int) error {
	patch := fmt.Appendf(nil, `{"metadata": {"annotations": {"written": "%d times"}}}`, n)
	written, err := l.api.AppsV1().Deployments(namespace).Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{})
	if err != nil {
		return err
	}
	return pinned(written)
}

// goOn waits until each Deployment was written many times more.
func (w *writes) goOn(t *testing.T) {
	t.Helper()
	before := w.done.Load()
	require.Eventually(t, func() bool { return w.done.Load() > before+rate }, patience, pause)
}

func (w *writes) stop(t *testing.T) {
	t.Helper()
	w.end()
	w.ended.Wait()
	took := time.Since(w.began)
	t.Logf("%d writes in %s, %.0f a second; %d failed", w.done.Load(), took.Round(time.Second), float64(w.done.Load())/took.Seconds(), w.failed.Load())
	assert.Zero(t, w.failed.Load())
}
