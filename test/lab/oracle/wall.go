package oracle

import "strings"

// leaks are the snapshots and Events of ours that speak of another namespace.
func leaks(r *record, _ Rules) []Violation {
	var found []Violation
	r.replay(func(_ *world, f Fact) {
		if f.Gone || !r.kept[f.UID] && f.Event == nil {
			return
		}
		for _, other := range r.Others {
			if mentions(f.Said, other) {
				found = append(found, breach(f, "names the namespace %s", other))
			}
		}
		if f.Event != nil && f.Event.RegardingNamespace != f.Namespace {
			found = append(found, breach(f, "is about an object in the namespace %q", f.Event.RegardingNamespace))
		}
	})
	return found
}

// mentions says whether a text has a name in it that isn't part of a longer one.
func mentions(text, name string) bool {
	for at := 0; ; {
		next := strings.Index(text[at:], name)
		if next < 0 {
			return false
		}
		begin, end := at+next, at+next+len(name)
		if (begin == 0 || !inName(text[begin-1])) && (end == len(text) || !inName(text[end])) {
			return true
		}
		at = end
	}
}

// inName says whether a namespace's name can have this character.
func inName(c byte) bool {
	return c == '-' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9'
}
