package rollout

import (
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/news"
	"github.com/configpin/configpin/internal/wellknown"
)

const (
	// crowd is how many workloads that one change moved are told of one by one. So many
	// Events are written in a second, and a person reads them; of more, what matters is
	// how many they were.
	crowd = 20

	// A crowd has passed once nothing moved for passed, since touches that wait for
	// their turn, or for an answer, come a little later. It is told every longest, too, so
	// that somebody who looks sees how far it is: in a number that rises until it has passed.
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
	count, told int       // told is how many it was told that they were
	since, last time.Time // since it was told, or began
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

// look tells of a crowd that has passed, or is long, and looks again once it may have passed.
func (c *crowds) look(m move) {
	if count := c.due(m, time.Now()); count > 0 {
		c.tell(m, count)
	}
}

// due is how many workloads it is time to tell of, or 0.
func (c *crowds) due(m move, now time.Time) (count int) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	moved := c.moving[m]
	if moved == nil {
		return 0 // told already
	}
	rest := moved.last.Add(passed).Sub(now)
	if rest <= 0 {
		delete(c.moving, m)
		return moved.news()
	}
	left := moved.since.Add(longest).Sub(now)
	if left <= 0 {
		moved.since, left = now, longest
		count = moved.news()
	}
	time.AfterFunc(min(rest, left), func() { c.look(m) })
	return count
}

// news is how many moved, where that is a crowd, and more than was told.
func (m *moving) news() int {
	if m.count <= crowd || m.count == m.told {
		return 0
	}
	m.told = m.count
	return m.count
}

// end tells of all that are still moving.
func (c *crowds) end() {
	c.mutex.Lock()
	left := c.moving
	c.moving = map[move]*moving{}
	c.mutex.Unlock()
	for m, moved := range left {
		if count := moved.news(); count > 0 {
			c.tell(m, count)
		}
	}
}

// inCrowd says whether what a change did to a workload is told in one Event with what
// it did to others. What people did to one workload, such as a rollback, isn't.
func (r *Rollout) inCrowd(namespace string, change news.Change) bool {
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
