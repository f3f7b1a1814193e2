package versioner_test

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/events"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/cluster/watch"
	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/versioner"
	"github.com/configpin/configpin/internal/wellknown"
)

func TestRevisionsRise(t *testing.T) {
	w, recorder := newWorld(), events.NewFakeRecorder(10)
	v := w.start(recorder)
	for _, colour := range []string{"blue", "green", "blue"} {
		w.source = holding(colour)
		_, err := v.Reconcile(t.Context(), app)
		require.NoError(t, err)
	}
	assert.Equal(t, 3, w.revision("blue"), "it became the current one again")
	assert.Equal(t, 2, w.revision("green"))
	assert.Len(t, w.snapshots, 2)
	assert.Equal(t, 3, w.changed)
	blue := snapshot.Of(*holding("blue"), 12).Name
	green := snapshot.Of(*holding("green"), 12).Name
	assert.Equal(t, "Normal Snapshotted Revision 1 is kept as "+blue, <-recorder.Events)
	assert.Equal(t, "Normal Snapshotted Revision 2 is kept as "+green, <-recorder.Events)
	assert.Equal(t, "Normal Snapshotted Revision 3 is kept as "+blue, <-recorder.Events)
}

// TestAChangeCauseIsSaidOfWhatItIsAbout: it comes after the edit, as Kubernetes teaches.
func TestAChangeCauseIsSaidOfWhatItIsAbout(t *testing.T) {
	for name, restarts := range map[string]bool{"seen by one versioner": false, "by a new one each time": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			v := w.start(events.NewFakeRecorder(10))
			for _, write := range []struct{ colour, cause string }{
				{"blue", ""}, {"blue", "first"}, {"green", "first"}, {"green", "second"}, {"red", "second"},
			} {
				if restarts {
					v = w.start(events.NewFakeRecorder(10))
				}
				w.source = holding(write.colour)
				w.source.Annotations[wellknown.KubernetesChangeCause] = write.cause
				w.writes = 0
				for range 2 {
					_, err := v.Reconcile(t.Context(), app)
					require.NoError(t, err)
				}
				assert.LessOrEqual(t, w.writes, 2, "the snapshot, and one of all that is said of it")
			}
			for colour, want := range map[string]string{"blue": "first", "green": "second", "red": ""} {
				assert.Equal(t, want, w.snapshots[snapshot.Of(*holding(colour), 12).Name].Annotations[wellknown.ChangeCause], colour)
			}
			assert.Equal(t, 3, w.revision("red"))
		})
	}
}

func TestASnapshotThatWasDeletedIsMadeAndNumberedAgain(t *testing.T) {
	w, recorder := newWorld(), events.NewFakeRecorder(10)
	v := w.start(recorder)
	w.source = holding("blue")
	for range 2 {
		_, err := v.Reconcile(t.Context(), app)
		require.NoError(t, err)
		require.Equal(t, 1, w.revision("blue"))
		clear(w.snapshots)
	}
}

func TestASnapshotThatComesBackDoesNotOutnumberTheCurrentOne(t *testing.T) {
	for name, test := range map[string]struct{ revision, want int }{
		"with a lower number":  {0, 1},
		"with the same number": {1, 2},
		"with a higher number": {5, 6},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			v := w.start(events.NewFakeRecorder(10))
			queue := leading(t, v)
			w.source = holding("blue")
			_, err := v.Reconcile(t.Context(), app)
			require.NoError(t, err)

			v.Observe(w.keepAs("green", test.revision))
			if test.want == 1 {
				assert.Zero(t, queue.Len())
				return
			}
			require.Equal(t, 1, queue.Len())
			_, err = v.Reconcile(t.Context(), app)
			require.NoError(t, err)
			assert.Equal(t, test.want, w.revision("blue"))
		})
	}
}

func TestAboveTheHighestRevisionThereIsNone(t *testing.T) {
	w := newWorld()
	v := w.start(events.NewFakeRecorder(10))
	injected := w.keepAs("never", snapshot.MaxRevision)
	for _, colour := range []string{"blue", "green"} {
		w.source = holding(colour)
		_, err := v.Reconcile(t.Context(), app)
		require.NoError(t, err)
		assert.Equal(t, snapshot.MaxRevision, w.revision(colour))
	}
	w.writes = 0
	v.Observe(injected)
	_, err := w.start(events.NewFakeRecorder(10)).Reconcile(t.Context(), app)
	require.NoError(t, err)
	assert.Zero(t, w.writes, "it is as high as it gets")
}

