package rollout

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/cluster/watch"
)

func TestTell(t *testing.T) {
	change := func(from, to string) watch.Change {
		after := (&deployment{t: t, names: to}).object()
		change := watch.Change{Workload: web, After: &after, UID: "1", ResourceVersion: "2"}
		if from != "" {
			before := (&deployment{t: t, names: from}).object()
			change.Before = &before
		}
		return change
	}
	initial, gone := change("", "app-1"), change("app-1", "app-1")
	initial.Initial, gone.After = true, nil
	for _, test := range []struct {
		name    string
		change  watch.Change
		live    current
		follows bool
		events  []string
	}{
		{
			name:   "a new workload is pinned",
			change: change("", "app-1"), live: "app-1",
			events: []string{"Normal Pinned configmap/app is pinned to app-1"},
		},
		{
			name:   "a workload moves on",
			change: change("app-1", "app-2"), live: "app-2",
			events: []string{"Normal RolledForward configmap/app moved from app-1 to app-2"},
		},
		{name: "nothing about pins changes", change: change("app-1", "app-1")},
		{name: "what was there at the start is no news", change: initial},
		{name: "what is gone has nothing to tell", change: gone},
		{name: "who doesn't lead doesn't speak", change: change("", "app-1"), follows: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			recorder := events.NewFakeRecorder(10)
			r := New(Options{}, &deployment{t: t, names: "app-1"}, test.live, recorder)
			if !test.follows {
				queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[cluster.Workload]())
				t.Cleanup(queue.ShutDown)
				require.NoError(t, r.Feed().Start(t.Context(), queue))
			}
			r.WorkloadChanged(test.change)
			assert.Equal(t, test.events, drain(recorder))
		})
	}
}
