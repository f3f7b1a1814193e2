package gc

import (
	"context"
	"errors"

	"github.com/prometheus/client_golang/prometheus"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/retention"
)

var (
	snapshots = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "configpin_snapshots",
		Help: "Snapshots at the last complete look at all of them, by state: `current` (what its source holds), `used` (something names it), `retained` (young, or one of the newest that nothing names of a source that is there), `marked` (will be deleted).",
	}, []string{"state"})

	bytes = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "configpin_snapshot_bytes",
		Help: "Bytes of content that the snapshots of ConfigMaps hold, as they say themselves.",
	})

	collected = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "configpin_snapshots_collected_total",
		Help: "Snapshots deleted because nothing named them.",
	})

	aborted = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "configpin_gc_aborted_total",
		Help: "Looks at all snapshots, or their parts about a namespace, that ended because something was in doubt, by reason: `clock` (ours isn't that of the API server), `expired` (a list took too long, and couldn't go on), `forbidden` (a right is missing, or a namespace of --namespaces was deleted), `partial` (an answer wasn't complete), `timeout`, `error` (anything else; see the log).",
	}, []string{"reason"})

	duration = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    "configpin_gc_pass_duration_seconds",
		Help:    "Time that a look at all snapshots took, with what was done then.",
		Buckets: prometheus.ExponentialBuckets(0.1, 2, 14), // to a quarter of an hour
	})
)

func init() {
	metrics.Registry.MustRegister(snapshots, bytes, collected, aborted, duration)
	for _, reason := range []string{reasonClock, reasonError, reasonExpired, reasonForbidden, reasonPartial, reasonTimeout} {
		aborted.WithLabelValues(reason) // from 0 on, so that the first one is seen as a rise
	}
}

// tally counts snapshots.
type tally struct {
	states map[retention.State]int
	bytes  int
}

func (t tally) report() {
	for _, state := range retention.States {
		snapshots.WithLabelValues(string(state)).Set(float64(t.states[state]))
	}
	bytes.Set(float64(t.bytes))
}

// Why a pass ended early, as the metric calls it.
const (
	reasonClock     = "clock"     // it isn't known how old anything is
	reasonError     = "error"     // anything else
	reasonExpired   = "expired"   // a list took so long that its end isn't there any more, and nothing says where to go on
	reasonForbidden = "forbidden" // a right is missing
	reasonPartial   = "partial"   // an answer wasn't complete
	reasonTimeout   = "timeout"   // there was no answer in time
)

func reasonOf(err error) string {
	switch {
	case errors.Is(err, errClock):
		return reasonClock
	case errors.Is(err, cluster.ErrPartial):
		return reasonPartial
	case apierrors.IsResourceExpired(err), apierrors.IsGone(err):
		return reasonExpired
	case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
		return reasonForbidden
	case apierrors.IsTimeout(err), apierrors.IsServerTimeout(err), errors.Is(err, context.DeadlineExceeded):
		return reasonTimeout
	default:
		return reasonError
	}
}
