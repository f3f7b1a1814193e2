package watch

import "k8s.io/client-go/util/workqueue"

// NewQueue returns the queue of a controller in which namespaces take turns: a
// namespace of which ten thousand keys wait holds up another one, of which one key
// does, by one key.
func NewQueue[K comparable](name string, limiter workqueue.TypedRateLimiter[K], namespace func(K) string) workqueue.TypedRateLimitingInterface[K] {
	queue := workqueue.NewTypedWithConfig(workqueue.TypedQueueConfig[K]{
		Name:  name,
		Queue: &turns[K]{namespace: namespace, waiting: map[string][]K{}},
	})
	delaying := workqueue.NewTypedDelayingQueueWithConfig(workqueue.TypedDelayingQueueConfig[K]{Name: name, Queue: queue})
	return workqueue.NewTypedRateLimitingQueueWithConfig(limiter, workqueue.TypedRateLimitingQueueConfig[K]{DelayingQueue: delaying})
}

// turns are the keys that wait. Those of a namespace keep their order. The queue
// around it has the lock.
type turns[K comparable] struct {
	namespace func(K) string
	order     []string // of namespaces that have keys, the next one first
	waiting   map[string][]K
	count     int
}

// Touch implements workqueue.Queue: who waits already keeps its place.
func (t *turns[K]) Touch(K) {}

// Push implements workqueue.Queue.
func (t *turns[K]) Push(key K) {
	namespace := t.namespace(key)
	if len(t.waiting[namespace]) == 0 {
		t.order = append(t.order, namespace)
	}
	t.waiting[namespace] = append(t.waiting[namespace], key)
	t.count++
}

// Len implements workqueue.Queue.
func (t *turns[K]) Len() int { return t.count }

// Pop implements workqueue.Queue. It isn't called while nothing waits.
func (t *turns[K]) Pop() K {
	namespace := t.order[0]
	keys := t.waiting[namespace]
	t.order, t.waiting[namespace] = t.order[1:], keys[1:]
	if len(keys) > 1 {
		t.order = append(t.order, namespace)
	} else {
		delete(t.waiting, namespace)
	}
	t.count--
	return keys[0]
}
