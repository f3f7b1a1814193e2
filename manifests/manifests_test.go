package manifests_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/configpin/configpin/manifests"
)

func TestObjects(t *testing.T) {
	objects, err := manifests.Objects()
	require.NoError(t, err)
	require.NotEmpty(t, objects)
	assert.Equal(t, "Namespace", objects[0].GetKind(), "what lives in it comes later")
	kinds := map[string]int{}
	for _, object := range objects {
		kinds[object.GetKind()]++
	}
	assert.Equal(t, 1, kinds["MutatingWebhookConfiguration"])
	assert.Equal(t, 2, kinds["ServiceAccount"])
}
