package watch

import (
	"context"
	"sync"
	"time"

	"k8s.io/client-go/util/workqueue"
)

// Feed carries keys from watches, which run on every replica, to the queue of a
// controller, which runs on the leader. Until that starts it drops them: the
// controller begins with everything that is known then.
type Feed[K comparable] struct {
	// Begin is called once the controller starts. It returns when what there
	// was at the start is in the queue.
	Begin func(ctx context.Context, add func(K)) error

	mutex sync.RWMutex
	queue workqueue.TypedDelayingInterface[K]
}

// Start implements controller-runtime's source.TypedSource.
func (f *Feed[K]) Start(ctx context.Context, queue workqueue.TypedRateLimitingInterface[K]) error {
	f.mutex.Lock()
	f.queue = queue
	f.mutex.Unlock()
	return f.Begin(ctx, func(key K) { queue.Add(key) })
}

// Running says whether the controller has started: this replica leads.
func (f *Feed[K]) Running() bool {
	f.mutex.RLock()
	defer f.mutex.RUnlock()
	return f.queue != nil
}

// AddAfter puts key into the queue in a while.
func (f *Feed[K]) AddAfter(key K, wait time.Duration) {
	f.mutex.RLock()
	defer f.mutex.RUnlock()
	if f.queue != nil {
		f.queue.AddAfter(key, max(0, wait))
	}
}
