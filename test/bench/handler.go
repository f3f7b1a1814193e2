package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"golang.org/x/sync/semaphore"
	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	admissionv1 "k8s.io/api/admission/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/configpin/configpin/internal/admission"
	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/cluster/live"
	"github.com/configpin/configpin/internal/wellknown"
)

// The budget of the handler.
const (
	handlerMedian = 300 * time.Microsecond
	handlerP99    = 2 * time.Millisecond
)

// What the handler is asked about: 40 refs, of 20 containers, to 5 sources.
const (
	handlerContainers = 20
	handlerSources    = 5
	handlerSourceSize = 4 << 10
)

// handler compares the admission handler with one that reads a review and
// allows it.
func (b *bench) handler(ctx context.Context) ([]row, error) {
	store := &memory{known: map[string]*corev1.ConfigMap{}}
	for i := range handlerSources {
		source := configMap(sourceName(i), strings.Repeat("x", handlerSourceSize))
		store.known[source.Name] = versioned(source)
	}
	ours := (&admission.Handler{Objects: live.NewViews(cluster.NewObjects(store, cluster.Scope{Namespaces: cluster.Everywhere}, nil)), Slots: semaphore.NewWeighted(256)}).Mux()
	cases, err := reviews(ctx, ours)
	if err != nil {
		return nil, err
	}
	var rows []row
	for _, c := range cases {
		b.say("handler: %s, %d reviews of %d KiB", c.what, b.reviews, len(c.body)>>10)
		var measured, floor samples
		for range b.reviews {
			if err := measured.timed(func() error { return answered(ctx, ours, c.body) }); err != nil {
				return nil, err
			}
			if err := floor.timed(func() error { return answered(ctx, http.HandlerFunc(allow), c.body) }); err != nil {
				return nil, err
			}
		}
		rows = append(rows, row{
			what:     "handler, " + c.what,
			measured: measured.String(),
			floor:    "decode and allow: " + floor.String(),
			ratio:    times(measured.ratio(floor)),
			budget:   fmt.Sprintf("p50 <= %s, p99 <= %s", text(handlerMedian), text(handlerP99)),
			verdict:  judge(measured.median() <= handlerMedian && measured.p99() <= handlerP99),
		})
	}
	return rows, nil
}

func sourceName(i int) string { return fmt.Sprintf("source-%d", i) }

// allow is what a webhook does that has nothing to do.
func allow(w http.ResponseWriter, request *http.Request) {
	raw, err := io.ReadAll(request.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	var review admissionv1.AdmissionReview
	if err := json.Unmarshal(raw, &review); err != nil || review.Request == nil {
		http.Error(w, "not a review", http.StatusBadRequest)
		return
	}
	review.Response = &admissionv1.AdmissionResponse{UID: review.Request.UID, Allowed: true}
	review.Request = nil
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(review) // who hung up doesn't want to know
}

func post(ctx context.Context, handler http.Handler, body []byte) *httptest.ResponseRecorder {
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, httptest.NewRequestWithContext(ctx, http.MethodPost, admission.PathWorkload+"?timeout=3s", bytes.NewReader(body)))
	return recorder
}

func answered(ctx context.Context, handler http.Handler, body []byte) error {
	if recorder := post(ctx, handler, body); recorder.Code != http.StatusOK {
		return fmt.Errorf("the handler answers %d: %s", recorder.Code, recorder.Body)
	}
	return nil
}

// reviewCase is a review that is measured.
type reviewCase struct {
	what string
	body []byte
}

// reviews makes the cases out of each other, as an API server would.
func reviews(ctx context.Context, handler http.Handler) ([]reviewCase, error) {
	manifest := manyContainers()
	create, err := reviewOf(manifest, nil)
	if err != nil {
		return nil, err
	}
	pinned, err := patched(ctx, handler, manifest, create)
	if err != nil {
		return nil, err
	}
	annotated := pinned.DeepCopy()
	annotated.Annotations = map[string]string{"example.com/changed": "yes"}
	update, err := reviewOf(annotated, pinned)
	if err != nil {
		return nil, err
	}
	reapplied := pinned.DeepCopy()
	reapplied.Spec.Template.Spec = *manifest.Spec.Template.Spec.DeepCopy()
	reapply, err := reviewOf(reapplied, pinned)
	return []reviewCase{{"steady update", update}, {"create", create}, {"re-apply", reapply}}, err
}

