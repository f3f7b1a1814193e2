// Package admission turns an AdmissionReview of a workload into a JSON patch:
// it reads what the decision needs to know, has it decided (package pin), makes
// sure that every snapshot exists before it is named, and answers.
//
// It deliberately never answers "not allowed" to a trouble of its own: the API
// server would reject the person's request, even under failurePolicy Ignore. It
// fails with HTTP 500 instead, and the request passes as if we weren't there.
package admission

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"gomodules.xyz/jsonpatch/v2"
	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/configpin/configpin/internal/cluster/live"
	"github.com/configpin/configpin/internal/pin"
	"github.com/configpin/configpin/internal/wellknown"
	"github.com/configpin/configpin/internal/workload"
)

// objects is where sources and snapshots are read and kept.
type objects interface {
	Serves(kind wellknown.Kind, namespace string) bool
	View(ctx context.Context, namespace string, of *pin.Case) (*live.View, error)
}

// history is where the templates are read that a workload had.
type history interface {
	Templates(ctx context.Context, kind *workload.Kind, namespace, object string) ([]string, error)
}

// admit answers one review.
func (h *Handler) admit(ctx context.Context, r review, namespaceEnabled bool) (admissionv1.AdmissionResponse, error) {
	kind := workload.Lookup(r.group, r.kind)
	if kind == nil || r.subresource != "" || r.operation != admissionv1.Create && r.operation != admissionv1.Update {
		return admissionv1.AdmissionResponse{Allowed: true}, nil
	}
	if !h.Objects.Serves(wellknown.ConfigMap, r.namespace) {
		return admissionv1.AdmissionResponse{Allowed: true}, nil
	}
	request, err := requestOf(kind, r)
	if err != nil {
		return admissionv1.AdmissionResponse{}, err
	}
	request.NamespaceEnabled, request.Hashes = namespaceEnabled, h.Hashes
	c := pin.NewCase(request)
	decision, err := h.decide(ctx, r, c)
	if err != nil {
		return admissionv1.AdmissionResponse{}, err
	}
	report(ctx, r, decision)
	if decision.Denied != "" {
		return admissionv1.AdmissionResponse{
			Result: &metav1.Status{
				Status:  metav1.StatusFailure,
				Code:    http.StatusForbidden,
				Reason:  metav1.StatusReasonForbidden,
				Message: decision.Denied,
			},
			AuditAnnotations: auditAnnotations(decision),
		}, nil
	}
	operations, err := own(c, decision)
	if err != nil { // pins matter more than who owns them
		logf.FromContext(ctx).Error(err, "Leaving managedFields as they are", "workload", klog.KRef(r.namespace, r.name), "kind", r.kind)
	}
	return respond(decision, append(decision.Patch, operations...))
}

func requestOf(kind *workload.Kind, r review) (pin.Request, error) {
	object, err := kind.Read(r.object)
	if err != nil {
		return pin.Request{}, err
	}
	if object.Name == "" {
		object.Name = r.name
	}
	request := pin.Request{New: object}
	if r.operation == admissionv1.Update {
		old, err := kind.Read(r.old)
		if err != nil {
			return pin.Request{}, err
		}
		request.Old = &old
	}
	return request, nil
}

// maxNamed is how many different objects a workload, before and after the write,
// may name. Each is read from the API server, and an object of 1.5 MiB has room for
// 25,000: one write must not become as many. The kubelet reads each of them for
// every Pod, so that nobody comes near.
const maxNamed = 1000

// maxRounds is how often a decision is taken again because a snapshot turned
// out to have another name, or none. Each round settles at least one of three
// names of a source, and nearly all requests take one.
const maxRounds = 10

// decide takes the decision, and makes sure that what it names exists.
func (h *Handler) decide(ctx context.Context, r review, c *pin.Case) (pin.Decision, error) {
	if named := len(c.Wanted()); named > maxNamed {
		return pin.Decision{}, fmt.Errorf("deciding about %s %s/%s: it names %d objects, more than %d", r.kind, r.namespace, r.name, named, maxNamed)
	}
	view, err := h.Objects.View(ctx, r.namespace, c)
	if err != nil {
		return pin.Decision{}, err
	}
	h.remember(ctx, r, c)
	h.reportHidden(ctx, r, c.Hidden())
	for range maxRounds {
		decision := c.Decide()
		if decision.Denied != "" {
			return decision, nil
		}
		if err := pin.Fits(c.Request().New, decision.Patch); err != nil { // before snapshots that can't be made make it smaller
			return pin.Decision{}, fmt.Errorf("patching %s %s/%s: %w", r.kind, r.namespace, r.name, err)
		}
		settled, err := view.Keep(ctx, decision.Outcomes, r.dryRun)
		if err != nil {
			return pin.Decision{}, err
		}
		if settled {
			return decision, nil
		}
	}
	return pin.Decision{}, fmt.Errorf("deciding about %s %s/%s: its snapshots come and go", r.kind, r.namespace, r.name)
}

// remember looks for the templates that the workload had before, where these matter. What
// can't be read makes nobody wait or fail: the workload is given what its sources hold
// then, as a new template is.
func (h *Handler) remember(ctx context.Context, r review, c *pin.Case) {
	if h.History == nil || !c.AsksHistory() {
		return
	}
	if deadline, bounded := ctx.Deadline(); bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)/2) // the rest is for snapshots
		defer cancel()
	}
	kept, err := h.History.Templates(ctx, c.Request().New.Kind, r.namespace, r.old)
	if err != nil {
		logf.FromContext(ctx).Error(err, "Looking for an undo", "workload", klog.KRef(r.namespace, r.name), "kind", r.kind)
		return
	}
	c.Remember(kept)
}

func respond(decision pin.Decision, operations []jsonpatch.Operation) (admissionv1.AdmissionResponse, error) {
	response := admissionv1.AdmissionResponse{
		Allowed:          true,
		Warnings:         decision.Warnings,
		AuditAnnotations: auditAnnotations(decision),
	}
	if len(operations) == 0 {
		return response, nil
	}
	patch, err := json.Marshal(operations)
	if err != nil {
		return admissionv1.AdmissionResponse{}, fmt.Errorf("writing the patch: %w", err)
	}
	patchType := admissionv1.PatchTypeJSONPatch
	response.Patch, response.PatchType = patch, &patchType
	return response, nil
}

// auditAnnotations carry, in the audit log, what was decided per source and why.
func auditAnnotations(decision pin.Decision) map[string]string {
	if len(decision.Outcomes) == 0 {
		return nil
	}
	var sentences []string
	for _, outcome := range decision.Outcomes {
		sentences = append(sentences, fmt.Sprintf("%s=%s (%s)", outcome.Source, outcome.Name, outcome.Reason))
	}
	return map[string]string{"decision": strings.Join(sentences, ", ")}
}

func report(ctx context.Context, r review, decision pin.Decision) {
	log := logf.FromContext(ctx)
	for _, outcome := range decision.Outcomes {
		decisions.WithLabelValues(string(outcome.Reason)).Inc()
		log.V(1).Info("Decided", "workload", klog.KRef(r.namespace, r.name), "kind", r.kind,
			"snapshot", outcome.Name, "reason", outcome.Reason)
	}
}
