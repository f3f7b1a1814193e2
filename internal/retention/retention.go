// Package retention decides which snapshots of a source may be deleted, and
// which have to be marked before they may. It is pure: what is stored, what is
// named by what, how long a mark has been there, and the time are values.
//
// Every doubt keeps a snapshot: whoever doesn't know says that it is used, or
// doesn't ask. It deliberately knows nothing of how the facts were gathered, and
// whether an object is a snapshot at all is for internal/snapshot to say.
package retention

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"time"
)

// MinGrace is how long a snapshot has to be marked, at least, before it may be
// deleted. Between the moment at which admission finds a snapshot unmarked and
// the one at which the workload that names it is stored, nobody can see that it
// is about to be used. Both are within one request, and the API server gives none
// longer than 34 s (k8s.io/apiserver/pkg/endpoints/handlers/rest.go,
// requestTimeoutUpperBound). As much again, and some more, is for controllers
// that act on a template which they read a while ago.
const MinGrace = 90 * time.Second

// Rules are how long snapshots are left alone.
type Rules struct {
	// MinAge is how old a snapshot has to be.
	MinAge time.Duration

	// Grace is how long it has to have been marked, by the clock and by what this
	// process has seen. Less than MinGrace is not safe.
	Grace time.Duration
}

// Source is what is known of a source, and of what was kept of it.
type Source struct {
	// Current is the digest of what the source holds. It is empty where the source
	// isn't there, or isn't versioned.
	Current string

	// Limit is how many snapshots are retained although nothing uses them.
	Limit int

	// Gone says that the source isn't there. Nobody can raise or lower the limit of one
	// that isn't, and there may be new ones every day: nothing of it is retained.
	Gone bool

	// GoneAfter is how long a snapshot of a source that is gone has to have been marked,
	// if that is more than the grace: it may come back. That is by the clock alone, so that
	// a process that doesn't live that long comes to an end with it.
	GoneAfter time.Duration

	Snapshots []Snapshot
}

// Snapshot is what is known of a snapshot.
type Snapshot struct {
	Name     string
	Digest   string
	Revision int // 0 where it has none
	Created  time.Time

	// Used says that something names it, or that nobody knows.
	Used bool

	// Mark is what it is marked with; empty where it isn't.
	Mark string

	// Seen is for how long this process has known of this very mark, by a clock
	// that nobody sets. What happened to the snapshot in between makes it another
	// mark.
	Seen time.Duration
}

// State is what a snapshot is there for.
type State string

// The states.
const (
	Current  State = "current"  // it is what its source holds
	Used     State = "used"     // something names it
	Retained State = "retained" // it is young, or one of the newest that nothing names of a source that is there
	Marked   State = "marked"   // it is there for nothing, and will be deleted
)

// States are all of them.
var States = []State{Current, Used, Retained, Marked}

// Action is what has to be done about a snapshot.
type Action string

// The actions.
const (
	Keep    Action = "keep"    // nothing
	Mark    Action = "mark"    // mark it, or give its mark a time that can be read
	Unmark  Action = "unmark"  // take its mark off
	Collect Action = "collect" // delete it
)

// Verdict is what is decided about a snapshot.
type Verdict struct {
	State
	Action
}

// Decide returns the verdicts about a source's snapshots, in their order.
func (r Rules) Decide(source Source, now time.Time) []Verdict {
	unused := source.unused()
	verdicts := make([]Verdict, len(source.Snapshots))
	for i, s := range source.Snapshots {
		state := Retained
		switch rank, is := unused[i]; {
		case source.current(s):
			state = Current
		case s.Used:
			state = Used
		case is && (source.Gone || rank >= source.Limit) && now.Sub(s.Created) >= r.MinAge:
			state = Marked
		}
		verdicts[i] = Verdict{state, r.act(state, s, source.notice(), now)}
	}
	return verdicts
}

func (s Source) current(kept Snapshot) bool {
	return s.Current != "" && kept.Digest == s.Current
}

// notice is how old a mark has to be beyond the grace.
func (s Source) notice() time.Duration {
	if s.Gone {
		return s.GoneAfter
	}
	return 0
}

// unused returns how many newer ones there are for each snapshot that nothing
// names and that isn't current, by its index.
func (s Source) unused() map[int]int {
	var order []int
	for i, kept := range s.Snapshots {
		if !s.current(kept) && !kept.Used {
			order = append(order, i)
		}
	}
	slices.SortFunc(order, func(a, b int) int { return newer(s.Snapshots[a], s.Snapshots[b]) })
	ranks := make(map[int]int, len(order))
	for rank, i := range order {
		ranks[i] = rank
	}
	return ranks
}

// newer sorts by when snapshots were current last. One without a revision never
// was, as far as the versioner saw.
func newer(a, b Snapshot) int {
	return cmp.Or(cmp.Compare(b.Revision, a.Revision), b.Created.Compare(a.Created), cmp.Compare(a.Name, b.Name))
}

func (r Rules) act(state State, s Snapshot, notice time.Duration, now time.Time) Action {
	switch {
	case state != Marked && s.Mark == "":
		return Keep
	case state != Marked:
		return Unmark
	}
	since, err := time.Parse(time.RFC3339, s.Mark)
	switch {
	case err != nil, since.After(now):
		return Mark
	case s.Seen >= r.Grace && now.Sub(since) >= max(r.Grace, notice):
		return Collect
	default:
		return Keep
	}
}

// Unlimited is the limit of a source whose own can't be read.
const Unlimited = math.MaxInt

// Limit reads the limit that a source's annotation says: fallback where it says
// none. One that nobody understands retains everything.
func Limit(annotation string, fallback int) (limit int, valid bool) {
	if annotation == "" {
		return fallback, true
	}
	limit, err := strconv.Atoi(annotation)
	if err != nil || limit < 0 {
		return Unlimited, false
	}
	return limit, true
}
