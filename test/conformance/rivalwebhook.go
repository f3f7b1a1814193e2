package conformance

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"sync/atomic"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gomodules.xyz/jsonpatch/v2"
	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// rivalWebhook is somebody else's mutating webhook for the workloads of one
// namespace, served by this test.
type rivalWebhook struct {
	// order is the beginning of its configuration's name: webhooks run in the order
	// of these names.
	order string

	// reinvoked says that it is called again when somebody else changed the object
	// after it.
	reinvoked bool

	// change changes the object of a request.
	change func(request *admissionv1.AdmissionRequest, object *unstructured.Unstructured)

	calls atomic.Int64
}

// Where a webhook comes in the order.
const (
	beforeOurs = "aa-"
	afterOurs  = "zzz-"
)

// install has the API server call the webhook until the returned function is
// called, or the scenario ends.
func (r *rivalWebhook) install(s *space) (remove func()) {
	s.t.Helper()
	server := httptest.NewTLSServer(http.HandlerFunc(r.serve))
	s.t.Cleanup(server.Close)
	policy := admissionregistrationv1.NeverReinvocationPolicy
	if r.reinvoked {
		policy = admissionregistrationv1.IfNeededReinvocationPolicy
	}
	configuration := &admissionregistrationv1.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: r.order + s.name},
		Webhooks: []admissionregistrationv1.MutatingWebhook{{
			Name: "rival.example.com",
			ClientConfig: admissionregistrationv1.WebhookClientConfig{
				URL:      ptr.To(server.URL),
				CABundle: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}),
			},
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": s.name}},
			Rules: []admissionregistrationv1.RuleWithOperations{{
				Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create, admissionregistrationv1.Update},
				Rule:       admissionregistrationv1.Rule{APIGroups: []string{"apps"}, APIVersions: []string{"v1"}, Resources: []string{"deployments"}},
			}},
			SideEffects:             ptr.To(admissionregistrationv1.SideEffectClassNone),
			ReinvocationPolicy:      &policy,
			AdmissionReviewVersions: []string{"v1"},
		}},
	}
	require.NoError(s.t, s.api.Create(s.t.Context(), configuration))
	remove = func() {
		err := s.api.Delete(context.WithoutCancel(s.t.Context()), configuration)
		assert.NoError(s.t, client.IgnoreNotFound(err))
	}
	s.t.Cleanup(remove)
	asked := manifest(s.t, plainWorkload(s.t, "Deployment", "asked"))
	s.eventually("the API server calls the webhook", func() (string, bool) {
		out, err := s.tryKubectl(asked, "create", "--filename=-", "--dry-run=server")
		return out.err, err == nil && r.calls.Load() > 0
	})
	return remove
}

func (r *rivalWebhook) serve(w http.ResponseWriter, request *http.Request) {
	var review admissionv1.AdmissionReview
	if err := json.NewDecoder(request.Body).Decode(&review); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.calls.Add(1)
	response, err := r.answer(review.Request)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	review.Request, review.Response = nil, response
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(review) // a caller that hung up doesn't want to know
}

func (r *rivalWebhook) answer(request *admissionv1.AdmissionRequest) (*admissionv1.AdmissionResponse, error) {
	object := &unstructured.Unstructured{}
	if err := json.Unmarshal(request.Object.Raw, object); err != nil {
		return nil, err
	}
	r.change(request, object)
	changed, err := json.Marshal(object)
	if err != nil {
		return nil, err
	}
	operations, err := jsonpatch.CreatePatch(request.Object.Raw, changed) //nolint:forbidigo // it plays those that know no better
	if err != nil {
		return nil, err
	}
	patch, err := json.Marshal(operations)
	if err != nil {
		return nil, err
	}
	patchType := admissionv1.PatchTypeJSONPatch
	return &admissionv1.AdmissionResponse{UID: request.UID, Allowed: true, Patch: patch, PatchType: &patchType}, nil
}
