package versioner_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/wellknown"
)

// What is seen of an object that may be a source is looked at, and nothing else is.
func TestWhatIsLookedAt(t *testing.T) {
	plain, misspelt := holding("blue"), holding("blue")
	plain.Annotations = nil
	misspelt.Annotations[wellknown.Versioned] = "yes"
	for name, test := range map[string]struct {
		seen  *snapshot.Object
		known bool
		want  int
	}{
		"a source":                           {holding("blue"), false, 1},
		"a source that is known":             {holding("blue"), true, 1},
		"what isn't versioned":               {plain, false, 0},
		"what isn't versioned any more":      {plain, true, 1},
		"what nobody knows whether it shall": {misspelt, false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			v := w.start(events.NewFakeRecorder(10))
			queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[cluster.Key]())
			t.Cleanup(queue.ShutDown)
			require.NoError(t, v.Feed().Start(t.Context(), queue))
			if test.known {
				w.current[app] = cluster.Current{Name: "app-1"}
			}
			v.Observe(*test.seen)
			assert.Equal(t, test.want, queue.Len())
		})
	}
}

// A snapshot outnumbers the current one only where that is known, there, and has a number.
func TestWhatOutnumbersNothing(t *testing.T) {
	for name, change := range map[string]func(*world){
		"nothing is known of the source":    func(w *world) { delete(w.current, app) },
		"the source can't be kept":          func(w *world) { w.current[app] = cluster.Current{Digest: "x"} },
		"the current one isn't there":       func(w *world) { delete(w.snapshots, w.current[app].Name) },
		"the current one has no number yet": func(w *world) { delete(w.snapshots[w.current[app].Name].Annotations, wellknown.Revision) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			v := w.start(events.NewFakeRecorder(10))
			queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[cluster.Key]())
			t.Cleanup(queue.ShutDown)
			require.NoError(t, v.Feed().Start(t.Context(), queue))
			w.source = holding("blue")
			_, err := v.Reconcile(t.Context(), app)
			require.NoError(t, err)
			other := w.keepAs("green", 5)
			change(w)
			v.Observe(other)
			assert.Zero(t, queue.Len())
		})
	}
}