func TestARestartIsSilent(t *testing.T) {
	for name, stale := range map[string]bool{"with a watch that is up to date": false, "with a watch that isn't": true} {
		t.Run(name, func(t *testing.T) {
			w, recorder := newWorld(), events.NewFakeRecorder(10)
			w.source = holding("blue")
			_, err := w.start(recorder).Reconcile(t.Context(), app)
			require.NoError(t, err)
			<-recorder.Events
			w.writes, w.stale = 0, stale

			_, err = w.start(recorder).Reconcile(t.Context(), app)
			require.NoError(t, err)
			assert.Zero(t, w.writes)
			assert.Empty(t, recorder.Events)
			assert.Equal(t, 2, w.changed, "the new process learned what the source holds")
		})
	}
}

func TestAnEditOfMetadataIsNoChange(t *testing.T) {
	w, recorder := newWorld(), events.NewFakeRecorder(10)
	v := w.start(recorder)
	for _, team := range []string{"a", "b"} {
		w.source = holding("blue")
		w.source.Labels = map[string]string{"team": team}
		_, err := v.Reconcile(t.Context(), app)
		require.NoError(t, err)
	}
	assert.Equal(t, 1, w.changed)
	assert.Len(t, w.snapshots, 1)
}

func TestAHistoryLimitThatNobodyUnderstandsIsTold(t *testing.T) {
	w, recorder := newWorld(), events.NewFakeRecorder(10)
	v := w.start(recorder)
	w.source = holding("blue")
	w.source.Annotations[wellknown.HistoryLimit] = "ten"
	_, err := v.Reconcile(t.Context(), app)
	require.NoError(t, err)
	assert.Equal(t, `Warning InvalidValue Annotation configpin.io/history-limit is "ten", not a number from 0 up: all its snapshots are retained`, <-recorder.Events)
	assert.Equal(t, 1, w.revision("blue"), "it is kept all the same")
}

func TestWhatIsNotASource(t *testing.T) {
	invalid := holding("blue")
	invalid.Annotations[wellknown.Versioned] = "yes"
	plain := holding("blue")
	plain.Annotations = nil
	for name, test := range map[string]struct {
		source *snapshot.Object
		event  string
	}{
		"one that is gone":                  {source: nil},
		"one that isn't versioned any more": {source: plain},
		"one whose annotation nobody understands": {
			source: invalid,
			event:  `Warning InvalidValue Annotation configpin.io/versioned is "yes", not "true" or "false": nothing is kept`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, recorder := newWorld(), events.NewFakeRecorder(10)
			v := w.start(recorder)
			w.source = holding("blue")
			_, err := v.Reconcile(t.Context(), app)
			require.NoError(t, err)
			<-recorder.Events

			w.source = test.source
			for range 2 {
				_, err = v.Reconcile(t.Context(), app)
				require.NoError(t, err)
			}
			assert.NotContains(t, w.current, app)
			assert.Equal(t, 2, w.changed, "told once")
			assert.Len(t, w.snapshots, 1, "what was kept stays")
			if test.event != "" {
				assert.Equal(t, test.event, <-recorder.Events)
			}
		})
	}
}

func TestARefusalIsToldAndTriedAgain(t *testing.T) {
	w, recorder := newWorld(), events.NewFakeRecorder(10)
	w.source = holding("blue")
	w.refuses = &cluster.RefusedError{Err: errors.New("exceeded quota")}
	_, err := w.start(recorder).Reconcile(t.Context(), app)
	require.ErrorIs(t, err, w.refuses)
	assert.Equal(t, "Warning SnapshotFailed Nothing is pinned to what it holds now: exceeded quota", <-recorder.Events)
	assert.Contains(t, w.current, app, "it is known that nothing can be pinned to it")
	assert.Equal(t, 1, w.changed)
}

