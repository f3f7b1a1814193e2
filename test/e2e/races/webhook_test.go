package races

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/semaphore"
	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"

	"github.com/configpin/configpin/internal/admission"
	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/cluster/live"
	"github.com/configpin/configpin/manifests"
)

// pathStore is where the API server asks last, when all mutating webhooks have
// answered: the moment before it stores an object.
const pathStore = "/store"

// webhook is configpin's webhook in this process, and one that sees what comes
// after it. Requests of workloads that have a gate pass through it.
type webhook struct {
	config *rest.Config
	plain  http.Handler

	mutex sync.Mutex
	gates map[types.NamespacedName]*gate

	mutated, stored atomic.Int64
}

// serveWebhook serves both webhooks, and has the API server call them.
func serveWebhook(t *testing.T, l *lab) *webhook {
	t.Helper()
	objects, err := cluster.Connect(l.config, everything, nil)
	require.NoError(t, err)
	w := &webhook{config: l.config, plain: handler(objects), gates: map[types.NamespacedName]*gate{}}
	mux := http.NewServeMux()
	mux.HandleFunc(pathStore, w.store)
	mux.HandleFunc("/", w.mutate)
	server := httptest.NewTLSServer(mux)
	t.Cleanup(server.Close)
	w.register(t, l, server)
	return w
}

func handler(objects *cluster.Objects) http.Handler {
	return (&admission.Handler{Objects: live.NewViews(objects), Slots: semaphore.NewWeighted(64)}).Mux()
}

// guard has the requests of a workload pass through a gate until the test ends.
func (w *webhook) guard(workload types.NamespacedName, g *gate) (unguard func()) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.gates[workload] = g
	return func() {
		w.mutex.Lock()
		defer w.mutex.Unlock()
		delete(w.gates, workload)
	}
}

// gateOf is the gate for a request, or nil: controllers write workloads as well, and
// aren't those who race.
func (w *webhook) gateOf(request *admissionv1.AdmissionRequest) *gate {
	if strings.HasPrefix(request.UserInfo.Username, "system:serviceaccount:kube-system:") {
		return nil
	}
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return w.gates[types.NamespacedName{Namespace: request.Namespace, Name: request.Name}]
}

func (w *webhook) mutate(answer http.ResponseWriter, request *http.Request) {
	w.mutated.Add(1)
	review, body, err := readReview(request)
	if err != nil {
		http.Error(answer, err.Error(), http.StatusBadRequest)
		return
	}
	request.Body = io.NopCloser(bytes.NewReader(body))
	g := w.gateOf(review.Request)
	if g == nil {
		w.plain.ServeHTTP(answer, request)
		return
	}
	// It gets a handler of its own: reads that requests share would be on nobody's
	// side.
	config := rest.CopyConfig(w.config)
	config.Wrap(g.before)
	objects, err := cluster.Connect(config, everything, nil)
	if err != nil {
		http.Error(answer, err.Error(), http.StatusInternalServerError)
		return
	}
	handler(objects).ServeHTTP(answer, request)
}

func (w *webhook) store(answer http.ResponseWriter, request *http.Request) {
	w.stored.Add(1)
	review, _, err := readReview(request)
	if err != nil {
		http.Error(answer, err.Error(), http.StatusBadRequest)
		return
	}
	if g := w.gateOf(review.Request); g != nil {
		if err := g.step(request.Context(), func() {}); err != nil {
			http.Error(answer, err.Error(), http.StatusInternalServerError)
			return
		}
	}
	review.Response = &admissionv1.AdmissionResponse{UID: review.Request.UID, Allowed: true}
	review.Request = nil
	answer.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(answer).Encode(review) // a caller that hung up doesn't want to know
}

func readReview(request *http.Request) (review admissionv1.AdmissionReview, body []byte, err error) {
	if body, err = io.ReadAll(request.Body); err == nil {
		err = json.Unmarshal(body, &review)
	}
	if err == nil && review.Request == nil {
		review.Request = &admissionv1.AdmissionRequest{}
	}
	return review, body, err
}

// patience is for how long the API server waits for a webhook: as long as it can,
// since here somebody else goes first. A webhook that isn't waited for any more
// makes the request fail, so that the test sees it.
const patience = 30

// register has the API server call the webhooks, and returns when it does.
func (w *webhook) register(t *testing.T, l *lab, server *httptest.Server) {
	t.Helper()
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	mutating := mutatingWebhooks(t)
	for i := range mutating.Webhooks {
		m := &mutating.Webhooks[i]
		m.ClientConfig = admissionregistrationv1.WebhookClientConfig{URL: ptr.To(server.URL + *m.ClientConfig.Service.Path), CABundle: authority}
		m.TimeoutSeconds, m.FailurePolicy = ptr.To[int32](patience), ptr.To(admissionregistrationv1.Fail)
	}
	validating := &admissionregistrationv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "store"},
		Webhooks: []admissionregistrationv1.ValidatingWebhook{{
			Name:         "store.example.com",
			ClientConfig: admissionregistrationv1.WebhookClientConfig{URL: ptr.To(server.URL + pathStore), CABundle: authority},
			Rules: []admissionregistrationv1.RuleWithOperations{{
				Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create, admissionregistrationv1.Update},
				Rule:       admissionregistrationv1.Rule{APIGroups: []string{"apps"}, APIVersions: []string{"v1"}, Resources: []string{"deployments"}},
			}},
			FailurePolicy:           ptr.To(admissionregistrationv1.Fail),
			SideEffects:             ptr.To(admissionregistrationv1.SideEffectClassNone),
			TimeoutSeconds:          ptr.To[int32](patience),
			AdmissionReviewVersions: []string{"v1"},
		}},
	}
	registrations := l.api.AdmissionregistrationV1()
	_, err := registrations.MutatingWebhookConfigurations().Create(t.Context(), mutating, metav1.CreateOptions{})
	require.NoError(t, err)
	_, err = registrations.ValidatingWebhookConfigurations().Create(t.Context(), validating, metav1.CreateOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { // controllers go on for a while, and nobody answers them any more
		ctx := context.WithoutCancel(t.Context())
		_ = registrations.MutatingWebhookConfigurations().Delete(ctx, mutating.Name, metav1.DeleteOptions{})
		_ = registrations.ValidatingWebhookConfigurations().Delete(ctx, validating.Name, metav1.DeleteOptions{})
	})
	asked := deployment("default", "asked", "asked")
	eventually(t, "the API server calls both webhooks", func() bool {
		_, err := l.api.AppsV1().Deployments("default").Create(t.Context(), asked, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return err == nil && w.mutated.Load() > 0 && w.stored.Load() > 0
	})
}

// mutatingWebhooks are those that are installed.
func mutatingWebhooks(t *testing.T) *admissionregistrationv1.MutatingWebhookConfiguration {
	t.Helper()
	objects, err := manifests.Objects()
	require.NoError(t, err)
	for _, object := range objects {
		if object.GetKind() == "MutatingWebhookConfiguration" {
			var found admissionregistrationv1.MutatingWebhookConfiguration
			require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &found))
			return &found
		}
	}
	require.FailNow(t, "there is no MutatingWebhookConfiguration in manifests/")
	return nil
}
