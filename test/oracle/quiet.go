package oracle

import (
	"maps"
	"slices"
)

// loud are the writes by our programs that are in the second log and not in the
// first, which it continues.
func loud(before, after map[string][]Entry) []Violation {
	var found []Violation
	for _, namespace := range slices.Sorted(maps.Keys(after)) {
		for _, e := range after[namespace][len(before[namespace]):] {
			if e.ours() && e.writes() && e.Resource != "leases" {
				found = append(found, Violation{"I12", namespace, e.Resource + " " + e.Name, e.Verb + " by " + e.User})
			}
		}
	}
	return found
}

// elsewhere are the writes by our programs in namespaces in which nobody asked
// them for any (I8).
func elsewhere(all map[string][]Entry, watched func(namespace string) bool) []Violation {
	var found []Violation
	for _, namespace := range slices.Sorted(maps.Keys(all)) {
		if watched(namespace) {
			continue
		}
		for _, e := range all[namespace] {
			if e.ours() && e.writes() && (namespace != "" && namespace != system || !permitted(e)) {
				found = append(found, Violation{"I8", namespace, e.Resource + " " + e.Name, e.Verb + " by " + e.User + ": nobody asked for it there"})
			}
		}
	}
	return found
}
