package pin

import (
	"maps"
	"slices"
	"strings"

	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/wellknown"
)

// situation is all that the rules know of one source in one request.
type situation struct {
	creating bool
	frozen   bool
	manual   bool
	resume   bool

	excluded  bool
	unclear   bool // nobody understands whether it is to be pinned
	ambiguous bool // the template names several snapshots, the same as OLD's
	versioned bool // or absent: what is gone may come back as it was
	optional  bool // it is gone, and Pods start without it

	source string // its own name
	in     string // what the template says
	pinned bool   // in is a snapshot, not the source
	exists bool   // in is a snapshot that is there, or will be

	old  string // what OLD is pinned to, if anything
	live string // the snapshot of what the source holds now, if there can be one

	digest string // of what the source holds now

	observed     string // OLD's label
	observedLive bool   // that label is of what the source holds now
	labelled     string // the label in the written object
	agrees       bool   // that label is of what the written object names
	dropped      bool   // admission let go of it in the written object

	cameWith bool // a new workload stays what it was where it comes from

	deploy   bool // the rest of the template differs from OLD's
	undo     bool // the request rolls back a source
	returned bool // the template is one that the workload had before
}

// held says whether the workload stays on something else than live although it
// was offered live: nobody but a person's undo can have done that.
func (s situation) held() bool {
	return s.old != "" && s.live != "" && s.old != s.live && s.observedLive
}

// behind says whether a template that names what OLD is pinned to would be moved to
// what the source holds.
func (s situation) behind() bool {
	return !s.manual && !s.excluded && !s.unclear && !s.ambiguous && !s.resume &&
		s.in == s.old && s.live != "" && s.live != s.old && !s.held()
}

// rolledBack says whether the template brings in another snapshot.
func (s situation) rolledBack() bool {
	return !s.creating && !s.frozen && !s.ambiguous && s.pinned && s.in != s.old
}

// seenAgain says whether the template comes together with the label that our answer
// to it would have had. That is our own answer, sent again; or an exported manifest,
// put back. One whose snapshot is gone is neither: it would name nothing.
func (s situation) seenAgain() bool {
	if s.creating || s.dropped {
		return s.dropped
	}
	return s.labelled != s.lastOffer() && s.agrees && s.pinned && (s.exists || s.in == s.old)
}

// lastOffer is OLD's label, of what is pinned. Of what isn't, because something takes the
// pins back, it says nothing: it was left there.
func (s situation) lastOffer() string {
	if s.old == "" && !s.excluded {
		return ""
	}
	return s.observed
}

// outdated says whether what is seen again is from before the source changed. Whoever
// wrote that didn't take the source back: it must neither make a hold nor end one. What
// nothing would move on stays: where only deploys change pins, what is excluded, and where
// nobody can tell whether it is to be pinned.
func (s situation) outdated() bool {
	return s.seenAgain() && s.live != "" && s.in != s.live && !s.manual && !s.excluded && !s.unclear
}

// undoes says whether the request rolls back this source.
func (s situation) undoes() bool {
	return s.rolledBack() && s.versioned && !s.excluded && !s.outdated()
}

// outcomes decides about every source, sorted.
func (c *Case) outcomes() []Outcome {
	sources, situations := c.situations()
	undo := slices.ContainsFunc(situations, situation.undoes)
	deploy := c.deploy(situations)
	outcomes := make([]Outcome, len(sources))
	for i, source := range sources {
		s := situations[i]
		s.undo, s.deploy = undo, deploy || c.rehashed(s)
		answer := decide(s)
		if !c.sayings().firm[source] && answer.name != s.in && answer.reason != ReasonFrozen {
			answer.name, answer.observed, answer.reason = source.Name, "", ReasonRepeated
		}
		outcomes[i] = Outcome{
			Source:   source,
			Name:     answer.name,
			Observed: answer.observed,
			Reason:   answer.reason,
			In:       s.in,
			Live:     s.live,
			Problem:  c.fact(source).Problem,
			Held:     answer.name != s.live && s.live != "" && c.holds(source, answer.observed),
			Ended:    answer.ended,
			old:      s.old,
		}
	}
	return outcomes
}

// situations are those of every source, sorted.
func (c *Case) situations() ([]refs.Target, []situation) {
	sources := slices.SortedFunc(maps.Keys(c.sayings().names), refs.Target.Compare)
	all := make([]situation, len(sources))
	for i, source := range sources {
		all[i] = c.situation(source)
	}
	return sources, all
}

func (c *Case) situation(source refs.Target) situation {
	fact := c.fact(source)
	s := situation{
		creating:  c.request.Old == nil,
		frozen:    c.request.New.Kind.Frozen,
		manual:    Manual(c.request.New),
		resume:    c.request.New.Labels[wellknown.Resume] == wellknown.True && !invalidSwitch(c.request.New),
		returned:  c.returned,
		excluded:  c.new.excluded[source],
		unclear:   c.unclear(source),
		ambiguous: c.ambiguous(source),
		versioned: versioned(fact),
		optional:  fact.Role == Absent && !c.sayings().needed[source],
		source:    source.Name,
		digest:    fact.Digest,
		old:       c.oldPin(source),
		labelled:  c.new.observed(source),
	}
	if c.request.Old != nil {
		s.observed = c.old.observed(source)
		s.observedLive = c.holds(source, s.observed)
	}
	s.in, s.pinned = c.saysOf(source, s.old)
	s.cameWith = c.cameWith(source, s)
	s.dropped = c.dropped(source, s)
	s.live = c.live(source, s.in, s.old)
	s.exists = s.pinned && (s.in == s.live || c.is(s.in, source))
	s.agrees = s.labelled != "" && (s.labelled == snapshot.Suffix(s.in) || c.of(source, s.in, s.labelled))
	return s
}

