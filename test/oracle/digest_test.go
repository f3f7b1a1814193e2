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
	text, err := os.ReadFile(filepath.Join("..", "..", "internal", "hashing", "testdata", "vectors.json"))
	require.NoError(t, err)
	var vectors []struct {
		Name    string
		Content struct {
			Kind, Source, Type string
			Data               map[string]string
			Binary             map[string][]byte
		}
		Digest string
	}
	require.NoError(t, json.Unmarshal(text, &vectors))
	compared := 0
	for _, v := range vectors {
		if v.Content.Kind != configMap {
			continue // ConfigMaps alone are served
		}
		compared++
		assert.Equal(t, v.Digest, digestOf(v.Content.Source, v.Content.Data, v.Content.Binary), v.Name)
	}
	assert.Greater(t, compared, 5)
}
