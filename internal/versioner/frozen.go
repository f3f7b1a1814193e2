package versioner

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/wellknown"
)

// wasVersioned says whether an object that isn't versioned has snapshots. At the start
// nobody knows what it was a moment ago.
func (v *Versioner) wasVersioned(object snapshot.Object) bool {
	if _, _, claimed := snapshot.Claimed(object); claimed {
		return false
	}
	return len(v.Sources.KnownSnapshots(keyOf(object))) > 0
}

// askAgain is how long to wait until all workloads are known.
const askAgain = 5 * time.Second

// tellFrozen tells, once, that workloads are pinned to what a source held that isn't
// versioned any more. Whoever takes the annotation off may mean that; whoever replaces the
// whole object by one without it, most likely doesn't, and nothing else would tell: such
// workloads just stay as they are.
func (v *Versioner) tellFrozen(key cluster.Key, source snapshot.Object) reconcile.Result {
	v.mutex.Lock()
	told := v.frozen[key]
	v.mutex.Unlock()
	if told {
		return reconcile.Result{}
	}
	pinned, known := v.PinnedFor(key)
	if !known {
		return reconcile.Result{RequeueAfter: askAgain}
	}
	if pinned == 0 || !v.freeze(key) {
		return reconcile.Result{}
	}
	v.event(source, corev1.EventTypeWarning, wellknown.ReasonNotVersioned,
		"It is not versioned any more, so what changes rolls out to nobody. Workloads that stay pinned to what it held: %d. To go on, annotate it %s=%s",
		pinned, wellknown.Versioned, wellknown.True)
	return reconcile.Result{}
}

// freeze notes that it is told of a source. Of one that the watch has seen go already, nobody
// would thaw it.
func (v *Versioner) freeze(key cluster.Key) (there bool) {
	v.mutex.Lock()
	defer v.mutex.Unlock()
	if _, there = v.Sources.Metadata(key); !there {
		return false
	}
	if v.frozen == nil {
		v.frozen = map[cluster.Key]bool{}
	}
	v.frozen[key] = true
	return true
}

// thaw notes that a source is versioned, or gone.
func (v *Versioner) thaw(key cluster.Key) {
	v.mutex.Lock()
	defer v.mutex.Unlock()
	delete(v.frozen, key)
}
