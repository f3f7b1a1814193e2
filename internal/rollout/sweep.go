package rollout

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"

	"golang.org/x/time/rate"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/klog/v2"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/cluster/watch"
	"github.com/configpin/configpin/internal/pin"
	"github.com/configpin/configpin/internal/wellknown"
	"github.com/configpin/configpin/internal/workload"
)

// A sweep is no hurry, and each of its touches may be a rollout.
const (
	sweptPerSecond = 10
	sweptAtOnce    = 10
)

// triesOfNamespace is how many touches of a namespace may be in vain in a row before the
// rest of it is left for the next sweep: admission is away, most likely, and will be for
// the others.
const triesOfNamespace = 3

// sweep is what is remembered between two looks for what no watch of labelled workloads
// sees.
type sweep struct {
	limit *rate.Limiter
	vain  map[cluster.Workload]bool // touched in vain the last time: the others are first

	mutex sync.Mutex
	left  map[string]bool // namespaces that a workload left the watch of, or nil before the first look
}

func newSweep() *sweep {
	return &sweep{limit: rate.NewLimiter(sweptPerSecond, sweptAtOnce), vain: map[cluster.Workload]bool{}}
}

// repair is what a sweep does to workloads.
type repair struct {
	result string // as the metric calls it
	says   string // as the log does
	send   func(context.Context, workloads, cluster.Workload) (cluster.Touched, error)
	done   func(workload.Object) bool
}

var (
	stamps = repair{resultStamped, "Opted in, as its namespace is", touch, func(o workload.Object) bool {
		return o.Labels[wellknown.Enabled] != ""
	}}
	releases = repair{resultReleased, "Put back names, as the label was taken away", release, isReleased}
)

func touch(ctx context.Context, w workloads, of cluster.Workload) (cluster.Touched, error) {
	return w.Touch(ctx, of)
}

// release releases a workload, if admission answers: what it is labelled with for that would
// be stored otherwise, where a namespace is excluded for good.
func release(ctx context.Context, w workloads, of cluster.Workload) (cluster.Touched, error) {
	tried, err := w.Release(ctx, of, true)
	if err != nil || !isReleased(tried.Object) {
		return tried, err
	}
	return w.Release(ctx, of, false)
}

func isReleased(o workload.Object) bool { return !pin.Offered(o.Labels) }

// Start looks now and then, until ctx ends, for what was written while admission was away
// and what no watch of labelled workloads sees: workloads without a label that their
// namespace opts in, and others that are pinned although their label was taken away. For
// these it looks everywhere at first, and then where some left the watch.
func (r *Rollout) Start(ctx context.Context) error {
	defer r.crowds.end()
	if err := watch.WaitSynced(ctx, r.workloads.Synced); err != nil {
		return nil // it was told to stop
	}
	r.leaveAll()
	wait.UntilWithContext(ctx, r.sweep, r.options.Sweep)
	return nil
}

// leaveAll has the first look be everywhere.
func (r *Rollout) leaveAll() {
	r.swept.mutex.Lock()
	defer r.swept.mutex.Unlock()
	r.swept.left = map[string]bool{}
	for _, namespace := range r.workloads.Scope() {
		r.swept.left[namespace] = true
	}
}

// leave notes that workloads of a namespace may have lost their label. Before the first look,
// which a versioner that doesn't lead may never take, that is nothing to note.
func (r *Rollout) leave(namespace string) {
	r.swept.mutex.Lock()
	defer r.swept.mutex.Unlock()
	if r.swept.left != nil {
		r.swept.left[namespace] = true
	}
}

// departed notes that a workload left the watch: it was deleted, or lost its label.
func (r *Rollout) departed(change watch.Change) {
	if change.After == nil && (change.Before == nil || pin.Offered(change.Before.Labels)) {
		r.leave(change.Namespace)
	}
}

func (r *Rollout) sweep(ctx context.Context) {
	r.prune()
	optedIn, unknown, err := r.workloads.OptedIn(ctx)
	r.swept.failed(ctx, err, "Asking which namespaces opt in")
	rounds := append(r.unstamped(ctx, optedIn), r.leftPinned(ctx, optedIn, unknown)...)
	r.swept.order(rounds)
	r.repair(ctx, rounds)
}

// failed tells of what couldn't be looked at. That is no reason not to look at the rest.
func (s *sweep) failed(ctx context.Context, err error, doing string, keysAndValues ...any) {
	if err != nil {
		sweepFailures.Inc()
		logf.FromContext(ctx).Error(err, doing, keysAndValues...)
	}
}

