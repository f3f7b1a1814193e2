package rollout

import (
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/configpin/configpin/internal/cluster"
)

// record is what is remembered of a workload from one look to the next. There is none of a
// workload of which nothing is.
type record struct {
	limiter *rate.Limiter // nil where it may have all its rollouts
	damped  bool          // somebody was told that it has to wait for one
	right   time.Time     // when it was last while a source of it was restless
	waiting time.Time     // since when it waits for its sources to be quiet, if it does
	tries   tries         // in vain
	pauses  int           // in a row, for what isn't known yet
	answer  string        // the resourceVersion that the last touch was answered with
	missing string        // what was told last of snapshots that are gone
}

// records are those of workloads.
type records struct {
	mutex   sync.Mutex
	all     map[cluster.Workload]*record
	missing int // of which something was told of snapshots that are gone
}

// of hands the record of a workload to f, which may change it.
func (r *records) of(workload cluster.Workload, f func(*record)) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	known := r.all[workload]
	if known == nil {
		known = &record{}
	}
	before := known.missing
	f(known)
	switch {
	case before == "" && known.missing != "":
		r.missing++
	case before != "" && known.missing == "":
		r.missing--
	}
	switch {
	case *known == record{}:
		delete(r.all, workload)
	case r.all == nil:
		r.all = map[cluster.Workload]*record{workload: known}
	default:
		r.all[workload] = known
	}
}

// each hands every record to f, which may change it.
func (r *records) each(f func(*record)) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	for workload, known := range r.all {
		if f(known); *known == (record{}) {
			delete(r.all, workload)
		}
	}
}

// settled notes that a workload is right.
func (r *Rollout) settled(of cluster.Workload) {
	restless := r.restless(of)
	r.records.of(of, func(is *record) {
		is.waiting, is.tries, is.damped = time.Time{}, tries{}, false
		if restless {
			is.right = time.Now()
		}
	})
}

// forget notes that a workload isn't there.
func (r *Rollout) forget(of cluster.Workload) {
	r.records.of(of, func(was *record) { *was = record{} })
}

// prune forgets what nobody has to wait for any more.
func (r *Rollout) prune() {
	now := time.Now()
	r.quiet.prune(now)
	r.records.each(func(is *record) {
		if now.Sub(is.right) > r.options.SettleMax {
			is.right = time.Time{}
		}
		if is.limiter != nil && is.limiter.Tokens() >= float64(r.options.Burst) {
			is.limiter = nil
		}
	})
}
