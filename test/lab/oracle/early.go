package oracle

import (
	"time"

	"github.com/configpin/configpin/internal/wellknown"
)

// leastGrace is how long a mark has to have been there at least before what carries it
// is deleted, whatever --gc-grace says: longer than any request of the API server may
// take, so that whoever pinned the snapshot meanwhile has taken the mark off.
const leastGrace = 90 * time.Second

// lateness is how much later than it was stored a mark may have been seen, at most: a
// machine that does something else too takes seconds.
const lateness = 30 * time.Second

// deletedEarly are the snapshots that our programs deleted without having marked them
// for long enough, or marked when they were young.
func deletedEarly(r *record, rules Rules) []Violation {
	var found []Violation
	marks := map[string]marking{} // by UID
	r.replay(func(w *world, f Fact) {
		was, known := w.objects[f.UID]
		switch {
		case !r.kept[f.UID]:
		case !f.Gone:
			if !known || was.mark() != f.mark() {
				marks[f.UID] = marking{seen: f.Seen, created: !known}
			}
		default:
			if by, known := r.remover(f); known && by.ours() {
				found = append(found, marks[f.UID].early(was, by.At, rules)...)
			}
		}
	})
	return found
}

// marking is how a snapshot got the mark that it has, if it has one.
type marking struct {
	seen    time.Time
	created bool // it came with it, as out of a backup
}

func (f Fact) mark() string { return f.Annotations[wellknown.UnusedSince] }

// early says what is wrong with the deletion of a snapshot at a time.
func (m marking) early(f Fact, at time.Time, rules Rules) []Violation {
	since, err := time.Parse(time.RFC3339, f.mark())
	age := since.Sub(f.Born) // negative if others wrote the mark, so that it says nothing
	switch {
	case f.mark() == "":
		return []Violation{breach(f, "was deleted without a mark")}
	case err != nil:
		return []Violation{breach(f, "was deleted with the mark %q, which is no time", f.mark())}
	case at.Sub(since) < leastGrace:
		return []Violation{breach(f, "was deleted %s after the time of its mark", at.Sub(since).Round(time.Second))}
	case at.Sub(m.seen) < leastGrace-lateness:
		return []Violation{breach(f, "was deleted %s after it was marked", at.Sub(m.seen).Round(time.Second))}
	case at.Sub(f.Born) < rules.MinAge || !m.created && age >= 0 && age < rules.MinAge:
		return []Violation{breach(f, "was marked when it was %s old", age)}
	}
	return nil
}
