package main

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	logf "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/cluster/watch"
	"github.com/configpin/configpin/internal/gc"
	"github.com/configpin/configpin/internal/hashing"
	"github.com/configpin/configpin/internal/rollout"
	"github.com/configpin/configpin/internal/serve"
	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/versioner"
	"github.com/configpin/configpin/internal/wellknown"
)

// program is everything, wired.
type program struct {
	manager manager.Manager
	ready   func() error
}

func assemble(config *rest.Config, o *options) (*program, error) {
	mgr, err := manager.New(config, manager.Options{
		LeaderElection:                o.elect,
		LeaderElectionID:              "configpin-versioner",
		LeaderElectionNamespace:       o.namespace,
		LeaderElectionReleaseOnCancel: true,
		LeaseDuration:                 ptr.To(o.leaseDuration),
		RenewDeadline:                 ptr.To(o.leaseDuration * 2 / 3),
		RetryPeriod:                   ptr.To(o.leaseDuration * 2 / 15),
		Metrics:                       metricsserver.Options{BindAddress: "0"}, // served with health
	})
	if err != nil {
		return nil, fmt.Errorf("starting: %w", err)
	}
	known, err := connect(config, o)
	if err != nil {
		return nil, err
	}
	recorder, err := serve.NewRecorder(config, wellknown.FieldManager)
	if err != nil {
		return nil, err
	}
	rollouts := rollout.New(o.rollout, known.workloads, known.sources, recorder)
	versions := &versioner.Versioner{
		Objects:   known.objects,
		Sources:   known.sources,
		Events:    recorder,
		Options:   o.snapshots,
		Changed:   rollouts.SourceChanged,
		PinnedFor: known.workloads.PinnedFor,
	}
	if err := known.tell(versions, rollouts); err != nil {
		return nil, err
	}
	runnables := append(known.runnables(), recorder, rollouts, impatient{known.ready})
	if o.gcMode != gcOff {
		collector, err := newCollector(config, o, known.digestKey, recorder)
		if err != nil {
			return nil, err
		}
		runnables = append(runnables, collectorOf(collector, known.sources.Synced))
	}
	if o.issueFor != "" {
		runnables = append(runnables, newIssuer(config, o))
	}
	for _, runnable := range runnables {
		if err := mgr.Add(runnable); err != nil {
			return nil, fmt.Errorf("starting: %w", err)
		}
	}
	if err := control(mgr, "versioner", o.concurrency, versions, versions.Feed(), func(of cluster.Key) string { return of.Namespace }); err != nil {
		return nil, err
	}
	if err := control(mgr, "rollout", o.concurrency, rollouts, rollouts.Feed(), func(of cluster.Workload) string { return of.Namespace }); err != nil {
		return nil, err
	}
	return &program{manager: mgr, ready: known.ready}, nil
}

// connection is how the program reaches the cluster, and what it knows of it.
type connection struct {
	key       *cluster.DigestKey // nil where no Secrets are served
	objects   *cluster.Objects
	sources   *watch.Sources
	workloads *watch.Workloads
}

func connect(config *rest.Config, o *options) (*connection, error) {
	r := &connection{}
	var err error
	if len(o.scope.Secrets) > 0 {
		if r.key, err = cluster.NewDigestKey(config, o.keyNamespace); err != nil {
			return nil, err
		}
		r.key.Make = true
	}
	if r.objects, err = cluster.Connect(config, o.scope, r.digestKey); err != nil {
		return nil, err
	}
	if r.sources, err = watch.NewSources(config, o.scope, r.digestKey); err != nil {
		return nil, err
	}
	if r.workloads, err = watch.NewWorkloads(config, o.scope, o.hashes); err != nil {
		return nil, err
	}
	return r, nil
}

func (r *connection) digestKey() *hashing.Key {
	if r.key == nil {
		return nil
	}
	return r.key.Key()
}

// tell has those who act learn of what is seen.
func (r *connection) tell(versions *versioner.Versioner, rollouts *rollout.Rollout) error {
	if r.key != nil {
		r.key.Changed = versions.KeyChanged
	}
	err := r.sources.OnChange(func(object snapshot.Object) {
		versions.Observe(object)
		rollouts.SnapshotChanged(object)
	})
	if err != nil {
		return err
	}
	return r.workloads.OnChange(rollouts.WorkloadChanged)
}

func (r *connection) runnables() []manager.Runnable {
	all := []manager.Runnable{r.sources, r.workloads}
	if r.key != nil {
		all = append(all, r.key)
	}
	return all
}

// ready returns why nothing can be decided yet.
func (r *connection) ready() error {
	if err := r.key.Loaded(); err != nil {
		return err
	}
	if waiting := slices.Concat(r.sources.Waiting(), r.workloads.Waiting()); len(waiting) > 0 {
		return fmt.Errorf("still learning what there is: %s", strings.Join(waiting, "; "))
	}
	return nil
}

// patience is how long it may take until everything is known, before somebody should
// look why. A large cluster takes seconds.
const patience = 10 * time.Second

// impatient says once, in the log, what the program waits for. Waiting is no failure:
// what is in the way, a missing right most likely, goes away without a restart.
type impatient struct{ ready func() error }

// Start waits until ctx ends.
func (i impatient) Start(ctx context.Context) error {
	select {
	case <-ctx.Done():
	case <-time.After(patience):
		if err := i.ready(); err != nil {
			logf.FromContext(ctx).Error(err, "Not ready yet, and waiting")
		}
	}
	return nil
}

// NeedLeaderElection has each replica say it.
func (impatient) NeedLeaderElection() bool { return false }

// collectorOf starts the collector once everything is known that it judges by.
func collectorOf(collector *gc.Collector, synced func() bool) manager.Runnable {
	return manager.RunnableFunc(func(ctx context.Context) error {
		if err := watch.WaitSynced(ctx, synced); err != nil {
			return nil //nolint:nilerr // it was told to stop
		}
		return collector.Start(ctx)
	})
}

// Retrying after an error begins soon, for what a conflict or a restart of the
// API server caused, and ends at a minute, for what lasts.
const (
	firstRetry = 50 * time.Millisecond
	lastRetry  = time.Minute
)

// forever is how long a controller waits until what it works on is known. By default
// it is two minutes, after which the program would exit, and begin again without being
// any the wiser.
const forever = time.Duration(math.MaxInt64)

// control runs a reconciler on the leader. Namespaces take turns.
func control[K comparable](mgr manager.Manager, name string, concurrency int, reconciler reconcile.TypedReconciler[K], feed source.TypedSource[K], namespace func(K) string) error {
	c, err := controller.NewTyped(name, mgr, controlOptions(concurrency, reconciler, namespace))
	if err != nil {
		return fmt.Errorf("starting %s: %w", name, err)
	}
	if err := c.Watch(feed); err != nil {
		return fmt.Errorf("starting %s: %w", name, err)
	}
	return nil
}

func controlOptions[K comparable](concurrency int, reconciler reconcile.TypedReconciler[K], namespace func(K) string) controller.TypedOptions[K] {
	return controller.TypedOptions[K]{
		Reconciler:              reconciler,
		MaxConcurrentReconciles: concurrency,
		CacheSyncTimeout:        forever,
		RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[K](firstRetry, lastRetry),
		NewQueue: func(name string, limiter workqueue.TypedRateLimiter[K]) workqueue.TypedRateLimitingInterface[K] {
			return watch.NewQueue(name, limiter, namespace)
		},
	}
}
