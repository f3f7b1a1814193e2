package rollout

import (
	"context"
	"time"

	"golang.org/x/time/rate"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/wellknown"
)

// allowance returns how long a workload has to wait until it may roll out.
func (r *Rollout) allowance(of cluster.Workload) (wait time.Duration) {
	r.records.of(of, func(is *record) { wait = r.allowed(is) })
	return wait
}

func (r *Rollout) allowed(is *record) time.Duration {
	if is.limiter == nil {
		return 0
	}
	missing := 1 - is.limiter.Tokens()
	return max(0, time.Duration(missing*float64(r.options.Every)))
}

// respite is how long a workload that had to wait the last time needn't be looked at,
// because it may not roll out whatever its sources hold.
func (r *Rollout) respite(of cluster.Workload) (wait time.Duration) {
	r.records.of(of, func(is *record) {
		if is.damped {
			wait = r.allowed(is)
		}
	})
	return wait
}

// spend takes one rollout from what a workload may have.
func (r *Rollout) spend(of cluster.Workload) {
	r.records.of(of, func(is *record) {
		if is.limiter == nil {
			is.limiter = rate.NewLimiter(rate.Every(r.options.Every), r.options.Burst)
		}
		is.limiter.Allow()
	})
}

// damp says, once in a row, that a workload has to wait.
func (r *Rollout) damp(ctx context.Context, of cluster.Workload, uid types.UID, wait time.Duration) {
	touches.WithLabelValues(resultDamped).Inc()
	said := false
	r.records.of(of, func(is *record) { said, is.damped = is.damped, true })
	if said {
		return
	}
	logf.FromContext(ctx).Info("Damped rollouts", "workload", klog.KRef(of.Namespace, of.Name), "duration", wait)
	r.event(reference(of, uid), corev1.EventTypeWarning, wellknown.ReasonDamped,
		"Its sources change faster than it may roll out: at most one rollout per %s from now on", r.options.Every)
}
