package rollout

import (
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

// Results of touches, as the metric calls them.
const (
	resultPinned     = "pinned"
	resultUnanswered = "unanswered"
	resultReverted   = "reverted"
	resultRefused    = "refused"
	resultDamped     = "damped"
	resultStamped    = "stamped"
	resultReleased   = "released"
)

var touches = prometheus.NewCounterVec(prometheus.CounterOpts{
	Name: "configpin_touches_total",
	Help: "Workloads sent through admission, by result: pinned, unanswered (nothing changed), reverted (something changed it back), refused, damped (put off), stamped (opted in by their namespace), released (pinned still although their label was taken away).",
}, []string{"result"})

var sweepFailures = prometheus.NewCounter(prometheus.CounterOpts{
	Name: "configpin_sweep_failures_total",
	Help: "Lists of workloads without a label that failed, so that some were not looked at.",
})

func init() { metrics.Registry.MustRegister(touches, sweepFailures) }
