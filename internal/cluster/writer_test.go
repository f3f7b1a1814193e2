package cluster

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"

	"github.com/configpin/configpin/internal/workload"
)

// touching is what becomes of a touch of a Deployment that an API server answers so.
func touching(t *testing.T, dryRun bool, answer http.HandlerFunc) (Touched, error) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		answer(w, r)
	}))
	defer server.Close()
	writer, err := NewWriter(&rest.Config{Host: server.URL}, "somebody")
	require.NoError(t, err)
	return writer.Touch(t.Context(), Workload{workload.Lookup("apps", "Deployment"), "shop", "web"}, dryRun)
}

// TestATouchChangesNothing: whatever stood in it would be written by it, and owned.
func TestATouchChangesNothing(t *testing.T) {
	for dryRun, query := range map[bool]string{false: "fieldManager=somebody", true: "dryRun=All&fieldManager=somebody"} {
		touched, err := touching(t, dryRun, func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			assert.NoError(t, err)
			assert.Equal(t, "{}", string(body))
			assert.Equal(t, "PATCH /apis/apps/v1/namespaces/shop/deployments/web", r.Method+" "+r.URL.Path)
			assert.Equal(t, "application/merge-patch+json", r.Header.Get("Content-Type"))
			assert.Equal(t, "application/json", r.Header.Get("Accept"))
			assert.Equal(t, query, r.URL.Query().Encode())
			w.Header().Add("Warning", `299 - "configmap/app: pinned to app-1"`)
			_, _ = w.Write([]byte(`{"metadata": {"name": "web", "namespace": "shop"}, "spec": {"template": {"spec": {}}}}`))
		})
		require.NoError(t, err)
		assert.Equal(t, "web", touched.Object.Name)
		assert.Equal(t, []string{"configmap/app: pinned to app-1"}, touched.Warnings)
	}
}

// TestTouchSaysWhoRefuses: the text goes into an Event, for somebody who looks for
// the policy that is in the way.
func TestTouchSaysWhoRefuses(t *testing.T) {
	_, err := touching(t, false, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		_, _ = w.Write([]byte(`{"kind":"Status","apiVersion":"v1","status":"Failure","message":"policy 'x' says no","reason":"Forbidden","code":403}`))
	})
	require.EqualError(t, err, "touching Deployment/shop/web: policy 'x' says no")
	assert.True(t, apierrors.IsForbidden(err))
}
