package rollout

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/klog/v2"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/wellknown"
)

// Backing off from a workload that nobody pins begins at a second and ends at
// half a minute: an outage of admission is over for every workload that long
// after it is over.
const (
	firstBackOff = time.Second
	lastBackOff  = 30 * time.Second
)

// triesBeforeEvent is how many touches in a row must be in vain, for one reason,
// before somebody is told: one or two are a restart of the webhook, or a source that
// changed again in between.
const triesBeforeEvent = 3

// tries are touches in a row that were in vain.
type tries struct {
	all   int
	why   string // the result of the last
	alike int    // how many in a row had that
}

func (t tries) next(result string) tries {
	if t.why != result {
		t.alike = 0
	}
	return tries{t.all + 1, result, t.alike + 1}
}

// inVain notes that a touch left a workload behind, and returns when to try again.
func (r *Rollout) inVain(ctx context.Context, of cluster.Workload, uid types.UID, why vain) time.Duration {
	touches.WithLabelValues(why.result).Inc()
	var now tries
	r.records.of(of, func(is *record) {
		is.tries = is.tries.next(why.result)
		now = is.tries
	})
	logf.FromContext(ctx).V(1).Info("Touched in vain", "workload", klog.KRef(of.Namespace, of.Name), "reason", why.result, "count", now.all)
	switch {
	case now.alike != triesBeforeEvent:
	case why.cause == "":
		r.event(reference(of, uid), corev1.EventTypeWarning, wellknown.ReasonTouchUnanswered,
			"It is behind its sources, and sending it through admission changes nothing: is the configpin webhook reachable, and does nothing undo its answers?")
	default:
		r.event(reference(of, uid), corev1.EventTypeWarning, wellknown.ReasonPinConflict,
			"It is behind its sources, and something is in the way of pinning it: %s", why.cause)
	}
	return min(lastBackOff, firstBackOff<<min(now.all-1, 10))
}

// Whoever learns what isn't known yet says so, and then those who wait for it are looked
// at. The pauses between looks are for what nobody says.
const (
	firstPause = time.Second
	lastPause  = time.Minute
)

// pause returns how long to wait for what isn't known yet: longer each time in a row.
func (r *Rollout) pause(of cluster.Workload) time.Duration {
	before := 0
	r.records.of(of, func(is *record) {
		before = is.pauses
		is.pauses++
	})
	return min(lastPause, firstPause<<min(before, 10))
}

// rested notes that all is known of a workload.
func (r *Rollout) rested(of cluster.Workload) {
	r.records.of(of, func(is *record) { is.pauses = 0 })
}

// answeredWith notes what a workload was when a touch was answered.
func (r *Rollout) answeredWith(of cluster.Workload, resourceVersion string) {
	r.records.of(of, func(is *record) { is.answer = resourceVersion })
}

// outdated says whether what is known of a workload is older than the answer to its last
// touch. Whoever judged by that would touch it again for what it got already, and count
// another rollout.
func (r *Rollout) outdated(of cluster.Workload, resourceVersion string) (outdated bool) {
	r.records.of(of, func(is *record) {
		if is.answer == "" {
			return
		}
		order, err := resourceversion.CompareResourceVersion(resourceVersion, is.answer)
		if outdated = err == nil && order < 0; !outdated {
			is.answer = ""
		}
	})
	return outdated
}
