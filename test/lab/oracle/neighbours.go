package oracle

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"

	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"
)

// The names of two webhook configurations that the API server calls right before
// and right after ours, zz-configpin: it calls them in the order of their names.
const (
	neighbourBefore = "zy-oracle"
	neighbourAfter  = "zz-oracle"
)

// neighbours serves both. They admit everything as it is, and aren't called again
// when somebody else changes an object.
type neighbours struct {
	api    kubernetes.Interface
	server *httptest.Server
}

// settle has the API server call them for workloads of namespaces with a label.
func settle(ctx context.Context, api kubernetes.Interface, label string, seen *reviews) (*neighbours, error) {
	mux := http.NewServeMux()
	mux.Handle("/before", admitting(seen.before))
	mux.Handle("/after", admitting(seen.after))
	n := &neighbours{api: api, server: httptest.NewUnstartedServer(mux)}
	n.server.Config.ErrorLog = log.New(io.Discard, "", 0) // API servers that were killed hang up
	n.server.StartTLS()
	for name, path := range map[string]string{neighbourBefore: "/before", neighbourAfter: "/after"} {
		_, err := api.AdmissionregistrationV1().MutatingWebhookConfigurations().
			Create(ctx, n.configuration(name, path, label), metav1.CreateOptions{})
		if err != nil {
			return nil, errors.Join(fmt.Errorf("installing %s: %w", name, err), n.leave(ctx))
		}
	}
	return n, nil
}

// leave removes them again.
func (n *neighbours) leave(ctx context.Context) error {
	defer n.server.Close()
	for _, name := range []string{neighbourBefore, neighbourAfter} {
		err := n.api.AdmissionregistrationV1().MutatingWebhookConfigurations().Delete(ctx, name, metav1.DeleteOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("removing %s: %w", name, err)
		}
	}
	return nil
}

// configuration has the rules of ours. A failure of the oracle is nobody else's.
func (n *neighbours) configuration(name, path, label string) *admissionregistrationv1.MutatingWebhookConfiguration {
	rule := func(group string, resources ...string) admissionregistrationv1.RuleWithOperations {
		return admissionregistrationv1.RuleWithOperations{
			Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create, admissionregistrationv1.Update},
			Rule:       admissionregistrationv1.Rule{APIGroups: []string{group}, APIVersions: []string{"v1"}, Resources: resources},
		}
	}
	return &admissionregistrationv1.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Webhooks: []admissionregistrationv1.MutatingWebhook{{
			Name: "oracle.example.com",
			ClientConfig: admissionregistrationv1.WebhookClientConfig{
				URL:      ptr.To(n.server.URL + path),
				CABundle: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: n.server.Certificate().Raw}),
			},
			NamespaceSelector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
				{Key: label, Operator: metav1.LabelSelectorOpExists},
			}},
			Rules: []admissionregistrationv1.RuleWithOperations{
				rule("apps", "deployments", "statefulsets", "daemonsets"),
				rule("batch", "cronjobs", "jobs"),
			},
			FailurePolicy:           ptr.To(admissionregistrationv1.Ignore),
			MatchPolicy:             ptr.To(admissionregistrationv1.Equivalent),
			ReinvocationPolicy:      ptr.To(admissionregistrationv1.NeverReinvocationPolicy),
			SideEffects:             ptr.To(admissionregistrationv1.SideEffectClassNone),
			AdmissionReviewVersions: []string{"v1"},
		}},
	}
}

// admitting admits each request, after somebody has looked at it.
func admitting(look func(*admissionv1.AdmissionRequest)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		var review admissionv1.AdmissionReview
		if err := json.NewDecoder(request.Body).Decode(&review); err != nil || review.Request == nil {
			http.Error(w, "no review", http.StatusBadRequest)
			return
		}
		look(review.Request)
		review.Response = &admissionv1.AdmissionResponse{UID: review.Request.UID, Allowed: true}
		review.Request = nil
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(review) // a caller that hung up doesn't want to know
	})
}
