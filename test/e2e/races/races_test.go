// Package races plays the garbage collector against those who come to name what it
// is about to delete, in every order of their steps, on a real control plane.
// Both sides run in this process, and each of their calls of the API server passes
// a gate: that makes each order exact, and none a matter of luck.
//
// It is separate from test/conformance because that takes configpin as it is
// installed, and here its parts are wired to gates, clocks and faults. It looks at
// what is stored in the end and never at calls, and deliberately says nothing of
// what becomes of a workload whose webhook is away.
package races

import (
	"flag"
	"fmt"
	"os"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/gc"
)

// atOnce is how many races there are at a time, each in a namespace of its own. They
// never wait but for the API server, so that more are no faster.
const atOnce = 5

func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", strconv.Itoa(atOnce)); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

func TestRaces(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a control plane")
	}
	l := newLab(t)
	t.Run("every step is known", l.counted)
	t.Run("the floor of the grace", l.floor)
	t.Run("what is in doubt stays", l.doubt)
	t.Run("what there was is forgotten", l.forgetting)
	t.Run("what isn't ours stays", l.foreign)
	t.Run("two leaders", l.twoLeaders)
	t.Run("a leader dies", l.dying)
	t.Run("every order", l.everyOrder)
}

// phase is what a collector is about to do about the snapshot of blue.
type phase struct {
	name   string
	passes int // before that, each longer ago than the grace
}

var phases = []phase{
	{"marks", 0},
	{"deletes", 1},
}

// prepare does what has to be done before the pass that races.
func (p phase) prepare(t *testing.T, c *clock, collectors ...*gc.Collector) {
	t.Helper()
	for range p.passes {
		for _, collector := range collectors {
			require.NoError(t, collector.Pass(t.Context()))
		}
		c.passGrace()
	}
}

// surveySteps are the lists of a look at a namespace: of what can name snapshots, and
// of sources and snapshots.
var surveySteps = len(cluster.ReferenceKinds) + 1

// stepsOf are the steps of a pass that nobody disturbs: a survey, a read of the
// source and one of its snapshots, and a mark; or another look, and a deletion.
func stepsOf(p phase) int {
	if p.passes == 0 {
		return surveySteps + 3
	}
	return 2*surveySteps + 3
}

// stops are the steps before which a collector stops: each, and the end. Of the first
// look of two it is the beginning alone: whatever that one misses, the second finds, and
// between its lists a collector stops where it is the only look.
func stops(p phase) []int {
	all := []int{0}
	first := 1
	if p.passes > 0 {
		first = surveySteps
	}
	for stop := first; stop <= stepsOf(p); stop++ {
		all = append(all, stop)
	}
	return all
}

// counted checks that these are all: a step that isn't counted is one before which
// nobody stops.
func (l *lab) counted(t *testing.T) {
	for _, p := range phases {
		t.Run(p.name, func(t *testing.T) {
			h, c, g := l.history(t, l.borrow(t)), newClock(), newGate()
			collector := l.collector(t, h.namespace, c, g.before)
			p.prepare(t, c, collector)
			g.arm(never)
			require.NoError(t, collector.Pass(t.Context()))
			assert.Equal(t, stepsOf(p), g.steps)
		})
	}
}

// leastOrders is how many orders there are at least. Fewer mean that a side isn't
// stopped where it was.
const leastOrders = 1000

// everyOrder plays each rival against each phase of a collector, with each of the
// two stopped before its steps, and either of them going on first.
func (l *lab) everyOrder(t *testing.T) {
	var played atomic.Int64
	t.Run("disturbed", func(t *testing.T) {
		for _, r := range rivals {
			for _, p := range phases {
				if r.deletion && p.passes == 0 {
					continue
				}
				for _, stop := range stops(p) {
					t.Run(fmt.Sprintf("%s comes before step %d of a collector that %s", r.name, stop, p.name), func(t *testing.T) {
						t.Parallel()
						played.Add(l.orders(t, r, p, stop))
					})
				}
			}
		}
	})
	t.Logf("%d orders of a collector and a rival", played.Load())
	assert.GreaterOrEqual(t, played.Load(), int64(leastOrders))
}

// orders plays all orders in which a collector stops before one of its steps.
func (l *lab) orders(t *testing.T, r rival, p phase, stop int) (played int64) {
	t.Helper()
	namespace := l.borrow(t)
	for before := 0; ; before++ {
		for _, collectorFirst := range []bool{false, true} {
			both := false
			t.Run(fmt.Sprintf("and stops before step %d, collector first %t", before, collectorFirst), func(t *testing.T) {
				both = l.play(t, namespace, order{r, p, stop, before, collectorFirst})
			})
			played++
			if !both || t.Failed() { // the other order would be the same one
				return played
			}
		}
	}
}

// order is in which order two sides take their steps.
type order struct {
	rival          rival
	phase          phase
	collectorStops int // before which step
	rivalStops     int
	collectorFirst bool // goes on first
}

// play plays one order, and returns whether both sides were stopped.
func (l *lab) play(t *testing.T, namespace string, o order) (both bool) {
	t.Helper()
	h, c, g := l.history(t, namespace), newClock(), newGate()
	t.Cleanup(func() { g.open() })
	if o.rival.deployed {
		h.deploy(t, 0)
	}
	collector := l.collector(t, namespace, c, l.unmade.before, g.before)
	o.phase.prepare(t, c, collector)
	require.Equal(t, o.phase.passes > 0, h.marked(t))

	g.arm(o.collectorStops)
	ctx := t.Context()
	collects := &side{gate: g, act: func() error { return collector.Pass(ctx) }}
	names := o.rival.race(t, h, o.rivalStops)
	both = collects.begin()
	both = names.begin() && both
	if o.collectorFirst {
		collects.finish()
		names.finish()
	} else {
		names.finish()
		collects.finish()
	}
	assert.NoError(t, collects.err)

	g.arm(never)
	comeToRest(t, c, collector)
	o.rival.check(t, h, names.err)
	return both
}

// comeToRest makes so many passes that whatever nothing names is gone.
func comeToRest(t *testing.T, c *clock, collector *gc.Collector) {
	t.Helper()
	for range 2 {
		c.passGrace()
		require.NoError(t, collector.Pass(t.Context()))
	}
}