func reviewOf(object, old *appsv1.Deployment) ([]byte, error) {
	request := &admissionv1.AdmissionRequest{
		UID:       "1",
		Kind:      metav1.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"},
		Resource:  metav1.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"},
		Name:      object.Name,
		Namespace: object.Namespace,
		Operation: admissionv1.Create,
	}
	var err error
	if request.Object.Raw, err = stored(object); err != nil {
		return nil, err
	}
	if old != nil {
		request.Operation = admissionv1.Update
		if request.OldObject.Raw, err = stored(old); err != nil {
			return nil, err
		}
	}
	return json.Marshal(admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: admissionv1.SchemeGroupVersion.String(), Kind: "AdmissionReview"},
		Request:  request,
	})
}

// patched is what the API server stores after the handler's answer.
func patched(ctx context.Context, handler http.Handler, object *appsv1.Deployment, body []byte) (*appsv1.Deployment, error) {
	recorder := post(ctx, handler, body)
	var review admissionv1.AdmissionReview
	if err := json.Unmarshal(recorder.Body.Bytes(), &review); err != nil {
		return nil, fmt.Errorf("reading the handler's answer %q: %w", recorder.Body, err)
	}
	patch, err := jsonpatch.DecodePatch(review.Response.Patch)
	if err != nil {
		return nil, fmt.Errorf("reading the handler's patch: %w", err)
	}
	raw, err := json.Marshal(object)
	if err != nil {
		return nil, err
	}
	if raw, err = patch.Apply(raw); err != nil {
		return nil, fmt.Errorf("applying the handler's patch: %w", err)
	}
	var pinned appsv1.Deployment
	if err := json.Unmarshal(raw, &pinned); err != nil {
		return nil, err
	}
	if pinned.Spec.Template.Annotations[wellknown.Pins] == "" {
		return nil, fmt.Errorf("the handler pins nothing: %s", recorder.Body)
	}
	return &pinned, nil
}

// stored is an object as the API server sends it to webhooks: whoever applied
// it owns every field.
func stored(object *appsv1.Deployment) ([]byte, error) {
	raw, err := json.Marshal(object)
	if err != nil {
		return nil, err
	}
	var content map[string]any
	if err := json.Unmarshal(raw, &content); err != nil {
		return nil, err
	}
	owned, err := json.Marshal(fields(map[string]any{"metadata": map[string]any{"labels": object.Labels}, "spec": content["spec"]}))
	if err != nil {
		return nil, err
	}
	object = object.DeepCopy()
	object.ManagedFields = []metav1.ManagedFieldsEntry{{
		Manager:    "kubectl",
		Operation:  metav1.ManagedFieldsOperationApply,
		APIVersion: "apps/v1",
		FieldsType: "FieldsV1",
		FieldsV1:   metav1.NewFieldsV1(string(owned)),
	}}
	return json.Marshal(object)
}

// fields is the set of all fields of a value, in the form of managedFields.
func fields(value any) map[string]any {
	owned := map[string]any{}
	switch value := value.(type) {
	case map[string]any:
		for key, field := range value {
			owned["f:"+key] = fields(field)
		}
	case []any:
		for _, element := range value {
			if named, _ := element.(map[string]any); named["name"] != nil { // others are owned as a whole
				owned[fmt.Sprintf(`k:{"name":%q}`, named["name"])] = fields(element)
			}
		}
	}
	return owned
}

// manyContainers is the Deployment of the budget, as the API server fills it in.
func manyContainers() *appsv1.Deployment {
	d := deployment("many", map[string]string{wellknown.Enabled: wellknown.True})
	d.Spec.Template.Spec.Containers = nil
	for i := range handlerContainers {
		c := container(fmt.Sprintf("container-%d", i))
		c.EnvFrom = []corev1.EnvFromSource{envFrom(sourceName(i % handlerSources))}
		c.Env = []corev1.EnvVar{{Name: "LEVEL", Value: "info"}, {
			Name: "KEY",
			ValueFrom: &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{
				LocalObjectReference: corev1.LocalObjectReference{Name: sourceName((i + 1) % handlerSources)},
				Key:                  "key",
			}},
		}}
		d.Spec.Template.Spec.Containers = append(d.Spec.Template.Spec.Containers, c)
	}
	return d
}
