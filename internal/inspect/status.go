package inspect

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/configpin/configpin/internal/pin"
	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/wellknown"
	"github.com/configpin/configpin/internal/workload"
)

// State is what can be said of a ref.
type State string

// The states.
const (
	Current  State = "Current"  // it names what its source holds
	Held     State = "Held"     // it names something else, since somebody took it back
	Manual   State = "Manual"   // it names something else, until somebody deploys
	Settling State = "Settling" // it will name something else in a moment
	Kept     State = "Kept"     // it stays pinned, whatever the source holds
	Unpinned State = "Unpinned" // it names the source itself
	Missing  State = "Missing"  // it names a snapshot that isn't there
	Unknown  State = "Unknown"  // what is needed to tell can't be read
)

// Ref is what is said of all refs of a workload to one source.
type Ref struct {
	// Source is as in "configmap/app".
	Source string `json:"source"`

	State  State  `json:"state"`
	Reason string `json:"reason,omitempty"`

	// OK says that nothing has to be done, and that nothing is about to happen.
	OK bool `json:"ok"`

	// Pinned is the snapshot that the template names, and Live that of what the source
	// holds. A revision is 0 where there is none, or nobody has numbered it.
	Pinned         string `json:"pinned,omitempty"`
	PinnedRevision int    `json:"pinnedRevision,omitempty"`
	Live           string `json:"live,omitempty"`
	LiveRevision   int    `json:"liveRevision,omitempty"`

	// HeldSince is when the hold began, where an Event still tells of it.
	HeldSince time.Time `json:"heldSince,omitzero"`

	// DampedAt is when it was told last that the workload may not roll out as often as its
	// sources change.
	DampedAt time.Time `json:"dampedAt,omitzero"`

	target refs.Target
}

// Passing says whether the state may be one of the moment.
func (r Ref) Passing() bool { return r.State == Missing || r.State == Settling }

// Target is the source.
func (r Ref) Target() refs.Target { return r.target }

// Subject is a workload, and what has to be known to judge it.
type Subject struct {
	workload.Object

	// NamespaceEnabled says that the namespace opts in what is written in it.
	NamespaceEnabled bool

	// NamespaceHidden says why nobody can tell whether it does.
	NamespaceHidden string
}

// Request is the workload, written once more as it is.
func (s Subject) Request() pin.Request {
	return pin.Request{New: s.Object, Old: &s.Object, NamespaceEnabled: s.NamespaceEnabled}
}

// Enabled says whether the workload is opted in: then why is empty. Else it says why not,
// and whether somebody meant that.
func (s Subject) Enabled() (why string, meant bool) {
	switch value, said := s.Labels[wellknown.Enabled]; {
	case value == wellknown.True, !said && s.NamespaceEnabled:
		return "", true
	case !said && s.NamespaceHidden != "":
		return s.NamespaceHidden, false
	case !said, value == wellknown.False:
		return "not opted in", true
	case pin.Releases(s.Object): // the versioner's word for what somebody did
		return "to be opted out once the webhook answers, since it lost its label", true
	default:
		return fmt.Sprintf("label %s is %q, not \"true\" or \"false\"", wellknown.Enabled, value), false
	}
}

// Status returns the refs of a workload, one for each source, sorted.
func (s Subject) Status(known *Index) []Ref {
	now := known.Case(s.Request())
	decision, facts := now.Decide(), now.Facts()
	found := map[refs.Target]Ref{}
	covered := map[refs.Target]bool{}
	sourceOf, needed := s.sourceOf(known), map[refs.Target]bool{}
	walked := refs.Walk(s.Template.Spec)
	for _, ref := range walked {
		source, _ := sourceOf(ref.Target)
		needed[source] = needed[source] || !ref.Optional
	}
	for _, outcome := range decision.Outcomes {
		found[outcome.Source] = s.judge(outcome, facts, known, needed[outcome.Source])
		covered[outcome.Source] = true
		covered[refs.Target{Kind: outcome.Source.Kind, Name: outcome.In}] = true
	}
	for _, ref := range walked {
		if covered[ref.Target] {
			continue
		}
		source, pinned := sourceOf(ref.Target)
		if _, said := found[source]; !said {
			found[source] = s.outside(source, pinned, known, needed[source])
		}
	}
	all := make([]Ref, 0, len(found))
	for _, ref := range found {
		all = append(all, ref)
	}
	slices.SortFunc(all, func(a, b Ref) int { return a.target.Compare(b.target) })
	return all
}

