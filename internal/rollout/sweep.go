package rollout

import (
	"context"
	"slices"

	"golang.org/x/time/rate"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/klog/v2"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/wellknown"
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
}

func newSweep() sweep {
	return sweep{limit: rate.NewLimiter(sweptPerSecond, sweptAtOnce), vain: map[cluster.Workload]bool{}}
}

// Start looks now and then for workloads that are opted in by their namespace
// but carry no label, until ctx ends. They were written while admission was
// away, and no watch of labelled workloads ever sees them.
func (r *Rollout) Start(ctx context.Context) error {
	defer r.crowds.end()
	if err := cluster.WaitSynced(ctx, r.workloads.Synced); err != nil {
		return nil // it was told to stop
	}
	wait.UntilWithContext(ctx, r.sweep, r.options.Sweep)
	return nil
}

func (r *Rollout) sweep(ctx context.Context) {
	r.prune()
	optedIn, err := r.workloads.OptedIn(ctx)
	r.swept.failed(ctx, err, "Asking which namespaces opt in")
	rounds := r.unstamped(ctx, optedIn)
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
	waiting []cluster.Workload
	inVain  int // in a row
}

// unstamped are the rounds in namespaces that opt in what is written in them.
func (r *Rollout) unstamped(ctx context.Context, optedIn []string) []*round {
	var rounds []*round
	for _, namespace := range optedIn {
		found, err := r.workloads.Unstamped(ctx, namespace)
		r.swept.failed(ctx, err, "Looking for workloads that their namespace opts in", "namespace", namespace)
		rounds = append(rounds, &round{waiting: found})
	}
	return rounds
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
			if r.send(ctx, of) {
				in.inVain = 0
				return false
			}
			in.inVain++
			vain[of] = true
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
func (r *Rollout) send(ctx context.Context, of cluster.Workload) bool {
	log := logf.FromContext(ctx).WithValues("workload", klog.KRef(of.Namespace, of.Name), "kind", of.Kind.Kind)
	touched, err := r.workloads.Touch(ctx, of)
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
	case touched.Object.Labels[wellknown.Enabled] == "":
		touches.WithLabelValues(resultUnanswered).Inc()
		log.V(1).Info("Touched in vain", "reason", resultUnanswered)
		return false
	}
	touches.WithLabelValues(resultStamped).Inc()
	log.Info("Opted in, as its namespace is")
	return true
}
