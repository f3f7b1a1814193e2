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

func TestReferenceIsMadeFromTheCommands(t *testing.T) {
	t.Parallel()
	isMade(t, ReferenceFile, Reference())
}

func TestPictureIsMadeFromTheTranscript(t *testing.T) {
	t.Parallel()
	isMade(t, PictureFile, Picture(read(t, PictureSource)))
}

// isMade compares a file with what it is made of, which an update writes into it.
func isMade(t *testing.T, file, made string) {
	t.Helper()
	if *update {
		require.NoError(t, os.WriteFile(filepath.Join("..", "..", filepath.FromSlash(file)), []byte(made), 0o644))
	}
	assert.Equal(t, made, read(t, file), "run `make generate`")
}
