package races

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/configpin/configpin/internal/retention"
	"github.com/configpin/configpin/test/lab/tools"
)

// longestRequest is how long the API server works on a request at most
// (k8s.io/apiserver/pkg/endpoints/handlers/rest.go, requestTimeoutUpperBound).
const longestRequest = 34 * time.Second

// undoStored is the step of an undo that comes after the answer of admission, where
// nothing is marked: the reads of the source and of both snapshots come before.
const undoStored = 3

// floor shows why a grace must not be shorter than the longest request, and that
// the least one is long enough.
func (l *lab) floor(t *testing.T) {
	t.Run("the longest request takes as long as it says here", func(t *testing.T) {
		root, err := tools.Checkout()
		require.NoError(t, err)
		list := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "k8s.io/apiserver")
		list.Dir = filepath.Join(root, "test", "lab", "controlplane", "build", "kubernetes")
		out, err := list.Output()
		require.NoError(t, err)
		text, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(out)), "pkg", "endpoints", "handlers", "rest.go"))
		require.NoError(t, err)
		assert.Contains(t, string(text), "requestTimeoutUpperBound = 34 * time.Second\n")
		assert.GreaterOrEqual(t, retention.MinGrace, 2*longestRequest)
	})
	t.Run("a shorter grace loses what a slow request names", func(t *testing.T) {
		h := l.slowRequest(t, 10*time.Second)
		assert.Nil(t, h.snapshot(t, h.old))
		assert.Equal(t, h.old, h.dangling(t)["Deployment "+h.name], "this is what the least grace is for")
	})
	t.Run("the least grace keeps it", func(t *testing.T) {
		h := l.slowRequest(t, retention.MinGrace)
		assert.Empty(t, h.dangling(t))
		assert.False(t, h.marked(t), "what is used isn't marked for long")
	})
}

// slowRequest plays an undo that admission answers before a collector marks, and
// that is stored only when the longest request would have ended. Then the
// collector comes again.
func (l *lab) slowRequest(t *testing.T, grace time.Duration) *history {
	t.Helper()
	h, c := l.history(t, l.borrow(t)), newClock()
	h.deploy(t, 1)
	collector := l.collector(t, h.namespace, c)
	collector.Options.Rules.Grace = grace
	slow := undo.race(t, h, undoStored)
	require.True(t, slow.begin())
	require.NoError(t, collector.Pass(t.Context()))
	require.True(t, h.marked(t))
	c.advance(longestRequest)
	require.NoError(t, collector.Pass(t.Context()))
	slow.finish()
	require.NoError(t, slow.err)
	require.Equal(t, h.old, namedIn(h.workload(t).Spec.Template))
	if grace >= retention.MinGrace { // or its Pods can't start
		h.settle(t)
	}
	c.passGrace()
	require.NoError(t, collector.Pass(t.Context()))
	return h
}