// TestWhatGoesWithItsNamespaceIsNoTrouble: nobody has to do anything about it, and
// nobody could.
func TestWhatGoesWithItsNamespaceIsNoTrouble(t *testing.T) {
	terminating := apierrors.NewForbidden(schema.GroupResource{Resource: "configmaps"}, "app-1", errors.New("because it is being terminated"))
	terminating.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}
	for name, refuses := range map[string]error{
		"while it is deleted": fmt.Errorf("keeping configmap shop/app: %w", &cluster.RefusedError{Err: terminating}),
		"once it is gone":     fmt.Errorf("keeping configmap shop/app: %w", apierrors.NewNotFound(schema.GroupResource{Resource: "namespaces"}, "shop")),
	} {
		t.Run(name, func(t *testing.T) {
			w, recorder := newWorld(), events.NewFakeRecorder(10)
			w.source, w.refuses = holding("blue"), refuses
			result, err := w.start(recorder).Reconcile(t.Context(), app)
			require.NoError(t, err)
			assert.Zero(t, result)
			assert.Empty(t, recorder.Events)
		})
	}
}

// TestASnapshotThatVanishesBeforeItIsNumberedIsNoTrouble: that it went is told by the
// watch, and then it is made again.
func TestASnapshotThatVanishesBeforeItIsNumberedIsNoTrouble(t *testing.T) {
	w, recorder := newWorld(), events.NewFakeRecorder(10)
	w.source = holding("blue")
	w.vanishes = true
	v := w.start(recorder)
	_, err := v.Reconcile(t.Context(), app)
	require.NoError(t, err)
	assert.Empty(t, recorder.Events)
	w.vanishes = false
	_, err = v.Reconcile(t.Context(), app)
	require.NoError(t, err)
	assert.Equal(t, 1, w.revision("blue"))
}

func TestATakenNameIsTold(t *testing.T) {
	w, recorder := newWorld(), events.NewFakeRecorder(10)
	w.source = holding("blue")
	w.taken = 1
	_, err := w.start(recorder).Reconcile(t.Context(), app)
	require.NoError(t, err)
	assert.Equal(t, "Warning SnapshotNameTaken Something else has the name of its snapshot, which is kept under a longer one", <-recorder.Events)
}

func TestWhatIsNeverKeptIsToldAndNotTriedAgain(t *testing.T) {
	w, recorder := newWorld(), events.NewFakeRecorder(10)
	w.source = secret(secretKey(t, 1))
	w.refuses = &cluster.RefusedError{Err: errors.New("Secrets of type x are never kept"), Final: true}
	_, err := w.start(recorder).Reconcile(t.Context(), db)
	require.NoError(t, err)
	assert.Equal(t, "Warning SnapshotFailed Nothing is pinned to what it holds now: Secrets of type x are never kept", <-recorder.Events)
	assert.Contains(t, w.current, db)
}

// TestASourceThatChangesTooFast: the last content is kept, and most of those before
// aren't.
func TestASourceThatChangesTooFast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, recorder := newWorld(), events.NewFakeRecorder(1000)
		v := w.start(recorder)
		v.Options = versioner.Options{Burst: 3, Every: time.Minute}
		began := time.Now()
		for edit := range 100 {
			w.source = holding(strconv.Itoa(edit))
			_, err := v.Reconcile(t.Context(), app)
			require.NoError(t, err)
			<-time.After(10 * time.Millisecond)
		}
		assert.Len(t, w.snapshots, 3)
		last := snapshot.Of(*holding("99"), 12)
		assert.Equal(t, watch.Current{Name: last.Name, Digest: last.Annotations[wellknown.Digest]}, w.current[app], "who uses it needn't wait")
		for {
			result, err := v.Reconcile(t.Context(), app)
			require.NoError(t, err)
			if result.RequeueAfter == 0 {
				break
			}
			<-time.After(result.RequeueAfter)
		}
		assert.InDelta(t, time.Minute, time.Since(began), float64(time.Second))
		assert.Len(t, w.snapshots, 4)
		assert.Equal(t, w.current[app].Digest, holding("99").Digest("app").String())
		var told []string
		for len(recorder.Events) > 0 {
			if event := <-recorder.Events; strings.Contains(event, "SnapshotsDamped") {
				told = append(told, event)
			}
		}
		assert.Equal(t, []string{"Warning SnapshotsDamped It changes faster than its contents are kept: at most one per 1m0s from now on"}, told)

		w.source = holding("0")
		result, err := v.Reconcile(t.Context(), app)
		require.NoError(t, err)
		assert.Zero(t, result.RequeueAfter, "what is kept already needn't wait")
	})
}
