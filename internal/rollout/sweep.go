package rollout

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/wait"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/configpin/configpin/internal/cluster"
)

// Start looks now and then for workloads that are opted in by their namespace
// but carry no label, until ctx ends. They were written while admission was
// away, and no watch of labelled workloads ever sees them.
func (r *Rollout) Start(ctx context.Context) error {
	if err := cluster.WaitSynced(ctx, r.workloads.Synced); err != nil {
		return nil //nolint:nilerr // it was told to stop
	}
	wait.UntilWithContext(ctx, r.sweep, r.options.Sweep)
	return nil
}

func (r *Rollout) sweep(ctx context.Context) {
	r.prune()
	log := logf.FromContext(ctx)
	unstamped, err := r.workloads.Unstamped(ctx)
	if err != nil {
		log.Error(err, "Looking for workloads without a label")
	}
	for _, of := range unstamped {
		if _, err := r.workloads.Touch(ctx, of); err != nil && !apierrors.IsNotFound(err) {
			log.Error(err, "Touching a workload without a label")
			continue
		}
		touches.WithLabelValues(resultStamped).Inc()
	}
}
