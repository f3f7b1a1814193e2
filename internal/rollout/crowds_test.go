package rollout

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/cluster/watch"
	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/wellknown"
)

// known is a source of which the watch knows.
type known struct{ current }

func (known) Metadata(key cluster.Key) (snapshot.Object, bool) {
	return snapshot.Object{Kind: key.Kind, Namespace: key.Namespace, Name: key.Name}, key.Name == "app"
}

func TestACrowdIsToldInOneEvent(t *testing.T) {
	each := func(from string, count int) []string {
		told := make([]string, count)
		for i := range told {
			told[i] = fmt.Sprintf("Normal RolledForward configmap/app moved from %s to app-2", from)
			if from == "app" {
				told[i] = "Normal Pinned configmap/app is pinned to app-2"
			}
		}
		return told
	}
	for _, test := range []struct {
		name  string
		from  string
		count int
		every time.Duration
		after time.Duration
		ends  bool
		want  []string
	}{
		{name: "a few are told of one by one", from: "app-1", count: crowd, after: time.Hour, want: each("app-1", crowd)},
		{name: "many are told of together, once they have passed", from: "app-1", count: 1000, after: passed, want: append(each("app-1", crowd), "Normal WorkloadsMoved 1,000 workloads moved to app-2")},
		{name: "and not before", from: "app-1", count: 1000, after: passed - 1, want: each("app-1", crowd)},
		{name: "those that are pinned for the first time likewise", from: "app", count: 21, after: passed, want: append(each("app", crowd), "Normal WorkloadsPinned 21 workloads were pinned to app-2")},
		{name: "who comes a little later belongs to it", from: "app-1", count: 21, every: 2 * time.Second, after: 2 * passed, want: append(each("app-1", crowd), "Normal WorkloadsMoved 21 workloads moved to app-2")},
		{name: "those that move alone are no crowd", from: "app-1", count: 30, every: 6 * time.Second, after: time.Hour, want: each("app-1", 30)},
		{name: "what takes long is told as far as it is", from: "app-1", count: 1000, every: 110 * time.Millisecond, after: time.Hour, want: append(each("app-1", crowd),
			"Normal WorkloadsMoved 546 workloads moved to app-2", "Normal WorkloadsMoved 1,000 workloads moved to app-2")},
		{name: "what takes longer is told in one number that rises", from: "app-1", count: 3000, every: 110 * time.Millisecond, after: time.Hour, want: append(each("app-1", crowd),
			"Normal WorkloadsMoved 546 workloads moved to app-2", "Normal WorkloadsMoved 1,091 workloads moved to app-2", "Normal WorkloadsMoved 1,637 workloads moved to app-2",
			"Normal WorkloadsMoved 2,182 workloads moved to app-2", "Normal WorkloadsMoved 2,728 workloads moved to app-2", "Normal WorkloadsMoved 3,000 workloads moved to app-2")},
		{name: "what was told of isn't told again at the end", from: "app-1", count: 546, every: 110 * time.Millisecond, after: time.Second, ends: true, want: append(each("app-1", crowd),
			"Normal WorkloadsMoved 546 workloads moved to app-2")},
		{name: "what is under way at the end is told then", from: "app-1", count: 50, ends: true, want: append(each("app-1", crowd), "Normal WorkloadsMoved 50 workloads moved to app-2")},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				recorder := events.NewFakeRecorder(2000)
				r := New(Options{}, &deployment{t: t, names: "app-2"}, known{"app-2"}, recorder)
				queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[cluster.Workload]())
				defer queue.ShutDown()
				require.NoError(t, r.Feed().Start(t.Context(), queue))
				before, after := (&deployment{t: t, names: test.from}).object(), (&deployment{t: t, names: "app-2"}).object()
				for range test.count {
					<-time.After(test.every)
					r.WorkloadChanged(watch.Change{Workload: web, Before: &before, After: &after, UID: "1", ResourceVersion: "2"})
				}
				<-time.After(test.after)
				synctest.Wait()
				if test.ends {
					r.crowds.end()
				}
				assert.Equal(t, test.want, drain(recorder))
			})
		})
	}
}

func TestTheEventOfACrowd(t *testing.T) {
	for _, test := range []struct {
		name   string
		source refs.Target
		want   []string
	}{
		{"of a ConfigMap names the snapshot", refs.Target{Kind: wellknown.ConfigMap, Name: "app"}, []string{"Normal WorkloadsMoved 12,345 workloads moved to app-2"}},
		{"of a Secret doesn't", refs.Target{Kind: wellknown.Secret, Name: "app"}, []string{"Normal WorkloadsMoved 12,345 workloads moved to what it holds"}},
		{"isn't about a source that is gone", refs.Target{Kind: wellknown.ConfigMap, Name: "gone"}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			recorder := events.NewFakeRecorder(10)
			r := New(Options{}, &deployment{t: t}, known{"app-2"}, recorder)
			r.tellCrowd(move{cluster.Key{Namespace: "shop", Target: test.source}, wellknown.ReasonRolledForward, "app-2"}, 12345)
			assert.Equal(t, test.want, drain(recorder))
		})
	}
}

// TestRollbacksAreNoCrowd: each is somebody's decision, and who asks since when a
// workload is held looks for its Event.
func TestRollbacksAreNoCrowd(t *testing.T) {
	recorder := events.NewFakeRecorder(100)
	r := New(Options{}, &deployment{t: t, names: "app-2"}, known{"app-2"}, recorder)
	queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[cluster.Workload]())
	t.Cleanup(queue.ShutDown)
	require.NoError(t, r.Feed().Start(t.Context(), queue))
	before, after := (&deployment{t: t, names: "app-2"}).object(), (&deployment{t: t, names: "app-1"}).object()
	after.Labels = before.Labels
	for range 50 {
		r.WorkloadChanged(watch.Change{Workload: web, Before: &before, After: &after, UID: "1", ResourceVersion: "2"})
	}
	told := drain(recorder)
	require.Len(t, told, 50)
	assert.Equal(t, "Normal RollbackHeld configmap/app is held at app-1; to end it, label the deployment configpin.io/resume=true", told[0])
}
