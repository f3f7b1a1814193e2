package versioner_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/client-go/tools/events"

	"github.com/configpin/configpin/internal/snapshot"
)

// TestWhoIsPinnedToWhatIsNotVersionedAnyMoreIsTold: by the one way or the other, whatever
// the versioner saw of it, and once.
func TestWhoIsPinnedToWhatIsNotVersionedAnyMoreIsTold(t *testing.T) {
	const told = "Warning NotVersioned It is not versioned any more, so what changes rolls out to nobody. " +
		"Workloads that stay pinned to what it held: 3. To go on, annotate it configpin.io/versioned=true"
	lost := func(colour string) *snapshot.Object {
		object := holding(colour)
		object.Annotations = nil
		return object
	}
	w, recorder := newWorld(), events.NewFakeRecorder(10)
	v := w.start(recorder)
	reconcile := func() time.Duration {
		result, err := v.Reconcile(t.Context(), app)
		require.NoError(t, err)
		return result.RequeueAfter
	}
	w.source = holding("blue")
	reconcile()
	w.source = lost("blue")
	reconcile()
	assert.Empty(t, notVersioned(recorder), "nobody is pinned to it")

	w.pinned = 3
	reconcile()
	reconcile()
	assert.Equal(t, []string{told}, notVersioned(recorder))

	w.source = holding("blue")
	reconcile()
	w.source, w.workloadsUnknown = lost("green"), true
	assert.NotZero(t, reconcile(), "it isn't known yet who is pinned to it")
	assert.Empty(t, notVersioned(recorder))
	w.workloadsUnknown = false
	reconcile()
	assert.Equal(t, []string{told}, notVersioned(recorder), "it was versioned in between")

	v = w.start(recorder)
	w.all = []snapshot.Object{*w.source}
	queue := leading(t, v)
	require.Equal(t, 1, queue.Len(), "at its start it looks at what has snapshots")
	reconcile()
	assert.Equal(t, []string{told}, notVersioned(recorder))

	gone := *w.source
	w.source = nil
	v.Observe(gone)
	w.source = &gone
	reconcile()
	assert.Equal(t, []string{told}, notVersioned(recorder), "of what is gone, and came back, it is told again")

	v.Observe(gone)
	reconcile()
	assert.Empty(t, notVersioned(recorder), "it is there")

	w.source = nil
	reconcile()
	assert.Empty(t, notVersioned(recorder), "what is gone may come back versioned")
}

// notVersioned are the Events that say so, since it was asked last.
func notVersioned(recorder *events.FakeRecorder) (all []string) {
	for len(recorder.Events) > 0 {
		if event := <-recorder.Events; strings.Contains(event, "NotVersioned") {
			all = append(all, event)
		}
	}
	return all
}

// TestWhatGoesWhileItIsToldOfIsForgotten: nothing else is seen of it from then on.
func TestWhatGoesWhileItIsToldOfIsForgotten(t *testing.T) {
	w, recorder := newWorld(), events.NewFakeRecorder(10)
	v := w.start(recorder)
	w.source, w.pinned = holding("blue"), 3
	w.source.Annotations = nil
	gone := *w.source
	w.unseen = true // the watch has seen that it went
	v.Observe(gone)
	reconcile := func() {
		_, err := v.Reconcile(t.Context(), app)
		require.NoError(t, err)
	}
	reconcile()
	assert.Empty(t, recorder.Events)
	w.unseen = false
	reconcile()
	assert.Len(t, recorder.Events, 1, "nothing was remembered")
}
