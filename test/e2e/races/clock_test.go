package races

import (
	"context"
	"iter"
	"sync"
	"time"

	"github.com/configpin/configpin/internal/cluster/census"
	"github.com/configpin/configpin/internal/gc"
	"github.com/configpin/configpin/internal/retention"
)

// rules are those of the collectors here, with the least grace that is safe.
var rules = retention.Rules{MinAge: time.Hour, Grace: retention.MinGrace}

// clock is the time as the test has it: that of the machine, moved on. What the API
// server says of the time is moved as well, since a collector compares the two.
type clock struct {
	mutex                   sync.Mutex
	began                   time.Time
	wall, monotonic, server time.Duration
}

// newClock is at a time at which what is made now is old enough.
func newClock() *clock {
	c := &clock{began: time.Now()}
	c.advance(rules.MinAge + time.Minute)
	return c
}

// advance lets time go by, for everybody alike.
func (c *clock) advance(by time.Duration) { c.set(by, by, by) }

// set moves the wall clock of the collector, the clock that nobody can set, and the
// clock of the API server.
func (c *clock) set(wall, monotonic, server time.Duration) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.wall += wall
	c.monotonic += monotonic
	c.server += server
}

// passGrace lets so much time go by that whatever is marked now may go. A mark is
// in whole seconds.
func (c *clock) passGrace() { c.advance(rules.Grace + time.Second) }

func (c *clock) forCollector() gc.Clock {
	return gc.Clock{
		Now: func() time.Time {
			c.mutex.Lock()
			defer c.mutex.Unlock()
			return time.Now().Add(c.wall)
		},
		Elapsed: func() time.Duration {
			c.mutex.Lock()
			defer c.mutex.Unlock()
			return time.Since(c.began) + c.monotonic
		},
	}
}

// oneSpace is the census of a single namespace: others race in the other ones.
type oneSpace struct {
	*census.Taker
	namespace string
	clock     *clock
}

func (o oneSpace) Spaces(ctx context.Context) iter.Seq2[census.Space, error] {
	return func(yield func(census.Space, error) bool) { yield(o.Space(ctx, o.namespace)) }
}

func (o oneSpace) Date() time.Time {
	o.clock.mutex.Lock()
	defer o.clock.mutex.Unlock()
	return o.Taker.Date().Add(o.clock.server)
}
