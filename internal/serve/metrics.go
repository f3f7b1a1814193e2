package serve

import (
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

// The values of the label file, which are also what messages call the files.
const (
	fileCertificate = "certificate"
	fileClientCA    = "client-ca"
)

var (
	daysLeft = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "configpin_certificate_days_left",
		Help: "Days until the served certificate expires, with their fractions; 0 while there is none, and negative once it has.",
	})

	reloadErrors = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "configpin_certificate_reload_errors_total",
		Help: "Looks at files that found them of no use, two a second for as long as they are, while what they held before goes on: `certificate` (those of --cert-dir), `client-ca` (that of --client-ca). The log says why.",
	}, []string{"file"})

	droppedEvents = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "configpin_events_dropped_total",
		Help: "Events that were never written, by type and reason: `full` (too many waited), `refused` (by a missing right or a policy; see the log), `unanswered` (the API server, or a webhook that it asks, was away for too long), `stopped` (so was the program).",
	}, []string{"type", "reason"})
)

// tlsMetrics are those of a program that serves in TLS. They begin at 0, so that
// the first failure is seen to be one more.
func tlsMetrics() {
	_ = metrics.Registry.Register(daysLeft)
	_ = metrics.Registry.Register(reloadErrors)
	reloadErrors.WithLabelValues(fileCertificate)
	reloadErrors.WithLabelValues(fileClientCA)
}

// Values of the label reason.
const (
	droppedFull       = "full"
	droppedRefused    = "refused"
	droppedUnanswered = "unanswered"
	droppedStopped    = "stopped"
)

// eventMetrics are those of a program that writes Events. They begin at 0.
func eventMetrics() {
	_ = metrics.Registry.Register(droppedEvents)
	for _, eventType := range []string{corev1.EventTypeNormal, corev1.EventTypeWarning} {
		for _, reason := range []string{droppedFull, droppedRefused, droppedUnanswered, droppedStopped} {
			droppedEvents.WithLabelValues(eventType, reason)
		}
	}
}

func dropped(eventType, reason string) { droppedEvents.WithLabelValues(eventType, reason).Inc() }
