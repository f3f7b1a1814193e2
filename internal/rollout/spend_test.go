package rollout

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/wellknown"
	"github.com/configpin/configpin/internal/workload"
)

// unlabelled is a workload that names what it should, and lost the label of what it was
// offered.
type unlabelled struct{ *deployment }

func (u unlabelled) Object(cluster.Workload) (workload.Object, types.UID, bool) {
	object := u.object()
	delete(object.Labels, snapshot.ObservedLabel(wellknown.ConfigMap, "app"))
	return object, "1", true
}

// TestATouchThatRollsNothingIsNoRollout: it takes nothing from the rollouts that the
// workload may have.
func TestATouchThatRollsNothingIsNoRollout(t *testing.T) {
	d := unlabelled{&deployment{t: t, names: "app-1", live: "app-1"}}
	r := New(Options{Burst: 1, Every: time.Minute}, d, current("app-1"), events.NewFakeRecorder(10))
	for range 5 {
		result, err := r.Reconcile(t.Context(), web)
		require.NoError(t, err)
		assert.Zero(t, result.RequeueAfter)
	}
	assert.Equal(t, 5, d.touches)
	assert.Zero(t, r.allowance(web))
}

// TestATouchThatRollsNothingWaitsForNone: a workload that had its rollouts still gets its
// label.
func TestATouchThatRollsNothingWaitsForNone(t *testing.T) {
	d := unlabelled{&deployment{t: t, names: "app-1", live: "app-1"}}
	r := New(Options{Burst: 1, Every: time.Minute}, d, current("app-1"), events.NewFakeRecorder(10))
	r.spend(web)
	require.NotZero(t, r.allowance(web))
	_, err := r.Reconcile(t.Context(), web)
	require.NoError(t, err)
	assert.Equal(t, 1, d.touches)
}

// TestASuccessEndsARowOfFailures: what is told of touches in vain is told of those in a row.
func TestASuccessEndsARowOfFailures(t *testing.T) {
	d := &deployment{t: t, names: "app-1"}
	recorder := events.NewFakeRecorder(10)
	r := New(Options{Burst: 10, Every: time.Minute}, d, current("app-9"), recorder)
	for try, live := range []string{"", "", "app-2", "", ""} {
		d.live = live
		_, err := r.Reconcile(t.Context(), web)
		require.NoError(t, err)
		assert.Equal(t, try+1, d.touches)
	}
	assert.Empty(t, drain(recorder))
}

// present is a world in which every object is there.
type present struct{ current }

func (present) Metadata(cluster.Key) (snapshot.Object, bool) { return snapshot.Object{}, true }

// TestASnapshotThatIsThereWakesNobody, unless one was missing.
func TestASnapshotThatIsThereWakesNobody(t *testing.T) {
	made := snapshot.Of(snapshot.Object{Kind: wellknown.ConfigMap, Namespace: "shop", Name: "app"}, 12)
	for name, test := range map[string]struct {
		sources sources
		missing bool
		want    int
	}{
		"it is there":                   {present{"app-1"}, false, 0},
		"it is there, and one was told": {present{"app-1"}, true, 1},
		"it went":                       {current("app-1"), false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			d := &deployment{t: t, names: "app-1", live: "app-1"}
			r := New(Options{}, d, test.sources, events.NewFakeRecorder(10))
			queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[cluster.Workload]())
			t.Cleanup(queue.ShutDown)
			require.NoError(t, r.Feed().Start(t.Context(), queue))
			for queue.Len() > 0 {
				of, _ := queue.Get()
				queue.Done(of)
			}
			if test.missing {
				r.records.of(web, func(is *record) { is.missing = "configmap/app-0" })
			}
			r.SnapshotChanged(made)
			assert.Equal(t, test.want, queue.Len())
		})
	}
}
