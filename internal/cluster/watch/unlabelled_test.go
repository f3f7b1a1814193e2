package watch

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/client-go/rest"

	"github.com/configpin/configpin/internal/cluster"
)

// TestUnlabelledAreListedAsFarAsTheyCanBe: a kind that can't be listed hides no other, and a
// namespace that can't be asked hides none.
func TestUnlabelledAreListedAsFarAsTheyCanBe(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fail := func(code, reason string, status int) {
			w.WriteHeader(status)
			_, _ = w.Write([]byte(`{"kind":"Status","apiVersion":"v1","status":"Failure","message":"no","reason":"` + reason + `","code":` + code + `}`))
		}
		path := request.URL.Path
		switch {
		case strings.HasPrefix(path, "/api/v1/namespaces/"):
			switch {
			case strings.HasSuffix(path, "/bank"):
				fail("500", "InternalError", http.StatusInternalServerError)
				return
			case strings.HasSuffix(path, "/hidden"):
				fail("403", "Forbidden", http.StatusForbidden)
				return
			}
			_, _ = w.Write([]byte(`{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":{"name":"shop","labels":{"configpin.io/enabled":"true"}}}`))
		case strings.Contains(path, "/gone/"):
			fail("403", "Forbidden", http.StatusForbidden)
		case strings.HasSuffix(path, "/daemonsets"):
			fail("500", "InternalError", http.StatusInternalServerError)
		case strings.HasSuffix(path, "/deployments"):
			_, _ = w.Write([]byte(`{"kind":"PartialObjectMetadataList","apiVersion":"meta.k8s.io/v1","metadata":{"resourceVersion":"1"},"items":[
				{"metadata":{"namespace":"shop","name":"web","labels":{"observed.configpin.io/configmap.app":"1"}}},
				{"metadata":{"namespace":"shop","name":"plain","labels":{"app":"plain"}}},
				{"metadata":{"namespace":"shop","name":"going","deletionTimestamp":"2026-01-01T00:00:00Z","labels":{"observed.configpin.io/configmap.app":"1"}}}]}`))
		default:
			_, _ = w.Write([]byte(`{"kind":"PartialObjectMetadataList","apiVersion":"meta.k8s.io/v1","metadata":{"resourceVersion":"1"},"items":[]}`))
		}
	}))
	t.Cleanup(server.Close)
	w, err := NewWorkloads(&rest.Config{Host: server.URL}, cluster.Scope{Namespaces: []string{"bank", "gone", "hidden", "shop"}}, nil)
	require.NoError(t, err)
	names := func(found []cluster.Workload) (names []string) {
		for _, of := range found {
			names = append(names, of.String())
		}
		return names
	}

	optedIn, unknown, err := w.OptedIn(t.Context())
	assert.ErrorContains(t, err, "reading namespace bank")
	assert.NotContains(t, err.Error(), "hidden")
	assert.Equal(t, []string{"gone", "shop"}, optedIn)
	assert.Equal(t, []string{"bank", "hidden"}, unknown)
	found, err := w.Unstamped(t.Context(), "shop")
	assert.ErrorContains(t, err, "listing daemonsets")
	assert.Equal(t, []string{"Deployment/shop/plain", "Deployment/shop/web"}, names(found))
	found, err = w.LeftPinned(t.Context(), "shop")
	assert.ErrorContains(t, err, "listing daemonsets")
	assert.Equal(t, []string{"Deployment/shop/web"}, names(found))
	found, err = w.LeftPinned(t.Context(), "gone")
	require.NoError(t, err, "nothing is served there any more")
	assert.Empty(t, found)
}
