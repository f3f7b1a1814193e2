package plugin

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(file)))
	require.NoError(t, err)
	return string(text)
}

func TestReferenceIsOfTheCommands(t *testing.T) {
	t.Parallel()
	assert.Equal(t, Reference(), read(t, ReferenceFile), "run make generate")
}

func TestPictureIsOfTheTranscript(t *testing.T) {
	t.Parallel()
	assert.Equal(t, Picture(read(t, PictureSource)), read(t, PictureFile), "run make generate")
}
