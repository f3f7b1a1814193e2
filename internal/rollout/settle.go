package rollout

import (
	"sync"
	"time"

	"github.com/configpin/configpin/internal/cluster"
)

// quiet tells when a workload that is behind has waited long enough: its
// sources were quiet for settle, or it waits for longest already, so that
// producers that never rest can't keep it from ever getting anything.
type quiet struct {
	settle, longest time.Duration

	mutex   sync.Mutex
	changes map[cluster.Key]time.Time      // the last of each source
	waiting map[cluster.Workload]time.Time // since when
}

func newQuiet(settle, longest time.Duration) *quiet {
	return &quiet{
		settle:  settle,
		longest: longest,
		changes: map[cluster.Key]time.Time{},
		waiting: map[cluster.Workload]time.Time{},
	}
}

// changed notes that a source changed.
func (q *quiet) changed(source cluster.Key, now time.Time) {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	q.changes[source] = now
}

// wait returns how long a workload that is behind still has to wait.
func (q *quiet) wait(of cluster.Workload, sources []cluster.Key, now time.Time) time.Duration {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	since, waiting := q.waiting[of]
	if !waiting {
		since = now
		q.waiting[of] = now
	}
	var due time.Time
	for _, source := range sources {
		if last, changed := q.changes[source]; changed && last.Add(q.settle).After(due) {
			due = last.Add(q.settle)
		}
	}
	if latest := since.Add(q.longest); latest.Before(due) {
		due = latest
	}
	return max(0, due.Sub(now))
}

// done notes that a workload doesn't wait any more.
func (q *quiet) done(of cluster.Workload) {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	delete(q.waiting, of)
}

// prune forgets changes that nobody has to wait for any more.
func (q *quiet) prune(now time.Time) {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	for source, last := range q.changes {
		if !now.Before(last.Add(q.settle)) {
			delete(q.changes, source)
		}
	}
}
