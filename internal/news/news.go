// Package news says, for people to read in Events, what a write did to the pins of a workload,
// and which of the snapshots that it names are gone.
//
// It is apart from package pin because it decides nothing: it compares what was stored with
// what is.
package news

import (
	"slices"
	"strings"

	"github.com/configpin/configpin/internal/pin"
	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/wellknown"
	"github.com/configpin/configpin/internal/workload"
)

// Change is what a write did to the pin of one source of a workload.
type Change struct {
	Source refs.Target

	// Reason is one of wellknown's reasons of Events about pins.
	Reason string

	// From and To are the snapshots that were and are named; empty for none.
	From, To string
}

// Changes tells what a write did to a workload, from what was stored before (nil
// for what is new) and after it, sorted by source. Who wrote, and whether admission
// was there, makes no difference: a hold shows in the label that holds what the
// workload was last offered. live says whether what a source holds now has a suffix;
// every suffix begins with the empty one, so that it says no to that where there is
// nothing to be held from.
func Changes(before *workload.Object, after workload.Object, live func(source refs.Target, suffix string) bool) []Change {
	was, is := map[refs.Target]stored{}, storedPins(after)
	if before != nil {
		was = storedPins(*before)
	}
	var changes []Change
	for _, source := range sortedSources(was, is) {
		if reason := changed(was[source], is[source], func(suffix string) bool { return live(source, suffix) }); reason != "" {
			changes = append(changes, Change{source, reason, was[source].name, is[source].name})
		}
	}
	return changes
}

// stored is the pin of one source as an object says it, and the suffix that the
// object was last offered.
type stored struct{ name, offered string }

// elsewhere says whether a pin isn't what was offered.
func (s stored) elsewhere() bool {
	suffix := snapshot.Suffix(s.name)
	return s.name != "" && !strings.HasPrefix(s.offered, suffix) && !strings.HasPrefix(suffix, s.offered)
}

func changed(was, is stored, live func(suffix string) bool) (reason string) {
	held := is.elsewhere() && live(is.offered)
	switch {
	case was == is:
		return ""
	case is.name == "" && was.name == "":
		return ""
	case is.name == "":
		return wellknown.ReasonUnpinned
	case held && (is.name != was.name || !was.elsewhere()):
		return wellknown.ReasonRollbackHeld
	case was.elsewhere() && !is.elsewhere() && live(""):
		return wellknown.ReasonHoldReleased
	case is.name == was.name:
		return ""
	case was.name == "" || is.elsewhere() || !live(""):
		return wellknown.ReasonPinned
	default:
		return wellknown.ReasonRolledForward
	}
}

// storedPins are the pins that refs name. An entry that no ref names says what
// was there before somebody un-pinned it.
func storedPins(o workload.Object) map[refs.Target]stored {
	named := map[refs.Target]bool{}
	for _, ref := range refs.Walk(o.Template.Spec) {
		named[ref.Target] = true
	}
	pins := map[refs.Target]stored{}
	for source, name := range pin.ParsePins(o.Template.Annotations[wellknown.Pins]) {
		if named[refs.Target{Kind: source.Kind, Name: name}] {
			pins[source] = stored{name, o.Labels[snapshot.ObservedLabel(source.Kind, source.Name)]}
		}
	}
	return pins
}

func sortedSources(sets ...map[refs.Target]stored) []refs.Target {
	var all []refs.Target
	for _, set := range sets {
		for source := range set {
			all = append(all, source)
		}
	}
	slices.SortFunc(all, refs.Target.Compare)
	return slices.Compact(all)
}

// Tell is a sentence for the person about changes that have one reason.
func Tell(kind *workload.Kind, changes []Change) string {
	clauses := make([]string, len(changes))
	for i, c := range changes {
		switch source := c.Source.String(); c.Reason {
		case wellknown.ReasonUnpinned:
			clauses[i] = source + " is not pinned any more"
		case wellknown.ReasonRollbackHeld:
			clauses[i] = source + " is held at " + c.To
		case wellknown.ReasonHoldReleased:
			clauses[i] = source + " is held no more: pinned to " + c.To
		case wellknown.ReasonPinned:
			clauses[i] = source + " is pinned to " + c.To
		case wellknown.ReasonRolledForward:
			clauses[i] = source + " moved from " + c.From + " to " + c.To
		}
	}
	sentence := strings.Join(clauses, ", ")
	if len(changes) > 0 && changes[0].Reason == wellknown.ReasonRollbackHeld {
		sentence += "; to end it, label the " + strings.ToLower(kind.Kind) + " " + wellknown.Resume + "=true"
	}
	return sentence
}

// Gone is a snapshot that a workload names and that is not there.
type Gone struct {
	Snapshot, Source refs.Target

	// Followed says that the source holds something that can be pinned instead.
	Followed bool
}

// Missing are the snapshots, sorted by source, that a workload goes on to name and
// that are gone. A current snapshot isn't among them: it is made again.
func Missing(decision pin.Decision, facts pin.Facts) []Gone {
	var missing []Gone
	for _, outcome := range decision.Outcomes {
		named := refs.Target{Kind: outcome.Source.Kind, Name: outcome.Name}
		current := facts[outcome.Source].Current
		if outcome.Pinned() && facts[named].Role == pin.Absent && outcome.Name != current {
			missing = append(missing, Gone{named, outcome.Source, current != ""})
		}
	}
	return missing
}