// sourceOf tells the source that something which the template names is, or is a snapshot
// of: then pinned is its name.
func (s Subject) sourceOf(known *Index) func(named refs.Target) (source refs.Target, pinned string) {
	sources := map[refs.Target]refs.Target{}
	for source, name := range pin.ParsePins(s.Template.Annotations[wellknown.Pins]) {
		sources[refs.Target{Kind: source.Kind, Name: name}] = source
	}
	return func(named refs.Target) (source refs.Target, pinned string) {
		if fact := known.Fact(named); fact.Role == pin.Snapshot {
			return refs.Target{Kind: named.Kind, Name: fact.Of}, named.Name
		}
		if source, is := sources[named]; is {
			return source, named.Name
		}
		return named, ""
	}
}

// follows tells whether a ref is to name what the others to a source do. A variable whose
// name repeats and that names the source is left as it is, as admission leaves it.
func (s Subject) follows(source refs.Target, known *Index) func(refs.Ref) bool {
	sourceOf := s.sourceOf(known)
	return func(ref refs.Ref) bool {
		of, _ := sourceOf(ref.Target)
		return of == source && (!ref.Repeated || ref.Name != source.Name)
	}
}

// Pointers are the JSON pointers, from the root of the workload, of the names in its refs
// that follow a source.
func (s Subject) Pointers(source refs.Target, known *Index) []string {
	var pointers []string
	follows := s.follows(source, known)
	for _, ref := range refs.Walk(s.Template.Spec) {
		if follows(ref) {
			pointers = append(pointers, s.Kind.PointerOf(ref.Pointer))
		}
	}
	return pointers
}

// Named is the workload with its refs that follow a source naming something else.
func (s Subject) Named(source refs.Target, name string, known *Index) workload.Object {
	object, follows := s.Object, s.follows(source, known)
	object.Template.Spec = refs.Rewrite(s.Template.Spec, refs.Walk(s.Template.Spec), func(ref refs.Ref) string {
		if follows(ref) {
			return name
		}
		return ref.Name
	})
	return object
}

// judge says of a source what admission would decide about it. Without one that is needed,
// no Pod starts.
func (s Subject) judge(o pin.Outcome, facts pin.Facts, known *Index, needed bool) Ref {
	in := refs.Target{Kind: o.Source.Kind, Name: o.In}
	ref := Ref{
		Source:       o.Source.String(),
		Live:         strings.Clone(o.Live),
		LiveRevision: known.Revision(refs.Target{Kind: o.Source.Kind, Name: o.Live}),
		target:       cloned(o.Source),
	}
	if New(o.Live) {
		ref.Live = ""
	}
	pinned := in != o.Source
	if pinned {
		ref.Pinned, ref.PinnedRevision = strings.Clone(o.In), known.Revision(in)
	}
	switch {
	case known.Hidden(o.Source) != "":
		ref.State, ref.Reason = Unknown, known.Hidden(o.Source)
	case pinned && facts[in].Role != pin.Snapshot:
		ref.State, ref.Reason = Missing, missing(in, o, facts)
	case o.Reason == pin.ReasonAmbiguous, pinned && o.Reason == pin.ReasonUnclear:
		ref.State = Kept
		ref.Reason, ref.OK = s.why(o, facts)
	case o.Held && !o.Moves():
		ref.State, ref.OK = Held, true
	case o.Moves():
		ref.State, ref.Reason = Settling, "to be pinned to "+Called(o.Name)
	case pinned && o.In == o.Live:
		ref.State, ref.OK = Current, true
	case o.Reason == pin.ReasonManual && o.Live != "":
		ref.State = Manual
		ref.Reason, ref.OK = s.manual()
	case pinned && o.Reason == pin.ReasonNotVersioned:
		ref.State, ref.Reason = Kept, forsaken(facts[o.Source])
	case pinned:
		ref.State = Kept
		ref.Reason, ref.OK = s.why(o, facts)
	default:
		ref.State = Unpinned
		ref.Reason, ref.OK = s.why(o, facts)
		ref.OK = ref.OK || facts[o.Source].Role == pin.Absent && !needed
	}
	return ref
}

// Called is the name of a snapshot, or what to call one whose name nobody knows yet.
func Called(name string) string {
	if New(name) {
		return "a new snapshot"
	}
	return name
}

