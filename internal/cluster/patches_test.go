package cluster

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"

	"github.com/configpin/configpin/internal/workload"
)

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
	patches, err := NewPatches(&rest.Config{Host: server.URL}, "somebody")
	require.NoError(t, err)
	_, err = patches.Touch(t.Context(), Workload{deployments, "shop", "web"}, false)
	require.EqualError(t, err, "touching Deployment/shop/web: policy 'x' says no")
	assert.True(t, apierrors.IsForbidden(err))
}
