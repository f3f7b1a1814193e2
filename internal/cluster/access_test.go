package cluster

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/configpin/configpin/internal/hashing"
	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/wellknown"
)

// TestOnlyWhatWasReadIsDeleted: the request names the very object that was judged. Who is
// quicker than whom, then, is for test/e2e/races.
func TestOnlyWhatWasReadIsDeleted(t *testing.T) {
	for _, kind := range wellknown.Kinds {
		t.Run(string(kind), func(t *testing.T) {
			var asked *metav1.Preconditions
			client := fake.NewClientset()
			client.PrependReactor("delete", "*", func(action clienttesting.Action) (bool, runtime.Object, error) {
				asked = action.(clienttesting.DeleteActionImpl).DeleteOptions.Preconditions
				return true, nil, nil
			})
			objects := NewObjects(client.CoreV1(), Scope{Namespaces: Everywhere, Secrets: Everywhere}, func() *hashing.Key { return testKey(t, 1) })
			require.NoError(t, objects.Remove(t.Context(), snapshot.Object{Kind: kind, Namespace: "shop", Name: "app-1", UID: "u", ResourceVersion: "7"}))
			require.NotNil(t, asked)
			require.NotNil(t, asked.UID)
			require.NotNil(t, asked.ResourceVersion)
			assert.Equal(t, "u", string(*asked.UID))
			assert.Equal(t, "7", *asked.ResourceVersion)
		})
	}
}
