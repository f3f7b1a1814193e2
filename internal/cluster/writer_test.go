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

// TestATouchChangesNothing: whatever stood in it would be written by it, and owned.
func TestATouchChangesNothing(t *testing.T) {
	for name, test := range map[string]struct {
		dryRun bool
		query  string
	}{
		"for good":  {false, "fieldManager=somebody"},
		"for a try": {true, "dryRun=All&fieldManager=somebody"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body)
				assert.NoError(t, err)
				assert.Equal(t, "{}", string(body))
				assert.Equal(t, "PATCH /apis/apps/v1/namespaces/shop/deployments/web", r.Method+" "+r.URL.Path)
				assert.Equal(t, "application/merge-patch+json", r.Header.Get("Content-Type"))
				assert.Equal(t, test.query, r.URL.Query().Encode())
				w.Header().Set("Content-Type", "application/json")
				w.Header().Add("Warning", `299 - "configmap/app: pinned to app-1"`)
				_, _ = w.Write([]byte(`{"metadata": {"name": "web", "namespace": "shop"}, "spec": {"template": {"spec": {}}}}`))
			}))
			defer server.Close()
			patches, err := NewWriter(&rest.Config{Host: server.URL}, "somebody")
			require.NoError(t, err)
			touched, err := patches.Touch(t.Context(), Workload{workload.Lookup("apps", "Deployment"), "shop", "web"}, test.dryRun)
			require.NoError(t, err)
			assert.Equal(t, "web", touched.Object.Name)
			assert.Equal(t, []string{"configmap/app: pinned to app-1"}, touched.Warnings)
		})
	}
}

// TestTouchSaysWhoRefuses: the text goes into an Event, for somebody who looks for
// the policy that is in the way.
func TestTouchSaysWhoRefuses(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusForbidden)
		_, _ = w.Write([]byte(`{"kind":"Status","apiVersion":"v1","status":"Failure","message":"policy 'x' says no","reason":"Forbidden","code":403}`))
	}))
	defer server.Close()
	deployments := workload.Lookup("apps", "Deployment")
	patches, err := NewWriter(&rest.Config{Host: server.URL}, "somebody")
	require.NoError(t, err)
	_, err = patches.Touch(t.Context(), Workload{deployments, "shop", "web"}, false)
	require.EqualError(t, err, "touching Deployment/shop/web: policy 'x' says no")
	assert.True(t, apierrors.IsForbidden(err))
}
