package cluster

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
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

// TestDeletingIsDiscreet: who refuses to delete a Secret saw what it holds.
func TestDeletingIsDiscreet(t *testing.T) {
	client := fake.NewClientset()
	client.PrependReactor("delete", "secrets", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, &apierrors.StatusError{ErrStatus: metav1.Status{Code: http.StatusTeapot, Message: "hunter2 is no password"}}
	})
	objects := NewObjects(client.CoreV1(), Scope{Namespaces: Everywhere, Secrets: Everywhere}, func() *hashing.Key { return testKey(t, 1) })
	err := objects.Remove(t.Context(), snapshot.Object{Kind: wellknown.Secret, Namespace: "shop", Name: "db-1"})
	require.EqualError(t, err, "deleting secret shop/db-1: the API server refuses it (418): see the rights, quotas and policies of the namespace")
}