// cloned is a target that isn't part of the text of a workload, which would otherwise stay
// in memory as long as what is said of it does.
func cloned(target refs.Target) refs.Target {
	return refs.Target{Kind: target.Kind, Name: strings.Clone(target.Name)}
}

func missing(in refs.Target, o pin.Outcome, facts pin.Facts) string {
	switch {
	case facts[in].Role == pin.Plain:
		return "it is not what its name says"
	case o.In == o.Live:
		return "to be made again"
	default:
		return "new Pods can't start"
	}
}

// why says why the template names what it does, and whether that is as it should be.
func (s Subject) why(o pin.Outcome, facts pin.Facts) (reason string, ok bool) {
	switch o.Reason {
	case pin.ReasonFrozen:
		return "the template of a Job can't change", true
	case pin.ReasonExcluded:
		return "excluded", true
	case pin.ReasonNotVersioned:
		return notVersioned(facts[o.Source])
	case pin.ReasonUnclear:
		if facts[o.Source].Invalid != "" {
			return notVersioned(facts[o.Source])
		}
		reason, _ := s.Enabled()
		return reason, false
	case pin.ReasonAmbiguous:
		return "the template names several snapshots of it", false
	}
	if facts[o.Source].Role == pin.Absent {
		return "the source does not exist", false
	}
	return cmp.Or(o.Problem, string(o.Reason)), false
}

// manual says why only deploys move the workload, and whether somebody meant that.
func (s Subject) manual() (reason string, meant bool) {
	if value := s.Labels[wellknown.Rollout]; value != wellknown.RolloutManual {
		return fmt.Sprintf("label %s is %q, not %q", wellknown.Rollout, value, wellknown.RolloutManual), false
	}
	return wellknown.Rollout + " is " + wellknown.RolloutManual, true
}

func notVersioned(fact pin.Fact) (reason string, ok bool) {
	if fact.Invalid != "" {
		return fmt.Sprintf("annotation %s is %q, not \"true\" or \"false\"", wellknown.Versioned, fact.Invalid), false
	}
	return "not versioned", true
}

// forsaken says why a workload stays pinned to what isn't versioned any more. It gets no
// change of that, and nobody may have meant that: a write of the whole source loses the
// annotation.
func forsaken(fact pin.Fact) string {
	if fact.Invalid != "" {
		reason, _ := notVersioned(fact)
		return reason
	}
	return "not versioned any more, so it gets no changes"
}

// outside says what a ref is of which admission decides nothing.
func (s Subject) outside(source refs.Target, pinned string, known *Index, needed bool) Ref {
	ref := Ref{Source: source.String(), Pinned: strings.Clone(pinned), State: Unpinned, target: cloned(source)}
	if pinned != "" {
		ref.State = Kept
		ref.PinnedRevision = known.Revision(refs.Target{Kind: source.Kind, Name: pinned})
	}
	fact := known.Fact(source)
	hidden := cmp.Or(known.Hidden(source), known.Hidden(refs.Target{Kind: source.Kind, Name: pinned}))
	unserved := known.Unserved(source.Kind)
	_, there := known.entries[refs.Target{Kind: source.Kind, Name: pinned}]
	notEnabled, meant := s.Enabled()
	switch {
	case unserved != "" && pinned != "" && hidden == "" && !there:
		ref.State, ref.Reason = Missing, pinned+" does not exist, and "+unserved
	case unserved != "":
		ref.Reason, ref.OK = unserved, true
	case hidden != "":
		ref.State, ref.Reason = Unknown, hidden
	case notEnabled != "" && notEnabled == s.NamespaceHidden:
		ref.State, ref.Reason = Unknown, notEnabled
	case notEnabled != "" && pinned != "" && fact.Role == pin.Absent:
		ref.Reason = notEnabled + ", and the source does not exist"
	case notEnabled != "":
		ref.Reason, ref.OK = notEnabled, meant && pinned == ""
	case fact.Role == pin.Absent:
		ref.Reason, ref.OK = "it does not exist", !needed
	case fact.Role == pin.Source:
		ref.Reason = Because[pin.ReasonRepeated]
	case pinned != "":
		ref.Reason = forsaken(fact)
	default:
		ref.Reason, ref.OK = notVersioned(fact)
	}
	return ref
}
