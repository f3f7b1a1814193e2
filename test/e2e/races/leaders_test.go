package races

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// twoLeaders plays two collectors that each take themselves for the only one.
func (l *lab) twoLeaders(t *testing.T) {
	var played atomic.Int64
	t.Run("in every order", func(t *testing.T) {
		for _, p := range phases {
			for _, stop := range stops(p) {
				t.Run(fmt.Sprintf("one stops before step %d, and %s", stop, p.name), func(t *testing.T) {
					t.Parallel()
					namespace := l.borrow(t)
					for _, other := range otherStops(p) {
						for _, firstGoesOn := range []bool{false, true} {
							t.Run(fmt.Sprintf("the other before step %d, the first goes on first %t", other, firstGoesOn), func(t *testing.T) {
								l.playLeaders(t, namespace, leaders{p, stop, other, firstGoesOn, stop%undoEvery == 1})
							})
							played.Add(1)
						}
					}
				})
			}
		}
	})
	t.Logf("%d orders of two collectors", played.Load())
}

// otherStops are steps before which the second collector stops: those around its
// reads of a source, its proof, and its write, and the ends.
func otherStops(p phase) []int {
	if p.passes == 0 {
		return []int{0, surveySteps, surveySteps + 2, never}
	}
	return []int{0, surveySteps, surveySteps + 2, surveySteps + 2 + surveySteps/2, 2*surveySteps + 2, never}
}

// undoEvery is at which of the steps, counted from the second, an undo comes in
// between as well.
const undoEvery = 4

// leaders is in which order two collectors take their steps.
type leaders struct {
	phase         phase
	stops, other  int
	firstGoesOn   bool // before the other does
	undoInBetween bool
}

func (l *lab) playLeaders(t *testing.T, namespace string, o leaders) {
	t.Helper()
	h, c := l.history(t, namespace), newClock()
	if o.undoInBetween {
		h.deploy(t, 0)
	}
	gates := [2]*gate{newGate(), newGate()}
	one, other := l.collector(t, namespace, c, l.unmade.before, gates[0].before), l.collector(t, namespace, c, l.unmade.before, gates[1].before)
	o.phase.prepare(t, c, one, other)
	gates[0].arm(o.stops)
	gates[1].arm(o.other)
	t.Cleanup(gates[0].open)
	t.Cleanup(gates[1].open)
	ctx := t.Context()
	sides := [2]*side{
		{gate: gates[0], act: func() error { return one.Pass(ctx) }},
		{gate: gates[1], act: func() error { return other.Pass(ctx) }},
	}
	sides[0].begin()
	sides[1].begin()
	var undone error
	if o.undoInBetween {
		undone = undo.act(ctx, h)
	}
	if !o.firstGoesOn {
		sides[0], sides[1] = sides[1], sides[0]
	}
	for _, s := range sides {
		s.finish()
		assert.NoError(t, s.err)
	}
	gates[0].arm(never)
	gates[1].arm(never)
	for range 2 {
		c.passGrace()
		require.NoError(t, one.Pass(ctx))
		require.NoError(t, other.Pass(ctx))
	}
	if o.undoInBetween {
		undo.check(t, h, undone)
		return
	}
	assert.Nil(t, h.snapshot(t, h.old), "nothing names it, so it is gone")
	assert.NotNil(t, h.snapshot(t, h.current), "it is what the source holds")
}

// errDied is what a collector sees of its own end.
var errDied = errors.New("this process is gone")

// deaths are ways in which a collector ends at a step.
var deaths = []struct {
	name string
	at   func(cancel context.CancelFunc, next http.RoundTripper, request *http.Request) (*http.Response, error)
}{
	{"is cut off before", func(context.CancelFunc, http.RoundTripper, *http.Request) (*http.Response, error) {
		return nil, errDied
	}},
	{"is cut off after", func(_ context.CancelFunc, next http.RoundTripper, request *http.Request) (*http.Response, error) {
		response, err := next.RoundTrip(request)
		if err == nil {
			err = errors.Join(errDied, response.Body.Close())
		}
		return nil, err
	}},
	{"is told to stop before", func(cancel context.CancelFunc, next http.RoundTripper, request *http.Request) (*http.Response, error) {
		cancel()
		return next.RoundTrip(request)
	}},
}

// dying plays a collector that ends at each of its steps. Another one, which knows
// nothing, takes over.
func (l *lab) dying(t *testing.T) {
	for _, d := range deaths {
		for _, p := range phases {
			for last := range stepsOf(p) {
				t.Run(fmt.Sprintf("a collector that %s %s step %d", p.name, d.name, last), func(t *testing.T) {
					t.Parallel()
					h, c := l.history(t, l.borrow(t)), newClock()
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					steps, doomed := 0, false
					dying := l.collector(t, h.namespace, c, l.unmade.before, func(next http.RoundTripper) http.RoundTripper {
						return roundTrip(func(request *http.Request) (*http.Response, error) {
							step := steps
							steps++
							switch {
							case !doomed || step < last:
								return next.RoundTrip(request)
							case step == last:
								return d.at(cancel, next, request)
							default:
								return nil, errDied
							}
						})
					})
					p.prepare(t, c, dying)
					steps, doomed = 0, true
					err := dying.Pass(ctx)
					assert.True(t, err != nil || steps <= last+1, "it ends there")
					l.takeOver(t, h, c)
				})
			}
		}
	}
}

// takeOver checks that a collector which knows nothing collects what nothing
// names, but only what it has seen marked for the grace itself.
func (l *lab) takeOver(t *testing.T, h *history, c *clock) {
	t.Helper()
	there := h.snapshot(t, h.old) != nil
	heir := l.collector(t, h.namespace, c, l.unmade.before)
	require.NoError(t, heir.Pass(t.Context()))
	assert.Equal(t, there, h.snapshot(t, h.old) != nil, "it hasn't seen the mark for long")
	c.advance(rules.Grace / 2)
	require.NoError(t, heir.Pass(t.Context()))
	assert.Equal(t, there, h.snapshot(t, h.old) != nil, "nor now")
	c.passGrace()
	require.NoError(t, heir.Pass(t.Context()))
	assert.Nil(t, h.snapshot(t, h.old), "nothing names it, so it is gone")
	assert.NotNil(t, h.snapshot(t, h.current), "it is what the source holds")
}
