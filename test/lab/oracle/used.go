package oracle

import "strings"

// deletedInUse are the snapshots that our programs deleted while something named
// them. What is stored afterwards with such a name is found by lostPins.
func deletedInUse(r *record, _ Rules) []Violation {
	var found []Violation
	r.replay(func(w *world, f Fact) {
		if !f.Gone || !r.kept[f.UID] {
			return
		}
		if by, known := r.remover(f); !known || !by.ours() {
			return
		}
		if users := w.users(key(f.Kind, f.Name)); len(users) > 0 {
			found = append(found, breach(f, "was deleted while it was named by %s", list(users)))
		}
	})
	return found
}

func list(facts []Fact) string {
	var all []string
	for _, f := range facts {
		all = append(all, f.String())
	}
	return strings.Join(all, ", ")
}

// dangling are the objects that need something that isn't there.
func dangling(r *record, rules Rules) []Violation {
	w := r.replay(nil)
	var found []Violation
	for _, f := range w.sorted() {
		for _, ref := range f.Refs {
			if _, there := w.at(ref.String()); !there && !ref.Optional && !rules.Absent[ref.String()] {
				found = append(found, breach(f, "names %s, which isn't there", ref))
			}
		}
	}
	return found
}
