package admission_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/semaphore"

	"github.com/configpin/configpin/internal/admission"
	"github.com/configpin/configpin/internal/cluster/live"
	"github.com/configpin/configpin/internal/pin"
	"github.com/configpin/configpin/internal/wellknown"
)

// objects is a cluster that does what a test says.
type objects func(ctx context.Context) (*live.View, error)

func (f objects) Serves(_ wellknown.Kind, namespace string) bool { return namespace != "zoo" }

func (f objects) View(ctx context.Context, _ string, _ *pin.Case) (*live.View, error) {
	return f(ctx)
}

const body = `{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
	"uid": "1", "operation": "CREATE", "namespace": "shop", "kind": {"group": "apps", "version": "v1", "kind": "Deployment"},
	"object": {"metadata": {"name": "web", "labels": {"configpin.io/enabled": "true"}}, "spec": {"template": {"spec": {}}}}}}`

func send(t *testing.T, handler admission.Handler, method, path, body string) *httptest.ResponseRecorder {
	t.Helper()
	if handler.Slots == nil {
		handler.Slots = semaphore.NewWeighted(1)
	}
	recorder := httptest.NewRecorder()
	handler.Mux().ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body)))
	return recorder
}

// TestStatus: what isn't a decision is never answered as one, because any
// "not allowed" rejects the person's request.
func TestStatus(t *testing.T) {
	empty := objects(func(context.Context) (*live.View, error) { return &live.View{}, nil })
	for name, test := range map[string]struct {
		objects      objects
		method, path string
		body         string
		status       int
		answer       string
	}{
		"a review":        {objects: empty, body: body, status: http.StatusOK, answer: `"allowed":true`},
		"not JSON":        {body: `{`, status: http.StatusBadRequest, answer: "configpin: body is not JSON"},
		"an empty body":   {status: http.StatusBadRequest, answer: "configpin: body is not JSON"},
		"another kind":    {body: `{"kind": "List"}`, status: http.StatusBadRequest, answer: "not an AdmissionReview of admission.k8s.io/v1 with a request"},
		"another version": {body: strings.Replace(body, "k8s.io/v1", "k8s.io/v1beta1", 1), status: http.StatusBadRequest, answer: "not an AdmissionReview"},
		"no request":      {body: `{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"}`, status: http.StatusBadRequest, answer: "not an AdmissionReview"},
		"a deep body":     {body: strings.Repeat(`[`, 1<<20), status: http.StatusBadRequest, answer: "nested more than 10000 levels deep"},
		"a large body":    {body: strings.Repeat(" ", 7<<20+1), status: http.StatusRequestEntityTooLarge, answer: "body is larger than 7340032 bytes"},
		"another method":  {method: http.MethodGet, status: http.StatusMethodNotAllowed},
		"another path":    {path: "/", status: http.StatusNotFound},
		"no template":     {body: strings.Replace(body, `"spec": {"template": {"spec": {}}}`, `"spec": {}`, 1), status: http.StatusInternalServerError, answer: `reading Deployment "web"`},
		"trouble":         {objects: func(context.Context) (*live.View, error) { return nil, errors.New("trouble") }, body: body, status: http.StatusInternalServerError, answer: "configpin: trouble"},
		"a panic":         {objects: func(context.Context) (*live.View, error) { panic("trouble") }, body: body, status: http.StatusInternalServerError, answer: "configpin: internal error\n"},
		"of a namespace that isn't served": {
			objects: func(context.Context) (*live.View, error) { panic("it isn't read") },
			body:    strings.Replace(body, `"shop"`, `"zoo"`, 1), status: http.StatusOK, answer: `"allowed":true`,
		},
		"a delete":         {body: strings.Replace(body, "CREATE", "DELETE", 1), status: http.StatusOK, answer: `"allowed":true`},
		"of a subresource": {body: strings.Replace(body, `"uid"`, `"subResource": "scale", "uid"`, 1), status: http.StatusOK, answer: `"allowed":true`},
	} {
		t.Run(name, func(t *testing.T) {
			if test.method == "" {
				test.method = http.MethodPost
			}
			if test.path == "" {
				test.path = admission.PathWorkload
			}
			got := send(t, admission.Handler{Objects: test.objects}, test.method, test.path, test.body)
			assert.Equal(t, test.status, got.Code)
			assert.Contains(t, got.Body.String(), test.answer)
			if test.status != http.StatusOK {
				assert.NotContains(t, got.Body.String(), "allowed")
			}
		})
	}
}

func TestNamespaceOptsIn(t *testing.T) {
	unlabelled := strings.Replace(body, `"configpin.io/enabled": "true"`, "", 1)
	handler := admission.Handler{Objects: objects(func(context.Context) (*live.View, error) { return &live.View{}, nil })}
	assert.Contains(t, send(t, handler, http.MethodPost, admission.PathNamespace, unlabelled).Body.String(), `"patch":`, "stamped")
	assert.NotContains(t, send(t, handler, http.MethodPost, admission.PathWorkload, unlabelled).Body.String(), `"patch":`)
}

func TestReviewsBeyondTheSlotsWait(t *testing.T) {
	handler := admission.Handler{
		Objects: objects(func(context.Context) (*live.View, error) { return &live.View{}, nil }),
		Slots:   semaphore.NewWeighted(1),
	}
	require.True(t, handler.Slots.TryAcquire(1))
	got := send(t, handler, http.MethodPost, admission.PathWorkload+"?timeout=10ms", body)
	assert.Equal(t, http.StatusServiceUnavailable, got.Code)
	handler.Slots.Release(1)
	assert.Equal(t, http.StatusOK, send(t, handler, http.MethodPost, admission.PathWorkload, body).Code)
	assert.True(t, handler.Slots.TryAcquire(1), "given back")
}

func TestTheCallerSaysHowLongItWaits(t *testing.T) {
	for query, want := range map[string]time.Duration{
		"?timeout=3s": 3 * time.Second,
		"?timeout=1h": 30 * time.Second,
		"?timeout=-1": 30 * time.Second,
		"":            30 * time.Second,
	} {
		var left time.Duration
		handler := admission.Handler{Objects: objects(func(ctx context.Context) (*live.View, error) {
			deadline, _ := ctx.Deadline()
			left = time.Until(deadline)
			return &live.View{}, nil
		})}
		send(t, handler, http.MethodPost, admission.PathWorkload+query, body)
		assert.LessOrEqual(t, left, want, query)
		assert.Greater(t, left, want-3*time.Second, query)
	}
}
