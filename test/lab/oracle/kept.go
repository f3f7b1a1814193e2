package oracle

import (
	"maps"
	"slices"
	"strings"

	"github.com/configpin/configpin/internal/wellknown"
)

// lostPins are the pins of stored templates that named no snapshot at that
// moment, and the snapshots that nobody deleted and that are gone. A snapshot
// that somebody else deleted is theirs to miss.
func lostPins(r *record, rules Rules) []Violation {
	var found []Violation
	taken := map[string]bool{} // by others, on purpose
	r.replay(func(w *world, f Fact) {
		switch {
		case f.Gone && r.kept[f.UID]:
			by, known := r.remover(f)
			if !known {
				found = append(found, breach(f, "is gone, and nobody deleted it"))
			}
			taken[key(f.Kind, f.Name)] = known && !by.ours()
		case !f.Gone && f.isWorkload() && f.Template != nil:
			found = append(found, r.unkeptPins(w, f, func(pin string) bool { return rules.Absent[pin] || taken[pin] })...)
		}
	})
	return found
}

func (r *record) unkeptPins(w *world, f Fact, excused func(pin string) bool) []Violation {
	var found []Violation
	for _, source := range slices.Sorted(maps.Keys(f.Template.Pins)) {
		kind, name, _ := strings.Cut(source, "/")
		pin := key(kind, f.Template.Pins[source])
		kept, there := w.at(pin)
		switch {
		case there && r.kept[kept.UID] && kept.Annotations[wellknown.Source] == name:
		case there:
			found = append(found, breach(f, "was stored with the pin %s, which is no snapshot of %s", pin, source))
		case !excused(pin):
			found = append(found, breach(f, "was stored with the pin %s, which wasn't there", pin))
		}
	}
	return found
}

// remover is who deleted an object: whose deletion was answered with its UID, or else
// who may have deleted it by its name, or else with others. Of two that may have, it
// is us.
func (r *record) remover(f Fact) (by Entry, known bool) {
	const none, together, named, exact = 0, 1, 2, 3
	best := none
	for _, e := range r.Audit {
		how := none
		switch {
		case e.Resource != f.resource() || !e.wrote():
		case e.Verb == "deletecollection":
			how = together
		case e.Verb == "delete" && e.Name == f.Name && e.UID == f.UID:
			how = exact
		case e.Verb == "delete" && e.Name == f.Name && e.UID == "":
			how = named
		}
		if how > best || how == best && how > none && e.ours() && !by.ours() {
			by, best = e, how
		}
	}
	return by, best > none
}

// lostContents are the sources that no snapshot has the content of.
func lostContents(r *record, rules Rules) []Violation {
	w := r.replay(nil)
	var found []Violation
	for _, f := range w.sorted() {
		if !f.isKept() || rules.unkept(f.Kind, f.Name) {
			continue
		}
		if source, is := r.source(w, f.Kind, f.Name); is && len(r.current(w, source)) == 0 {
			found = append(found, breach(f, "what it holds is kept by no snapshot"))
		}
	}
	return found
}

// current are the snapshots of what a source holds: one, if all is well.
func (r *record) current(w *world, source Fact) []Fact {
	all := r.snapshotsOf(w, source.Kind, source.Name)
	return slices.DeleteFunc(all, func(f Fact) bool { return f.Content != source.Content })
}
