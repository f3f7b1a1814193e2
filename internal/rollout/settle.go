package rollout

import (
	"sync"
	"time"

	"github.com/configpin/configpin/internal/cluster"
)

// quiet tells when sources that change have changed enough. A workload is
// touched once its sources were quiet for settle, but no later than longest
// after the first change, so that a producer that never rests can't keep a
// workload from ever getting anything.
type quiet struct {
	settle, longest time.Duration

	mutex   sync.Mutex
	changes map[cluster.Key]burst
}

// burst is a run of changes of one source.
type burst struct{ first, last time.Time }

func (q *quiet) changed(source cluster.Key, now time.Time) {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	if q.changes == nil {
		q.changes = map[cluster.Key]burst{}
	}
	current, running := q.changes[source]
	if !running || !now.Before(q.end(current)) {
		current.first = now
	}
	current.last = now
	q.changes[source] = current
}

func (q *quiet) end(b burst) time.Time {
	settled, latest := b.last.Add(q.settle), b.first.Add(q.longest)
	if latest.Before(settled) {
		return latest
	}
	return settled
}

// wait returns how long it takes until all of sources are quiet.
func (q *quiet) wait(sources []cluster.Key, now time.Time) time.Duration {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	var last, latest time.Time
	for _, source := range sources {
		current, running := q.changes[source]
		if !running {
			continue
		}
		if !now.Before(q.end(current)) {
			delete(q.changes, source)
			continue
		}
		if settled := current.last.Add(q.settle); settled.After(last) {
			last = settled
		}
		if end := current.first.Add(q.longest); latest.IsZero() || end.Before(latest) {
			latest = end
		}
	}
	if latest.Before(last) {
		last = latest
	}
	return max(0, last.Sub(now))
}
