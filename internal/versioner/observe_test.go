package versioner_test

import (
	"errors"
	"fmt"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/client-go/tools/events"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/cluster/watch"
	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/versioner"
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
			queue := leading(t, v)
			if test.known {
				w.current[app] = watch.Current{Name: "app-1"}
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
		"the source can't be kept":          func(w *world) { w.current[app] = watch.Current{Digest: "x"} },
		"the current one isn't there":       func(w *world) { delete(w.snapshots, w.current[app].Name) },
		"the current one has no number yet": func(w *world) { delete(w.snapshots[w.current[app].Name].Annotations, wellknown.Revision) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			v := w.start(events.NewFakeRecorder(10))
			queue := leading(t, v)
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

// TestARefusalOfASecretQuotesNoName: that of its snapshot has a part of its digest.
func TestARefusalOfASecretQuotesNoName(t *testing.T) {
	for name, test := range map[string]struct {
		source *snapshot.Object
		key    cluster.Key
		want   string
	}{
		"of a Secret":    {secret(secretKey(t, 1)), db, "exceeded quota"},
		"of a ConfigMap": {holding("blue"), app, `keeping it as "x-1": exceeded quota`},
	} {
		t.Run(name, func(t *testing.T) {
			w, recorder := newWorld(), events.NewFakeRecorder(10)
			w.source = test.source
			w.refuses = fmt.Errorf("keeping it as %q: %w", "x-1", &cluster.RefusedError{Err: errors.New("exceeded quota")})
			_, err := w.start(recorder).Reconcile(t.Context(), test.key)
			require.Error(t, err)
			assert.Equal(t, "Warning SnapshotFailed Nothing is pinned to what it holds now: "+test.want, <-recorder.Events)
		})
	}
}

// TestAKnownContentIsNoFastChange: what is kept already takes nothing from what may be
// kept, however often it comes back.
func TestAKnownContentIsNoFastChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		v := w.start(events.NewFakeRecorder(1000))
		v.Options = versioner.Options{Burst: 3, Every: time.Minute}
		for edit := range 20 {
			w.source = holding(strconv.Itoa(edit % 2))
			_, err := v.Reconcile(t.Context(), app)
			require.NoError(t, err)
		}
		w.source = holding("new")
		result, err := v.Reconcile(t.Context(), app)
		require.NoError(t, err)
		assert.Zero(t, result.RequeueAfter)
		assert.Len(t, w.snapshots, 3)
	})
}
