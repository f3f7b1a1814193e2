// Package rollout finds workloads that are behind and touches them: it sends
// them through admission, by a patch that changes nothing, and admission pins.
// So one program alone writes names, a touch takes nobody's ownership, and a
// touch too many does nothing.
//
// A workload is behind exactly when the decision of package pin, about the
// workload written unchanged, changes it, or when who owns its names isn't right, as
// package ownership says. There is no other notion of it here.
package rollout

import (
	"context"
	"slices"
	"time"

	"gomodules.xyz/jsonpatch/v2"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/klog/v2"
	logf "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/cluster/watch"
	"github.com/configpin/configpin/internal/news"
	"github.com/configpin/configpin/internal/pin"
	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/snapshot"
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

	// Sweep is the time between two looks for workloads without a label that were
	// written while admission was away.
	Sweep time.Duration
}

// Rollout reconciles workloads.
type Rollout struct {
	options   Options
	workloads workloads
	sources   sources
	events    events.EventRecorder

	feed    watch.Feed[cluster.Workload]
	records records
	quiet   *quiet
	swept   *sweep
	crowds  *crowds
}

type workloads interface {
	All() []cluster.Workload
	Synced() bool
	UsedBy(source cluster.Key) []cluster.Workload
	Sources(of cluster.Workload) []cluster.Key
	Object(of cluster.Workload) (object workload.Object, uid types.UID, found bool)
	ResourceVersion(of cluster.Workload) string
	Touch(ctx context.Context, of cluster.Workload) (cluster.Touched, error)
	Release(ctx context.Context, of cluster.Workload, dryRun bool) (cluster.Touched, error)
	Scope() []string
	OptedIn(ctx context.Context) (namespaces, unknown []string, err error)
	Unstamped(ctx context.Context, namespace string) ([]cluster.Workload, error)
	LeftPinned(ctx context.Context, namespace string) ([]cluster.Workload, error)
}

type sources interface {
	Synced() bool
	Metadata(key cluster.Key) (snapshot.Object, bool)
	Holds(source cluster.Key, suffix string) bool
	Exists(ctx context.Context, key cluster.Key) (bool, error)
	Tell(namespace string, of *pin.Case) (unknown map[refs.Target]bool)
}

// New returns a Rollout of what workloads and sources know.
func New(options Options, workloads workloads, sources sources, recorder events.EventRecorder) *Rollout {
	r := &Rollout{
		options:   options,
		workloads: workloads,
		sources:   sources,
		events:    recorder,
		quiet:     newQuiet(options.Settle, options.SettleMax),
		swept:     newSweep(),
	}
	r.crowds = newCrowds(r.tellCrowd)
	return r
}

// Feed is where the workloads to reconcile come from.
func (r *Rollout) Feed() *watch.Feed[cluster.Workload] {
	r.feed.Begin = func(ctx context.Context, add func(cluster.Workload)) error {
		if err := watch.WaitSynced(ctx, r.sources.Synced, r.workloads.Synced); err != nil {
			return err
		}
		for _, of := range r.workloads.All() {
			add(of)
		}
		return nil
	}
	return &r.feed
}

// SourceChanged takes note that a source holds something else than before. Ten thousand
// workloads may use one that changes all the time, so they are looked at once it is quiet,
// or has been restless for too long, and not at each change.
func (r *Rollout) SourceChanged(source cluster.Key) {
	if r.quiet.changed(source, time.Now()) {
		r.whenQuiet(source)
	}
}

func (r *Rollout) whenQuiet(source cluster.Key) {
	wait, since := r.quiet.due(source, time.Now())
	if wait > 0 {
		time.AfterFunc(wait, func() { r.whenQuiet(source) })
		return
	}
	for _, of := range r.workloads.UsedBy(source) {
		r.waits(of, since)
		r.feed.AddAfter(of, r.respite(of))
	}
}

// SnapshotChanged takes note of an object that came, changed or went. Only
// snapshots that went matter to those that name them, and those that came back.
func (r *Rollout) SnapshotChanged(object snapshot.Object) {
	if _, _, claimed := snapshot.Claimed(object); !claimed {
		return
	}
	key := cluster.Key{Namespace: object.Namespace, Target: refs.Target{Kind: object.Kind, Name: object.Name}}
	if _, there := r.sources.Metadata(key); there && !r.toldMissing() {
		return
	}
	for _, of := range r.workloads.UsedBy(key) {
		r.feed.AddAfter(of, 0)
	}
}

// WorkloadChanged takes note of a workload that came, changed or went.
func (r *Rollout) WorkloadChanged(change watch.Change) {
	r.tell(change)
	r.departed(change)
	r.feed.AddAfter(change.Workload, 0)
}

