package admission

import (
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

var (
	// See [decision reasons](#decision-reasons).
	decisions = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "configpin_decisions_total",
		Help: "Decisions about one source of one workload, by the reason of the rule that decided.",
	}, []string{"reason"})

	durations = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "configpin_review_duration_seconds",
		Help:    "Time to answer an AdmissionReview, by HTTP status as text, as in `OK`.",
		Buckets: []float64{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 3},
	}, []string{"status"})

	// See [RBAC](#rbac).
	unreadableObjects = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "configpin_unreadable_total",
		Help: "Objects that a written workload names and that may not be read, by resource and namespace: they aren't served there, and the rest of the workload is. The log says so, too, every ten minutes. The 1,000 that were met last are counted.",
	}, []string{"resource", "namespace"})
)

func init() { metrics.Registry.MustRegister(decisions, durations, unreadableObjects) }
