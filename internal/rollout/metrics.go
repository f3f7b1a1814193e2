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
	Help: "Workloads sent through admission, by result: `pinned` (answered), `unanswered` (nothing changed, so the webhook is away, or not called there), `reverted` (the webhook pinned it, and something took that back), `refused` (by a policy or another webhook), `damped` (put off), `stamped` (it carries the label now, as its namespace opts in), `released` (it lost its label while the webhook was away, and its names are put back now).",
}, []string{"result"})

var sweepFailures = prometheus.NewCounter(prometheus.CounterOpts{
	Name: "configpin_sweep_failures_total",
	Help: "Looks for workloads without a label that failed, so that some were left as they are: a list failed, or a namespace can't be asked whether it opts in. What others found is done all the same; the rest waits for the next --sweep.",
})

func init() { metrics.Registry.MustRegister(touches, sweepFailures) }
