package process_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/configpin/configpin/test/lab/controlplane/process"
)

func TestItDiesWithAKilledParent(t *testing.T) {
	dir := t.TempDir()
	parent := player(dir, "parent", "parent")
	parent.Env = append(parent.Env, "DIR="+dir)
	require.NoError(t, parent.Start())
	t.Cleanup(func() { assert.NoError(t, parent.Kill()) })

	child := &process.Process{Name: "child", Dir: dir}
	require.Eventually(t, func() bool {
		told, err := strconv.Atoi(strings.TrimSpace(parent.LogTail(1)))
		return err == nil && told == child.PID()
	}, 10*time.Second, 5*time.Millisecond)

	require.NoError(t, parent.Kill())
	assert.Eventually(t, func() bool { return !child.Running() }, 10*time.Second, 5*time.Millisecond)
}
