// Package rollout finds workloads that are behind and touches them: it sends
// them through admission, by a patch that changes nothing, and admission pins.
// So one program alone writes names, a touch takes nobody's ownership, and a
// touch too many does nothing.
//
// A workload is behind exactly when the decision of package pin, about the
// workload written unchanged, changes it. There is no other notion of it here.
package rollout

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/klog/v2"
	logf "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/pin"
	"github.com/configpin/configpin/internal/wellknown"
	"github.com/configpin/configpin/internal/workload"
)

// Options are what an operator can choose.
type Options struct {
	// Settle is how long the sources of a workload have to be quiet before it
	// is touched, and SettleMax how long it may wait for that.
	Settle, SettleMax time.Duration

	// Burst is how many rollouts a workload may have at once, and Every the
	// time after which it may have one more.
	Burst int
	Every time.Duration

	// Sweep is the time between two looks for workloads of opted-in namespaces
	// that were written while admission was away.
	Sweep time.Duration
}

// Rollout reconciles workloads.
type Rollout struct {
	options   Options
	workloads workloads
	sources   sources
	events    events.EventRecorder

	feed  cluster.Feed[cluster.Workload]
	quiet *quiet

	mutex    sync.Mutex
	limiters map[cluster.Workload]*rate.Limiter
	tries    map[cluster.Workload]int // touches in a row that changed nothing
	damped   map[cluster.Workload]bool
}

type workloads interface {
	All() []cluster.Workload
	Synced() bool
	UsedBy(source cluster.Key) []cluster.Workload
	Sources(of cluster.Workload) []cluster.Key
	Object(of cluster.Workload) (object workload.Object, uid types.UID, found bool)
	Touch(ctx context.Context, of cluster.Workload) (workload.Object, error)
	Unstamped(ctx context.Context) ([]cluster.Workload, error)
}

type sources interface {
	Synced() bool
	Facts(namespace string, request pin.Request) (facts pin.Facts, ready bool)
}

// New returns a Rollout of what workloads and sources know.
func New(options Options, workloads workloads, sources sources, recorder events.EventRecorder) *Rollout {
	return &Rollout{
		options:   options,
		workloads: workloads,
		sources:   sources,
		events:    recorder,
		quiet:     newQuiet(options.Settle, options.SettleMax),
		limiters:  map[cluster.Workload]*rate.Limiter{},
		tries:     map[cluster.Workload]int{},
		damped:    map[cluster.Workload]bool{},
	}
}

// Feed is where the workloads to reconcile come from.
func (r *Rollout) Feed() *cluster.Feed[cluster.Workload] {
	r.feed.Begin = func(ctx context.Context, add func(cluster.Workload)) error {
		if err := cluster.WaitSynced(ctx, r.sources.Synced, r.workloads.Synced); err != nil {
			return err
		}
		for _, of := range r.workloads.All() {
			add(of)
		}
		return nil
	}
	return &r.feed
}

// SourceChanged takes note that a source holds something else than before.
func (r *Rollout) SourceChanged(source cluster.Key) {
	r.quiet.changed(source, time.Now())
	for _, of := range r.workloads.UsedBy(source) {
		r.feed.AddAfter(of, 0)
	}
}

// WorkloadChanged takes note of a workload that came, changed or went.
func (r *Rollout) WorkloadChanged(of cluster.Workload) { r.feed.AddAfter(of, 0) }

// Reconcile touches a workload if it is behind, its sources are quiet, and it
// wasn't rolled out too often of late.
func (r *Rollout) Reconcile(ctx context.Context, of cluster.Workload) (reconcile.Result, error) {
	object, uid, found := r.workloads.Object(of)
	if !found {
		r.forget(of)
		return reconcile.Result{}, nil
	}
	behind, moves := r.behind(object)
	if !behind {
		r.settled(of)
		return reconcile.Result{}, nil
	}
	if wait := r.quiet.wait(of, r.workloads.Sources(of), time.Now()); wait > 0 {
		return reconcile.Result{RequeueAfter: wait}, nil
	}
	if moves {
		if wait := r.allowance(of); wait > 0 {
			r.damp(ctx, of, uid, wait)
			return reconcile.Result{RequeueAfter: wait}, nil
		}
	}
	answer, err := r.workloads.Touch(ctx, of)
	if apierrors.IsNotFound(err) {
		return reconcile.Result{}, nil
	}
	if err != nil {
		return reconcile.Result{}, err
	}
	if behind, _ := r.behind(answer); behind {
		return reconcile.Result{RequeueAfter: r.unanswered(ctx, of, uid)}, nil
	}
	r.settled(of)
	touches.WithLabelValues(resultPinned).Inc()
	if moves {
		r.spend(of)
		logf.FromContext(ctx).Info("Rolled forward", "workload", klog.KRef(of.Namespace, of.Name), "kind", of.Kind.Kind)
		r.event(of, uid, corev1.EventTypeNormal, wellknown.ReasonRolledForward, "Pinned to what its sources hold now: %s",
			strings.ReplaceAll(answer.Template.Annotations[wellknown.Pins], ",", ", "))
	}
	return reconcile.Result{}, nil
}

// behind says whether the decision about an object, written unchanged, changes
// it, and whether that moves a name in its template: only then it rolls out.
func (r *Rollout) behind(object workload.Object) (behind, moves bool) {
	request := pin.Request{New: object, Old: &object}.Read()
	facts, ready := r.sources.Facts(object.Namespace, request)
	if !ready {
		return false, false // whoever learns what the source holds says that it changed
	}
	decision := pin.Decide(request, facts)
	return len(decision.Patch) > 0, slices.ContainsFunc(decision.Outcomes, pin.Outcome.Moves)
}

func (r *Rollout) event(of cluster.Workload, uid types.UID, eventType, reason, note string, args ...any) {
	regarding := &corev1.ObjectReference{
		APIVersion: of.Kind.Group + "/" + of.Kind.Version,
		Kind:       of.Kind.Kind,
		Namespace:  of.Namespace,
		Name:       of.Name,
		UID:        uid,
	}
	r.events.Eventf(regarding, nil, eventType, reason, "Touch", note, args...)
}