// versioned says whether a source is, or may come back so.
func versioned(fact Fact) bool { return fact.Role == Source || fact.Role == Absent }

// unclear says whether nobody can tell if a source is to be pinned.
func (c *Case) unclear(source refs.Target) bool {
	return invalidSwitch(c.request.New) || c.fact(source).Invalid != ""
}

// unversioned says whether a source isn't to be pinned because nobody versions it.
func (c *Case) unversioned(source refs.Target) bool {
	return !versioned(c.fact(source)) && !c.unclear(source)
}

// saysOf is what the new template says of a source. A snapshot beside the
// source's own name counts if it is new; else somebody is un-pinning, ref by
// ref, what we pinned. What is left alone may name several things: which of them
// is called its pin must then not depend on what was there before.
func (c *Case) saysOf(source refs.Target, old string) (name string, pinned bool) {
	names, left := c.sayings().names[source], c.new.excluded[source] || c.ambiguous(source)
	if name := c.new.pins[source]; left && names[name] {
		return name, true
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if name != source.Name && (left || name != old || !names[source.Name]) {
			return name, true
		}
	}
	return source.Name, false
}

// ambiguous says whether the template names several snapshots of a source, the
// same as before: then a write that has nothing to do with them isn't denied. Of a source
// that isn't versioned, neither its name nor a snapshot beside it is taken for the other's.
func (c *Case) ambiguous(source refs.Target) bool {
	snapshots := c.snapshots(source)
	if c.unversioned(source) && c.sayings().names[source][source.Name] && len(snapshots) > 0 {
		return true
	}
	return c.request.Old != nil && len(snapshots) > 1 && maps.Equal(c.sayings().before[source], c.sayings().names[source])
}

// snapshots are the names, other than the source's own, that the new template
// has for a source.
func (c *Case) snapshots(source refs.Target) []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(c.sayings().names[source])) {
		if name != source.Name {
			names = append(names, name)
		}
	}
	return names
}

// oldPin is the snapshot of source that the old template names. Where it names
// several, its pins say which of them counts.
func (c *Case) oldPin(source refs.Target) string {
	names := c.sayings().before[source]
	if name := c.old.pins[source]; names[name] {
		return name
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if name != source.Name {
			return name
		}
	}
	return ""
}

// live is the current snapshot of source. A snapshot that the template names
// and that holds the same is the current one, whatever its name.
func (c *Case) live(source refs.Target, candidates ...string) string {
	fact := c.fact(source)
	if fact.Role != Source {
		return ""
	}
	for _, name := range candidates {
		if name != "" && c.is(name, source) && c.facts[refs.Target{Kind: source.Kind, Name: name}].Digest == fact.Digest {
			return name
		}
	}
	return fact.Current
}

// holds says whether a suffix is of what a source holds now, or of what a snapshot
// of another key holds.
func (c *Case) holds(source refs.Target, suffix string) bool {
	fact := c.fact(source)
	if fact.holds(suffix) {
		return true
	}
	name := snapshot.Name(source.Name, suffix)
	return suffix != "" && c.is(name, source) && c.facts[refs.Target{Kind: source.Kind, Name: name}].Digest == fact.Digest
}

// of says whether a suffix is of what a snapshot holds.
func (c *Case) of(source refs.Target, name, suffix string) bool {
	fact := c.facts[refs.Target{Kind: source.Kind, Name: name}]
	if current := c.fact(source); fact.Role != Snapshot && name == current.Current {
		fact.Digest = current.Digest
	}
	return strings.HasPrefix(fact.Digest, suffix)
}

// cameWith says whether a new workload was pinned where it comes from, and would
// still be if it had stayed there: because its template can't change, because only
// deploys change it, or because it was held. What it names may come back after it.
func (c *Case) cameWith(source refs.Target, s situation) bool {
	return s.creating && s.pinned && c.new.pins[source] == s.in &&
		(s.frozen || s.manual || c.holds(source, s.labelled))
}

// dropped says whether the written object names a source itself as admission lets go
// of one: there are pins, and none of it any more.
func (c *Case) dropped(source refs.Target, s situation) bool {
	_, annotated := c.new.object.Template.Annotations[wellknown.Pins]
	return s.optional && s.old != "" && !s.pinned && annotated && c.new.pins[source] == "" && s.labelled == ""
}

func (c *Case) is(name string, source refs.Target) bool {
	fact := c.facts[refs.Target{Kind: source.Kind, Name: name}]
	return fact.Role == Snapshot && fact.Of == source.Name
}

// deploy says whether a changed template comes in. It matters only where the
// template names a source by its own name, so it isn't looked at elsewhere.
func (c *Case) deploy(situations []situation) bool {
	if c.request.Old == nil || !slices.ContainsFunc(situations, func(s situation) bool { return !s.pinned }) {
		return false
	}
	return !sameRest(c.new, c.old, c.request.Hashes, c.saidSource)
}

// rehashed says whether a changed hash of config is what makes a deploy. Only deploys
// change the pins of a workload whose rollout is manual, and a chart that changes
// nothing but its config is one; others follow their source anyway. After an undo it is
// the hash that came with what was undone.
func (c *Case) rehashed(s situation) bool {
	return s.manual && !s.pinned && !s.held() &&
		!sameHashes(c.new.object.Template, c.old.object.Template, c.request.Hashes)
}