// round is what a sweep does in one namespace.
type round struct {
	repair
	waiting []cluster.Workload
	inVain  int // in a row
}

// unstamped are the rounds in namespaces that opt in what is written in them.
func (r *Rollout) unstamped(ctx context.Context, optedIn []string) []*round {
	var rounds []*round
	for _, namespace := range optedIn {
		found, err := r.workloads.Unstamped(ctx, namespace)
		r.swept.failed(ctx, err, "Looking for workloads that their namespace opts in", "namespace", namespace)
		rounds = append(rounds, &round{repair: stamps, waiting: found})
	}
	return rounds
}

var errUnknown = errors.New("it isn't known whether the namespace opts in what is written in it")

// leftPinned are the rounds where workloads may have lost their label. Where it isn't known
// whether a namespace opts in, they are left for the next sweep: they would roll out now, and
// back as soon as it is known that it does.
func (r *Rollout) leftPinned(ctx context.Context, optedIn, unknown []string) []*round {
	r.swept.mutex.Lock()
	left := slices.Sorted(maps.Keys(r.swept.left))
	clear(r.swept.left)
	r.swept.mutex.Unlock()
	rounds := map[string]*round{}
	for _, namespace := range left {
		found, err := r.workloads.LeftPinned(ctx, namespace)
		r.swept.failed(ctx, err, "Looking for workloads that lost their label", "namespace", namespace)
		if err != nil {
			r.leave(namespace)
		}
		for _, of := range found {
			if rounds[of.Namespace] == nil {
				rounds[of.Namespace] = &round{repair: releases}
			}
			rounds[of.Namespace].waiting = append(rounds[of.Namespace].waiting, of)
		}
	}
	for _, namespace := range optedIn { // these are pinned again
		delete(rounds, namespace)
	}
	for _, namespace := range unknown {
		if rounds[namespace] != nil {
			r.swept.failed(ctx, errUnknown, "Leaving workloads that lost their label", "namespace", namespace)
			r.leave(namespace)
			delete(rounds, namespace)
		}
	}
	return slices.Collect(maps.Values(rounds))
}

// order puts those last that were touched in vain the last time, so that they hold up no
// others.
func (s *sweep) order(rounds []*round) {
	for _, in := range rounds {
		slices.SortStableFunc(in.waiting, func(a, b cluster.Workload) int {
			switch {
			case s.vain[a] == s.vain[b]:
				return 0
			case s.vain[b]:
				return -1
			default:
				return 1
			}
		})
	}
}

// repair touches what was found. Namespaces take turns.
func (r *Rollout) repair(ctx context.Context, rounds []*round) {
	vain := map[cluster.Workload]bool{}
	for len(rounds) > 0 {
		rounds = slices.DeleteFunc(rounds, func(in *round) bool {
			if len(in.waiting) == 0 || r.swept.limit.Wait(ctx) != nil {
				return true
			}
			of := in.waiting[0]
			in.waiting = in.waiting[1:]
			if r.send(ctx, of, in.repair) {
				in.inVain = 0
				return false
			}
			in.inVain++
			vain[of] = true
			if in.result == resultReleased {
				r.leave(of.Namespace)
			}
			if in.inVain < triesOfNamespace {
				return false
			}
			for _, untried := range in.waiting {
				vain[untried] = r.swept.vain[untried]
			}
			return true
		})
	}
	r.swept.vain = vain
}

// send touches a workload, and returns whether nothing is left to be repaired.
func (r *Rollout) send(ctx context.Context, of cluster.Workload, what repair) bool {
	log := logf.FromContext(ctx).WithValues("workload", klog.KRef(of.Namespace, of.Name), "kind", of.Kind.Kind)
	touched, err := what.send(ctx, r.workloads, of)
	switch {
	case apierrors.IsNotFound(err):
		return true
	case isRefusal(err):
		touches.WithLabelValues(resultRefused).Inc()
		log.Error(err, "Touching a workload without a label")
		return false
	case err != nil:
		log.Error(err, "Touching a workload without a label")
		return false
	case !what.done(touched.Object):
		touches.WithLabelValues(resultUnanswered).Inc()
		log.V(1).Info("Touched in vain", "reason", resultUnanswered)
		return false
	}
	touches.WithLabelValues(what.result).Inc()
	log.Info(what.says)
	return true
}
