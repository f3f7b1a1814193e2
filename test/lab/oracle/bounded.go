package oracle

import (
	"cmp"
	"slices"

	"github.com/configpin/configpin/internal/wellknown"
)

// Bounded returns the sources of which more snapshots are left than limit that
// are neither named by anything nor what the source holds (I7). It is for a
// moment at which whatever collects them has had its time.
func Bounded(h History, limit int) []Violation {
	r := prepare(h)
	w := r.replay(nil)
	unused := map[Ref]int{}
	for _, f := range w.sorted() {
		if !r.kept[f.UID] || len(w.users(key(f.Kind, f.Name))) > 0 {
			continue
		}
		of := Ref{Kind: f.Kind, Name: f.Annotations[wellknown.Source]}
		if source, is := r.source(w, of.Kind, of.Name); !is || source.Content != f.Content {
			unused[of]++
		}
	}
	var found []Violation
	for of, count := range unused {
		if count > limit {
			v := breach(Fact{Kind: of.Kind, Name: of.Name}, "has %d unused snapshots, and %d are kept", count, limit)
			v.Invariant, v.Namespace = "I7", h.Namespace
			found = append(found, v)
		}
	}
	slices.SortFunc(found, func(a, b Violation) int { return cmp.Compare(a.Object, b.Object) })
	return found
}
