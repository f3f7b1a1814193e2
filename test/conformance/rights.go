package conformance

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/client-go/kubernetes"

	"github.com/configpin/configpin/test/lab/rights"
)

// rightsAreUsed compares what configpin's service accounts may do with what they
// have done in the whole suite.
func (c *cluster) rightsAreUsed(t *testing.T) {
	t.Helper()
	api, err := kubernetes.NewForConfig(c.Config)
	require.NoError(t, err)
	granted, err := rights.Granted(t.Context(), api)
	require.NoError(t, err)
	requests, err := rights.Requests(c.AuditLog)
	require.NoError(t, err)
	used, refused := rights.Used(requests)
	refused = slices.DeleteFunc(refused, func(r rights.Request) bool {
		return granted[r.Right] // by an API server that has just started, and that hasn't seen all roles yet
	})
	assert.Empty(t, refused, "what our programs tried without the right to")
	assert.Equal(t, granted.Texts(), used.Texts(), "what they may, and what they do")
}
