package races

import (
	"context"
	"net/http"
	"sync"
)

// never is the step before which nobody stops.
const never = -1

// gate is before every step of one side. It lets the steps pass one at a time, also
// those that are taken side by side, and stops the side before one of them.
type gate struct {
	mutex   sync.Mutex // held for as long as a step takes
	steps   int        // taken so far
	stop    int        // the step to stop before
	stopped chan struct{}
	opened  chan struct{}
	open    func() // lets the side go on; more than once does no harm
}

func newGate() *gate {
	g := &gate{}
	g.arm(never)
	return g
}

// arm counts steps anew, and stops before that one. Nobody may be under way.
func (g *gate) arm(stop int) {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	opened := make(chan struct{})
	g.steps, g.stop, g.stopped, g.opened = 0, stop, make(chan struct{}), opened
	g.open = sync.OnceFunc(func() { close(opened) })
}

// step takes a step, when the gate lets it.
func (g *gate) step(ctx context.Context, take func()) error {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	if g.steps == g.stop {
		close(g.stopped)
		select {
		case <-g.opened:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	g.steps++
	take()
	return nil
}

// before puts the gate before every call of the API server.
func (g *gate) before(next http.RoundTripper) http.RoundTripper {
	return roundTrip(func(request *http.Request) (response *http.Response, err error) {
		stopped := g.step(request.Context(), func() {
			response, err = next.RoundTrip(request) //nolint:bodyclose // whoever asked closes it
		})
		if stopped != nil {
			return nil, stopped
		}
		return response, err
	})
}

// roundTrip is a transport that is a function.
type roundTrip func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (r roundTrip) RoundTrip(request *http.Request) (*http.Response, error) { return r(request) }

// side is one of those who race.
type side struct {
	gate *gate
	act  func() error

	done chan struct{}
	err  error
}

// begin lets the side go until it stops at its gate, or is done, and returns
// whether it has stopped.
func (s *side) begin() (stopped bool) {
	s.done = make(chan struct{})
	go func() {
		defer close(s.done)
		s.err = s.act()
	}()
	select {
	case <-s.gate.stopped:
		return true
	case <-s.done:
		return false
	}
}

// finish lets the side go on to its end.
func (s *side) finish() {
	s.gate.open()
	<-s.done
}
