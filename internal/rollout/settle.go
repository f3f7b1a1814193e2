package rollout

import (
	"slices"
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
	changes map[cluster.Key]time.Time // the last of each source
	untold  map[cluster.Key]time.Time // the first of each source that its users weren't told of
}

func newQuiet(settle, longest time.Duration) *quiet {
	return &quiet{
		settle:  settle,
		longest: longest,
		changes: map[cluster.Key]time.Time{},
		untold:  map[cluster.Key]time.Time{},
	}
}

// changed notes that a source changed, and returns whether that is the first change of
// which its users are still to be told.
func (q *quiet) changed(source cluster.Key, now time.Time) (first bool) {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	q.changes[source] = now
	if _, untold := q.untold[source]; untold {
		return false
	}
	q.untold[source] = now
	return true
}

// due returns how long the users of a source still have to wait to be told of its
// changes. Once they don't, it returns since when there are some, and they are told.
func (q *quiet) due(source cluster.Key, now time.Time) (wait time.Duration, since time.Time) {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	since = q.untold[source]
	settled, latest := q.changes[source].Add(q.settle), since.Add(q.longest)
	if latest.Before(settled) {
		settled = latest
	}
	if wait = settled.Sub(now); wait > 0 {
		return wait, since
	}
	delete(q.untold, source)
	return 0, since
}

// waits notes that a workload waits since then, if it doesn't for longer, and wasn't right
// meanwhile: a source may be restless for long, of which others bring what it holds. It
// returns since when the workload waits.
func (r *Rollout) waits(of cluster.Workload, since time.Time) time.Time {
	r.records.of(of, func(is *record) {
		if since.Before(is.right) {
			since = is.right
		}
		if is.waiting.IsZero() || since.Before(is.waiting) {
			is.waiting = since
		}
		since = is.waiting
	})
	return since
}

// settling returns how long a workload that is behind has to wait for its sources.
func (r *Rollout) settling(of cluster.Workload, now time.Time) time.Duration {
	return r.quiet.wait(r.waits(of, now), r.workloads.Sources(of), now)
}

// wait returns how long who is behind since then, with sources, still has to wait.
func (q *quiet) wait(since time.Time, sources []cluster.Key, now time.Time) time.Duration {
	q.mutex.Lock()
	defer q.mutex.Unlock()
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

// restless says whether the users of any of the sources of a workload are still to be told
// of a change. Most often nobody is, so that its sources needn't be known.
func (r *Rollout) restless(of cluster.Workload) bool {
	q := r.quiet
	q.mutex.Lock()
	some := len(q.untold) > 0
	q.mutex.Unlock()
	if !some {
		return false
	}
	sources := r.workloads.Sources(of)
	q.mutex.Lock()
	defer q.mutex.Unlock()
	return slices.ContainsFunc(sources, func(source cluster.Key) bool {
		_, untold := q.untold[source]
		return untold
	})
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
