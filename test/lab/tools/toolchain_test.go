package tools

import (
	"go/version"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestNoModuleNeedsANewerGo: whoever installs what the go.mod of configpin names can
// build everything.
func TestNoModuleNeedsANewerGo(t *testing.T) {
	root, err := Checkout()
	require.NoError(t, err)
	named := regexp.MustCompile(`(?m)^toolchain (go\S+)$`).FindSubmatch(read(t, filepath.Join(root, "go.mod")))
	require.NotNil(t, named)
	modules := 0
	require.NoError(t, filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && strings.HasPrefix(entry.Name(), ".") && path != root {
			return filepath.SkipDir
		}
		if filepath.Ext(path) != ".mod" {
			return nil
		}
		modules++
		needed := regexp.MustCompile(`(?m)^go (\S+)$`).FindSubmatch(read(t, path))
		require.NotNil(t, needed, path)
		assert.LessOrEqual(t, version.Compare("go"+string(needed[1]), string(named[1])), 0, "%s needs go %s", path, needed[1])
		return nil
	}))
	assert.Greater(t, modules, 5)
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return text
}
