package rollout

import (
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/pin"
	"github.com/configpin/configpin/internal/wellknown"
)

const (
	// crowd is how many workloads that one change moved are told of one by one. So many
	// Events are written in a second, and a person reads them; of more, what matters is
	// how many they were.
	crowd = 20

	// A crowd has passed once nothing moved for passed, since touches that wait for
	// their turn, or for an answer, come a little later; or after longest, so that
	// somebody who looks sees how far it is.
	passed  = 5 * time.Second
	longest = time.Minute
)

// move is what one change does to each workload: because of reason it names another
// snapshot of a source.
type move struct {
	source     cluster.Key
	reason, to string
}

// crowds counts workloads that move together, so that a source which many use makes
// one Event instead of thousands. It is safe for concurrent use.
type crowds struct {
	tell func(m move, count int)

	mutex  sync.Mutex
	moving map[move]*moving
}

type moving struct {
	count       int
	since, last time.Time
}

func newCrowds(tell func(m move, count int)) *crowds {
	return &crowds{tell: tell, moving: map[move]*moving{}}
}

// join notes that a workload moved, and says whether it is one of so many that nobody
// wants to hear of each.
func (c *crowds) join(m move, now time.Time) (oneOfMany bool) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	moved := c.moving[m]
	if moved == nil {
		moved = &moving{since: now}
		c.moving[m] = moved
		time.AfterFunc(passed, func() { c.look(m) })
	}
	moved.count++
	moved.last = now
	return moved.count > crowd
}

// look tells of a crowd that has passed, or looks again once it may have.
func (c *crowds) look(m move) {
	c.mutex.Lock()
	moved := c.moving[m]
	if moved == nil {
		c.mutex.Unlock()
		return // told already
	}
	now := time.Now()
	rest := min(moved.last.Add(passed).Sub(now), moved.since.Add(longest).Sub(now))
	if rest > 0 {
		time.AfterFunc(rest, func() { c.look(m) })
		c.mutex.Unlock()
		return
	}
	delete(c.moving, m)
	c.mutex.Unlock()
	c.tellIf(m, moved)
}

// end tells of all that are still moving.
func (c *crowds) end() {
	c.mutex.Lock()
	left := c.moving
	c.moving = map[move]*moving{}
	c.mutex.Unlock()
	for m, moved := range left {
		c.tellIf(m, moved)
	}
}

func (c *crowds) tellIf(m move, moved *moving) {
	if moved.count > crowd {
		c.tell(m, moved.count)
	}
}

// inCrowd says whether what a change did to a workload is told in one Event with what
// it did to others. What people did to one workload, such as a rollback, isn't.
func (r *Rollout) inCrowd(namespace string, change pin.Change) bool {
	if change.Reason != wellknown.ReasonPinned && change.Reason != wellknown.ReasonRolledForward {
		return false
	}
	return r.crowds.join(move{cluster.Key{Namespace: namespace, Target: change.Source}, change.Reason, change.To}, time.Now())
}

// tellCrowd tells, on a source, of the workloads that it moved. The name of a Secret's
// snapshot, which says when it holds again what it held, is for those who read workloads.
func (r *Rollout) tellCrowd(m move, count int) {
	source, there := r.sources.Metadata(m.source)
	if !there {
		return
	}
	to := m.to
	if m.source.Kind == wellknown.Secret {
		to = "what it holds"
	}
	switch m.reason {
	case wellknown.ReasonPinned:
		r.event(source.Reference(), corev1.EventTypeNormal, wellknown.ReasonWorkloadsPinned, "%s workloads were pinned to %s", thousands(count), to)
	case wellknown.ReasonRolledForward:
		r.event(source.Reference(), corev1.EventTypeNormal, wellknown.ReasonWorkloadsMoved, "%s workloads moved to %s", thousands(count), to)
	}
}

// thousands is a number as people read it: 1,000.
func thousands(n int) string {
	digits := strconv.Itoa(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
