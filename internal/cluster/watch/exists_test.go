package watch

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	metadatafake "k8s.io/client-go/metadata/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/wellknown"
)

// TestExists: an answer, or none. What can't be told is no "no", and what nothing can be
// called isn't asked for.
func TestExists(t *testing.T) {
	scheme := metadatafake.NewTestScheme()
	require.NoError(t, metav1.AddMetaToScheme(scheme))
	client := metadatafake.NewSimpleMetadataClient(scheme, &metav1.PartialObjectMetadata{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "app"},
	})
	s := &Sources{client: client}
	key := func(name string) cluster.Key {
		return cluster.Key{Namespace: "shop", Target: refs.Target{Kind: wellknown.ConfigMap, Name: name}}
	}
	for name, want := range map[string]bool{"app": true, "other": false, "": false, "..": false, "a/b": false} {
		exists, err := s.Exists(t.Context(), key(name))
		require.NoError(t, err)
		assert.Equal(t, want, exists, name)
	}
	client.PrependReactor("get", "*", func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, errors.New("trouble") })
	_, err := s.Exists(t.Context(), key("app"))
	assert.EqualError(t, err, "reading configmap/shop/app: trouble")
	for _, name := range []string{"", "..", "../../other/configmaps/app"} {
		exists, err := s.Exists(t.Context(), key(name))
		require.NoError(t, err, "it isn't asked for")
		assert.False(t, exists)
	}
}
