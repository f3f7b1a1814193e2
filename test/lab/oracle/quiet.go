package oracle

import (
	"maps"
	"slices"
	"time"
)

// seriesEnd is how long after the last write of an Event the recorder may write how often
// it happened: client-go does 6 minutes after its last repetition, at the earliest, and if
// the Event is gone, it tries to create it again
// (k8s.io/client-go/tools/events/event_broadcaster.go, finishTime). The versioner writes
// Events at a rate, so that one may be written up to a minute after what it tells of.
const seriesEnd = 6*time.Minute - time.Minute

// loud are the writes by our programs that are in the second log and not in the
// first, which it continues. That a series of Events has ended tells of what was before.
func loud(before, after map[string][]Entry) []Violation {
	var found []Violation
	for _, namespace := range slices.Sorted(maps.Keys(after)) {
		for _, e := range after[namespace][len(before[namespace]):] {
			if e.ours() && e.writes() && e.Resource != "leases" && !endsSeries(before[namespace], e) {
				found = append(found, Violation{"I12", namespace, e.Resource + " " + e.Name, e.Verb + " by " + e.User})
			}
		}
	}
	return found
}

// endsSeries says whether e may be the last word of the recorder on an Event: nothing
// was written of it for that long.
func endsSeries(before []Entry, e Entry) bool {
	if e.Resource != "events" {
		return false
	}
	for _, was := range slices.Backward(before) {
		if was.Resource == e.Resource && was.Name == e.Name {
			return e.At.Sub(was.At) >= seriesEnd
		}
	}
	return false
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
