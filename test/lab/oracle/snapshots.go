package oracle

import "github.com/configpin/configpin/internal/wellknown"

// changedSnapshots are those that ever held anything but their first content, or
// could.
func changedSnapshots(r *record, _ Rules) []Violation {
	var found []Violation
	first := map[string]Fact{}
	r.replay(func(_ *world, f Fact) {
		if !r.kept[f.UID] || f.Gone {
			return
		}
		if _, seen := first[f.UID]; !seen {
			first[f.UID] = f
		}
		if f.Content != first[f.UID].Content {
			found = append(found, breach(f, "holds something else than when it was created"))
		}
		if !f.Immutable {
			found = append(found, breach(f, "can be changed"))
		}
	})
	return found
}

// misnamedSnapshots are those whose name or digest isn't that of what they hold.
func misnamedSnapshots(r *record, _ Rules) []Violation {
	var found []Violation
	r.replay(func(_ *world, f Fact) {
		switch {
		case !r.kept[f.UID] || f.Gone:
		case !f.wellNamed():
			found = append(found, breach(f, "its name doesn't come from what it holds: the digest is %q", f.Digest))
		case f.Annotations[wellknown.Digest] != f.Digest:
			found = append(found, breach(f, "its digest is %q, and it says %q", f.Digest, f.Annotations[wellknown.Digest]))
		}
	})
	return found
}

// keptTwice are the snapshots that were made while another one of the same
// source and content was there, by the same key if it is a Secret.
func keptTwice(r *record, _ Rules) []Violation {
	var found []Violation
	r.replay(func(w *world, f Fact) {
		if _, known := w.objects[f.UID]; !r.kept[f.UID] || f.Gone || known {
			return
		}
		for _, other := range r.snapshotsOf(w, f.Kind, f.Annotations[wellknown.Source]) {
			if other.Content == f.Content && other.Annotations[wellknown.DigestKey] == f.Annotations[wellknown.DigestKey] {
				found = append(found, breach(f, "keeps what %s keeps", other.Name))
			}
		}
	})
	return found
}
