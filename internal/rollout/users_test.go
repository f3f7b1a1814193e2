package rollout

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/pin"
	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/workload"
)

// users are many workloads that refer to one source, which admission pins to what that
// holds now. It counts how often one is looked at.
type users struct {
	*deployment
	all   []cluster.Workload
	looks atomic.Int64

	mutex sync.Mutex
	live  string
	names map[cluster.Workload]string
}

func newUsers(t *testing.T, size int) *users {
	t.Helper()
	c := &users{deployment: &deployment{t: t}, live: "app-0", names: map[cluster.Workload]string{}}
	for i := range size {
		of := web
		of.Name = fmt.Sprint("web-", i)
		c.all = append(c.all, of)
		c.names[of] = c.live
	}
	return c
}

func (c *users) All() []cluster.Workload               { return c.all }
func (c *users) UsedBy(cluster.Key) []cluster.Workload { return c.all }

func (c *users) Object(of cluster.Workload) (workload.Object, types.UID, bool) {
	c.looks.Add(1)
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return (&deployment{t: c.t, names: c.names[of]}).object(), "1", true
}

func (c *users) Touch(_ context.Context, of cluster.Workload) (cluster.Touched, error) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.names[of] = c.live
	return cluster.Touched{Object: (&deployment{t: c.t, names: c.live}).object()}, nil
}

func (c *users) ResourceVersion(cluster.Workload) string { return "1" }

// of is what a workload names.
func (c *users) of(workload cluster.Workload) string {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.names[workload]
}

func (c *users) change(to string) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.live = to
}

// changing is what the source of users holds.
type changing struct {
	current
	*users
}

func (c changing) Tell(namespace string, of *pin.Case) map[refs.Target]bool {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return current(c.live).Tell(namespace, of)
}

func (c changing) Synced() bool { return true }

// run reconciles what is fed, as the controller does, until the test ends.
func run(t *testing.T, r *Rollout) {
	t.Helper()
	queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[cluster.Workload]())
	require.NoError(t, r.Feed().Start(t.Context(), queue))
	var workers sync.WaitGroup
	for range 4 {
		workers.Go(func() {
			for of, down := queue.Get(); !down; of, down = queue.Get() {
				result, err := r.Reconcile(t.Context(), of)
				assert.NoError(t, err)
				if result.RequeueAfter > 0 {
					queue.AddAfter(of, result.RequeueAfter)
				}
				queue.Done(of)
			}
		})
	}
	t.Cleanup(func() {
		queue.ShutDown()
		workers.Wait()
	})
}

// TestASourceThatNeverRests: its users are looked at a few times a minute, however often
// it changes, and none waits longer than it may.
func TestASourceThatNeverRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const users, changes = 20, 600
		const pause = 200 * time.Millisecond
		c := newUsers(t, users)
		recorder := events.NewFakeRecorder(10 * users)
		r := New(Options{Settle: 2 * time.Second, SettleMax: 10 * time.Second, Burst: 3, Every: time.Minute}, c, changing{users: c}, recorder)
		run(t, r)
		synctest.Wait()
		c.looks.Store(0)
		for change := range changes {
			c.change(fmt.Sprint("app-", change+1))
			r.SourceChanged(source("app"))
			<-time.After(pause)
			if time.Duration(change)*pause == 11*time.Second {
				assert.NotEqual(t, "app-0", c.of(c.all[0]), "it waits no longer than it may")
			}
		}
		minutes := (changes * pause).Minutes()
		t.Logf("each user is looked at %.1f times a minute", float64(c.looks.Load())/users/minutes)
		assert.LessOrEqual(t, float64(c.looks.Load())/users/minutes, 12.0)
		told := drain(recorder)
		assert.GreaterOrEqual(t, len(told), users, "each is told that it has to wait")

		<-time.After(2 * time.Minute)
		synctest.Wait()
		for _, of := range c.all {
			assert.Equal(t, c.live, c.of(of), "the last counts")
		}
	})
}