// Reconcile touches a workload if it is behind, its sources are quiet, and it
// wasn't rolled out too often of late.
func (r *Rollout) Reconcile(ctx context.Context, of cluster.Workload) (reconcile.Result, error) {
	version := r.workloads.ResourceVersion(of) // before the object: what is read then isn't older
	object, uid, found := r.workloads.Object(of)
	if !found {
		r.forget(of)
		return reconcile.Result{}, nil
	}
	if r.outdated(of, version) {
		return reconcile.Result{RequeueAfter: r.pause(of)}, nil
	}
	state := r.look(object)
	if !state.behind {
		return r.right(ctx, of, uid, state)
	}
	if wait := r.settling(of, time.Now()); wait > 0 {
		return reconcile.Result{RequeueAfter: wait}, nil
	}
	if state.moves {
		if wait := r.allowance(of); wait > 0 {
			r.damp(ctx, of, uid, wait)
			return reconcile.Result{RequeueAfter: wait}, nil
		}
	}
	touched, err := r.workloads.Touch(ctx, of)
	switch {
	case apierrors.IsNotFound(err):
		return reconcile.Result{}, nil
	case isRefusal(err):
		return reconcile.Result{RequeueAfter: r.inVain(ctx, of, uid, refused(err))}, nil
	case err != nil:
		return reconcile.Result{}, err
	}
	r.answeredWith(of, touched.ResourceVersion)
	return r.answered(ctx, of, uid, object, touched), nil
}

// right is about a workload that isn't behind, as far as is known.
func (r *Rollout) right(ctx context.Context, of cluster.Workload, uid types.UID, state state) (reconcile.Result, error) {
	r.settled(of)
	if err := r.tellMissing(ctx, of, uid, state.missing); err != nil {
		return reconcile.Result{}, err
	}
	if !state.known {
		return reconcile.Result{RequeueAfter: r.pause(of)}, nil
	}
	r.rested(of)
	return reconcile.Result{}, nil
}

// answered looks at what a touch made of a workload. It may have rolled out and
// be behind again, when a source changed in the meantime.
func (r *Rollout) answered(ctx context.Context, of cluster.Workload, uid types.UID, before workload.Object, touched cluster.Touched) reconcile.Result {
	rolled := !slices.Equal(targets(before), targets(touched.Object))
	now := r.look(touched.Object)
	behind := now.behind
	if behind && !rolled {
		why := unanswered
		switch {
		case r.pinned(before, touched):
			why = reverted
		default:
			if err := pin.Fits(touched.Object, now.patch); err != nil {
				why.cause = err.Error()
			}
		}
		return reconcile.Result{RequeueAfter: r.inVain(ctx, of, uid, why)}
	}
	r.settled(of)
	touches.WithLabelValues(resultPinned).Inc()
	if rolled {
		r.spend(of)
		says := "Rolled forward"
		if _, pinned := touched.Object.Template.Annotations[wellknown.Pins]; !pinned {
			says = "Put back names"
		}
		logf.FromContext(ctx).Info(says, "workload", klog.KRef(of.Namespace, of.Name), "kind", of.Kind.Kind)
	}
	if behind {
		return reconcile.Result{RequeueAfter: r.options.Settle}
	}
	return reconcile.Result{}
}

// targets are what a template names, sorted, each once.
func targets(object workload.Object) []refs.Target {
	var named []refs.Target
	for _, ref := range refs.Walk(object.Template.Spec) {
		named = append(named, ref.Target)
	}
	slices.SortFunc(named, refs.Target.Compare)
	return slices.Compact(named)
}

// pinned says whether admission pinned a workload that was touched, whatever
// became of that afterwards: it said so in the words of the decision that was
// expected of it.
func (r *Rollout) pinned(before workload.Object, touched cluster.Touched) bool {
	return slices.ContainsFunc(r.look(before).warnings, func(expected string) bool {
		return slices.Contains(touched.Warnings, expected)
	})
}

// state is what the decision about a workload, written unchanged, says of it.
type state struct {
	known    bool // what all its sources hold; those of which it isn't known stay as they are
	behind   bool // the decision changes it, or who owns its names
	moves    bool // it changes a name in the template: only then it rolls out
	patch    []jsonpatch.Operation
	warnings []string
	missing  []news.Gone // snapshots that it names, and that nobody makes again
}

func (r *Rollout) look(object workload.Object) state {
	touch := pin.NewCase(pin.Request{New: object, Old: &object})
	unknown := r.sources.Tell(object.Namespace, touch)
	decision := touch.Decide()
	return state{
		known:    len(unknown) == 0,
		behind:   len(decision.Patch) > 0 || object.Misowned,
		moves:    slices.ContainsFunc(decision.Outcomes, pin.Outcome.Moves),
		patch:    decision.Patch,
		warnings: decision.Warnings,
		missing: slices.DeleteFunc(news.Missing(decision, touch.Facts()), func(gone news.Gone) bool {
			return unknown[gone.Source] // it may be the current one, which is made again
		}),
	}
}
