// Package gc deletes snapshots that nothing names: it gathers, live, what
// internal/retention decides about, and does what that says, one small write at a
// time.
//
// It deliberately caches nothing, and concludes nothing from an answer that isn't
// complete: whatever goes wrong, snapshots stay. Two that run at once do no harm,
// since every write is conditional on what was read.
package gc

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/tools/events"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/cluster/census"
	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/retention"
	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/wellknown"
)

// Options say when snapshots may go.
type Options struct {
	Rules    retention.Rules
	Interval time.Duration // from the end of a pass to the next

	// HistoryLimit is how many unused snapshots are retained of a source of a kind
	// that doesn't say so itself.
	HistoryLimit map[wellknown.Kind]int

	// GoneAfter is how long unused snapshots of a source that isn't there have to be
	// marked.
	GoneAfter map[wellknown.Kind]time.Duration

	// DryRun says that nothing is written.
	DryRun bool
}

// Collector is the garbage collector.
type Collector struct {
	Census  counts
	Objects objects
	Events  events.EventRecorder
	Options Options
	Clock   Clock

	seen sightings
}

// Clock is what a Collector knows of time.
type Clock struct {
	// Now is the time, as anybody may set it.
	Now func() time.Time

	// Elapsed is the time since some moment, by a clock that nobody can set.
	Elapsed func() time.Duration
}

// SystemClock is the clock of the machine.
func SystemClock() Clock {
	started := time.Now()
	return Clock{Now: time.Now, Elapsed: func() time.Duration { return time.Since(started) }}
}

// counts are what is there, and what names it.
type counts interface {
	Spaces(ctx context.Context) iter.Seq2[census.Space, error]
	Space(ctx context.Context, namespace string) (census.Space, error)
	Date() time.Time
}

type objects interface {
	Find(ctx context.Context, namespace string, target refs.Target) (object snapshot.Object, found bool, err error)
	Labelled(ctx context.Context, source cluster.Key, f func(snapshot.Object)) error
	Annotate(ctx context.Context, object snapshot.Object, annotations map[string]any) (snapshot.Object, error)
	Remove(ctx context.Context, object snapshot.Object) error
}

// Start makes a pass now and then, until ctx ends. It runs on the leader.
func (c *Collector) Start(ctx context.Context) error {
	wait.UntilWithContext(ctx, func(ctx context.Context) {
		if err := c.Pass(ctx); err != nil && ctx.Err() == nil {
			logf.FromContext(ctx).Error(err, "Collecting unused snapshots")
		}
	}, c.Options.Interval)
	return nil
}

// Pass looks at all snapshots once. It returns an error if it couldn't look at
// all of them, or couldn't do what had to be done.
func (c *Collector) Pass(ctx context.Context) error {
	began := c.Clock.Elapsed()
	err := c.pass(ctx)
	if ctx.Err() == nil {
		duration.Observe((c.Clock.Elapsed() - began).Seconds())
	}
	return err
}

func (c *Collector) pass(ctx context.Context) error {
	found, leftOut, err := c.survey(ctx)
	if err != nil {
		return errors.Join(leftOut, err)
	}
	found.tally.report()
	return errors.Join(leftOut, c.clean(ctx, found.suspects))
}

// abort counts a pass, or the part of it that is about a namespace, which ended
// because something was in doubt.
func (c *Collector) abort(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		aborted.WithLabelValues(reasonOf(err)).Inc()
	}
	return err
}

// maxSkew is how far the clocks of this machine and of the API server may be
// apart. Ages are differences between the two.
const maxSkew = time.Minute

// errClock says that it isn't known how old anything is.
var errClock = errors.New("the clock differs from that of the API server")

func (c *Collector) checkClock() error {
	now, date := c.Clock.Now(), c.Census.Date()
	if skew := now.Sub(date); skew.Abs() > maxSkew {
		return fmt.Errorf("%w: it is %s here and %s there", errClock, now.UTC().Format(time.RFC3339), date.UTC().Format(time.RFC3339))
	}
	return nil
}
