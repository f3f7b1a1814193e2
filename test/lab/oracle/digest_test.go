package oracle

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestDigestOf takes the vectors, which are data, and none of the code.
func TestDigestOf(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "internal", "hashing", "testdata", "vectors.json"))
	require.NoError(t, err)
	var vectors []struct {
		Name    string
		Content struct {
			Kind, Source, Type string
			Data               map[string]string
			Binary             map[string][]byte
		}
		Key    []byte
		ID     string
		Digest string
	}
	require.NoError(t, json.Unmarshal(text, &vectors))
	compared := map[string]int{}
	for _, v := range vectors {
		compared[v.Content.Kind]++
		held := content{v.Content.Kind, v.Content.Type, v.Content.Data, v.Content.Binary}
		assert.Equal(t, v.Digest, held.digest(v.Content.Source, v.Key), v.Name)
		if v.Key != nil {
			assert.Equal(t, v.ID, keyID(v.Key), v.Name)
		}
	}
	assert.Greater(t, compared[configMap], 5)
	assert.Greater(t, compared[secret], 5)
}
