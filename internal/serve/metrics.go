package serve

import (
	"github.com/prometheus/client_golang/prometheus"
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
		Help: "Days until the served certificate expires; 0 while there is none, and negative once it has.",
	})

	reloadErrors = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "configpin_certificate_reload_errors_total",
		Help: "Looks at the files of a certificate that found them of no use, so that what they held before goes on.",
	}, []string{"file"})
)

// tlsMetrics are those of a program that serves in TLS. They begin at 0, so that
// the first failure is seen to be one more.
func tlsMetrics() {
	_ = metrics.Registry.Register(daysLeft)
	_ = metrics.Registry.Register(reloadErrors)
	reloadErrors.WithLabelValues(fileCertificate)
	reloadErrors.WithLabelValues(fileClientCA)
}
