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
	Touch(ctx context.Context, of cluster.Workload) (cluster.Touched, error)
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

// notReadyPause is how long a workload waits until it is known what its sources
// hold. Whoever learns it says so; the pause is for what nobody says, because a
// watch is behind.
const notReadyPause = time.Second

// Reconcile touches a workload if it is behind, its sources are quiet, and it
// wasn't rolled out too often of late.
func (r *Rollout) Reconcile(ctx context.Context, of cluster.Workload) (reconcile.Result, error) {
	object, uid, found := r.workloads.Object(of)
	if !found {
		r.forget(of)
		return reconcile.Result{}, nil
	}
	state := r.look(object)
	switch {
	case !state.ready:
		return reconcile.Result{RequeueAfter: notReadyPause}, nil
	case !state.behind:
		r.settled(of)
		return reconcile.Result{}, nil
	}
	if wait := r.quiet.wait(of, r.workloads.Sources(of), time.Now()); wait > 0 {
		return reconcile.Result{RequeueAfter: wait}, nil
	}
	if state.moves {
		if wait := r.allowance(of); wait > 0 {
			r.damp(ctx, of, uid, wait)
			return reconcile.Result{RequeueAfter: wait}, nil
		}
	}
	touched, err := r.workloads.Touch(ctx, of)
	if apierrors.IsNotFound(err) {
		return reconcile.Result{}, nil
	}
	if err != nil {
		return reconcile.Result{}, err
	}
	return r.answered(ctx, of, uid, object, touched), nil
}

// answered looks at what a touch made of a workload. It may have rolled out and
// be behind again, when a source changed in the meantime.
func (r *Rollout) answered(ctx context.Context, of cluster.Workload, uid types.UID, before workload.Object, touched cluster.Touched) reconcile.Result {
	pins := touched.Object.Template.Annotations[wellknown.Pins]
	rolled := pins != before.Template.Annotations[wellknown.Pins]
	behind := r.look(touched.Object).behind
	if behind && !rolled {
		return reconcile.Result{RequeueAfter: r.unanswered(ctx, of, uid)}
	}
	r.settled(of)
	touches.WithLabelValues(resultPinned).Inc()
	if rolled {
		r.spend(of)
		logf.FromContext(ctx).Info("Rolled forward", "workload", klog.KRef(of.Namespace, of.Name), "kind", of.Kind.Kind)
		regarding := reference(of, uid)
		regarding.ResourceVersion = touched.ResourceVersion // or it would be counted as the same event as the last
		r.event(regarding, corev1.EventTypeNormal, wellknown.ReasonRolledForward,
			"Pinned to what its sources hold now: %s", strings.ReplaceAll(pins, ",", ", "))
	}
	if behind {
		return reconcile.Result{RequeueAfter: r.options.Settle}
	}
	return reconcile.Result{}
}

// state is what the decision about a workload, written unchanged, says of it.
type state struct {
	ready  bool // it can be told
	behind bool // the decision changes it
	moves  bool // it changes a name in the template: only then it rolls out
}

func (r *Rollout) look(object workload.Object) state {
	request := pin.Request{New: object, Old: &object}.Read()
	facts, ready := r.sources.Facts(object.Namespace, request)
	if !ready {
		return state{}
	}
	decision := pin.Decide(request, facts)
	return state{
		ready:  true,
		behind: len(decision.Patch) > 0,
		moves:  slices.ContainsFunc(decision.Outcomes, pin.Outcome.Moves),
	}
}

func reference(of cluster.Workload, uid types.UID) *corev1.ObjectReference {
	return &corev1.ObjectReference{
		APIVersion: of.Kind.Group + "/" + of.Kind.Version,
		Kind:       of.Kind.Kind,
		Namespace:  of.Namespace,
		Name:       of.Name,
		UID:        uid,
	}
}

func (r *Rollout) event(regarding *corev1.ObjectReference, eventType, reason, note string, args ...any) {
	r.events.Eventf(regarding, nil, eventType, reason, "Touch", note, args...)
}
