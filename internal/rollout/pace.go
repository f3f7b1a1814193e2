package rollout

import (
	"context"
	"errors"
	"net/http"
	"time"

	"golang.org/x/time/rate"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/klog/v2"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/wellknown"
)

// allowance returns how long a workload has to wait until it may roll out.
func (r *Rollout) allowance(of cluster.Workload) time.Duration {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	limiter, known := r.limiters[of]
	if !known {
		return 0
	}
	missing := 1 - limiter.Tokens()
	return max(0, time.Duration(missing*float64(r.options.Every)))
}

// respite is how long a workload that had to wait the last time needn't be looked at,
// because it may not roll out whatever its sources hold.
func (r *Rollout) respite(of cluster.Workload) time.Duration {
	r.mutex.Lock()
	damped := r.damped[of]
	r.mutex.Unlock()
	if !damped {
		return 0
	}
	return r.allowance(of)
}

// spend takes one rollout from what a workload may have.
func (r *Rollout) spend(of cluster.Workload) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if _, known := r.limiters[of]; !known {
		r.limiters[of] = rate.NewLimiter(rate.Every(r.options.Every), r.options.Burst)
	}
	r.limiters[of].Allow()
}

// damp says, once in a row, that a workload has to wait.
func (r *Rollout) damp(ctx context.Context, of cluster.Workload, uid types.UID, wait time.Duration) {
	touches.WithLabelValues(resultDamped).Inc()
	r.mutex.Lock()
	said := r.damped[of]
	r.damped[of] = true
	r.mutex.Unlock()
	if said {
		return
	}
	logf.FromContext(ctx).Info("Damped rollouts", "workload", klog.KRef(of.Namespace, of.Name), "duration", wait)
	r.event(reference(of, uid), corev1.EventTypeWarning, wellknown.ReasonDamped,
		"Its sources change faster than it may roll out: at most one rollout per %s from now on", r.options.Every)
}

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

// vain is why a touch left a workload behind.
type vain struct {
	result string // as the metric calls it
	cause  string // what is in the way; empty where nobody answered
}

var (
	unanswered = vain{result: resultUnanswered}
	reverted   = vain{resultReverted, "another webhook or a MutatingAdmissionPolicy changes back what admission answers (kubectl get mutatingwebhookconfigurations)"}
)

func refused(err error) vain { return vain{resultRefused, err.Error()} }

// isRefusal says whether somebody doesn't want a workload to be touched, for as
// long as nobody changes that: a policy or a webhook, by whatever code, or, where
// requests fail with a webhook, one that is away (500).
func isRefusal(err error) bool {
	status := apierrors.APIStatus(nil)
	if !errors.As(err, &status) {
		return false
	}
	switch code := status.Status().Code; code {
	case http.StatusNotFound, http.StatusConflict, http.StatusTooManyRequests, http.StatusUnauthorized:
		return false
	default:
		return code >= 400 && code <= http.StatusInternalServerError
	}
}

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
	r.mutex.Lock()
	now := r.tries[of].next(why.result)
	r.tries[of] = now
	r.mutex.Unlock()
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

// settled notes that a workload is right.
func (r *Rollout) settled(of cluster.Workload) {
	r.quiet.done(of)
	r.mutex.Lock()
	defer r.mutex.Unlock()
	delete(r.tries, of)
	delete(r.damped, of)
}

func (r *Rollout) forget(of cluster.Workload) {
	r.settled(of)
	r.mutex.Lock()
	defer r.mutex.Unlock()
	delete(r.limiters, of)
	delete(r.missing, of)
	delete(r.answers, of)
	delete(r.pauses, of)
}

// prune forgets the limits of workloads that may have all their rollouts again.
func (r *Rollout) prune() {
	r.quiet.prune(time.Now())
	r.mutex.Lock()
	defer r.mutex.Unlock()
	for of, limiter := range r.limiters {
		if limiter.Tokens() >= float64(r.options.Burst) {
			delete(r.limiters, of)
		}
	}
}

// Whoever learns what isn't known yet says so, and then those who wait for it are looked
// at. The pauses between looks are for what nobody says.
const (
	firstPause = time.Second
	lastPause  = time.Minute
)

// pause returns how long to wait for what isn't known yet: longer each time in a row.
func (r *Rollout) pause(of cluster.Workload) time.Duration {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	before := r.pauses[of]
	r.pauses[of]++
	return min(lastPause, firstPause<<min(before, 10))
}

// rested notes that all is known of a workload.
func (r *Rollout) rested(of cluster.Workload) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	delete(r.pauses, of)
}

// answeredWith notes what a workload was when a touch was answered.
func (r *Rollout) answeredWith(of cluster.Workload, resourceVersion string) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.answers[of] = resourceVersion
}

// outdated says whether what is known of a workload is older than the answer to its last
// touch. Whoever judged by that would touch it again for what it got already, and count
// another rollout.
func (r *Rollout) outdated(of cluster.Workload, resourceVersion string) bool {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	answered, touched := r.answers[of]
	if !touched {
		return false
	}
	if order, err := resourceversion.CompareResourceVersion(resourceVersion, answered); err == nil && order < 0 {
		return true
	}
	delete(r.answers, of)
	return false
}
