package main

import (
	"context"
	"fmt"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/gc"
	"github.com/configpin/configpin/internal/hashing"
	"github.com/configpin/configpin/internal/rollout"
	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/versioner"
)

// program is everything, wired.
type program struct {
	manager manager.Manager
	synced  func() bool
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
	var runnables []manager.Runnable
	key := func() *hashing.Key { return nil }
	var stored *cluster.DigestKey
	if len(o.scope.Secrets) > 0 {
		if stored, err = cluster.NewDigestKey(config, o.keyNamespace); err != nil {
			return nil, err
		}
		stored.Make, key = true, stored.Key
		runnables = append(runnables, stored)
	}
	objects, err := cluster.Connect(config, o.scope, key)
	if err != nil {
		return nil, err
	}
	sources, err := cluster.NewSources(config, o.scope, key)
	if err != nil {
		return nil, err
	}
	workloads, err := cluster.NewWorkloads(config, o.scope)
	if err != nil {
		return nil, err
	}
	recorder, err := newRecorder(mgr, config)
	if err != nil {
		return nil, err
	}
	rollouts := rollout.New(o.rollout, workloads, sources, recorder)
	versions := &versioner.Versioner{Objects: objects, Sources: sources, Events: recorder, Options: o.snapshots, Changed: rollouts.SourceChanged}
	if stored != nil {
		stored.Changed = versions.KeyChanged
	}
	if err := sources.OnChange(func(object snapshot.Object) { versions.Observe(object); rollouts.SnapshotChanged(object) }); err != nil {
		return nil, err
	}
	if err := workloads.OnChange(rollouts.WorkloadChanged); err != nil {
		return nil, err
	}
	runnables = append(runnables, sources, workloads, rollouts)
	if o.gcMode != gcOff {
		collector, err := newCollector(config, o, key, recorder)
		if err != nil {
			return nil, err
		}
		runnables = append(runnables, collectorOf(collector, sources.Synced))
	}
	for _, runnable := range runnables {
		if err := mgr.Add(runnable); err != nil {
			return nil, fmt.Errorf("starting: %w", err)
		}
	}
	if err := control(mgr, "versioner", o.concurrency, versions, versions.Feed()); err != nil {
		return nil, err
	}
	if err := control(mgr, "rollout", o.concurrency, rollouts, rollouts.Feed()); err != nil {
		return nil, err
	}
	return &program{manager: mgr, synced: func() bool { return sources.Synced() && workloads.Synced() }}, nil
}

// collectorOf starts the collector once everything is known that it judges by.
func collectorOf(collector *gc.Collector, synced func() bool) manager.Runnable {
	return manager.RunnableFunc(func(ctx context.Context) error {
		if err := cluster.WaitSynced(ctx, synced); err != nil {
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

// control runs a reconciler on the leader.
func control[K comparable](mgr manager.Manager, name string, concurrency int, reconciler reconcile.TypedReconciler[K], feed source.TypedSource[K]) error {
	c, err := controller.NewTyped(name, mgr, controller.TypedOptions[K]{
		Reconciler:              reconciler,
		MaxConcurrentReconciles: concurrency,
		RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[K](firstRetry, lastRetry),
	})
	if err != nil {
		return fmt.Errorf("starting %s: %w", name, err)
	}
	if err := c.Watch(feed); err != nil {
		return fmt.Errorf("starting %s: %w", name, err)
	}
	return nil
}
