package pin

import (
	"maps"
	"slices"
	"strings"

	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/wellknown"
)

// requestCase is a request, read, together with what is known. It turns each
// source that the new template refers to into a situation.
type requestCase struct {
	request  Request
	facts    Facts
	new, old state
	names    map[refs.Target]map[string]bool // what the new template says of each source
	before   map[refs.Target]map[string]bool // what the old one says
	firm     map[refs.Target]bool            // of which the new template has a ref that isn't repeated
	needed   map[refs.Target]bool            // without which its Pods don't start
	pinned   map[refs.Target]bool            // that something is pinned for, in either template
}

func newCase(r Request, facts Facts) *requestCase {
	states := states(r)
	c := &requestCase{request: r, facts: facts, new: states[0], firm: map[refs.Target]bool{}, needed: map[refs.Target]bool{}}
	if r.Old != nil {
		c.old = states[1]
	}
	c.pinned = pinnedIn(facts, c.new, c.old)
	c.names, c.before = c.said(c.new), c.said(c.old)
	for _, ref := range c.new.refs {
		source, known := c.source(ref.Target)
		if !known {
			continue
		}
		c.firm[source] = c.firm[source] || !ref.Repeated
		c.needed[source] = c.needed[source] || !ref.Optional
	}
	return c
}

// said is what a template says of each source that it refers to. A repeated ref that
// names the source itself says nothing: it is left as it is.
func (c *requestCase) said(s state) map[refs.Target]map[string]bool {
	names := map[refs.Target]map[string]bool{}
	for _, ref := range s.refs {
		source, known := c.source(ref.Target)
		if !known || ref.Repeated && ref.Name == source.Name {
			continue
		}
		if names[source] == nil {
			names[source] = map[string]bool{}
		}
		names[source][ref.Name] = true
	}
	return names
}

// source returns the source that a target is, or is a snapshot of. What the
// cluster says counts first; a target that is gone, or that can't be told any
// more, is what the pins say it was.
func (c *requestCase) source(target refs.Target) (source refs.Target, known bool) {
	switch fact := c.facts[target]; fact.Role {
	case Unserved:
		return refs.Target{}, false
	case Source:
		return target, true
	case Snapshot:
		return refs.Target{Kind: target.Kind, Name: fact.Of}, true
	}
	if source, known = c.new.sources[target]; known {
		return source, true
	}
	if source, known = c.old.sources[target]; known {
		return source, true
	}
	// A name that something is pinned for is a source, even if it is gone by
	// now: its pin is kept.
	return target, c.pinned[target]
}

// saidSource is like source, but where a kind isn't served any more it takes the
// word of the pins.
func (c *requestCase) saidSource(target refs.Target) (source refs.Target, known bool) {
	if source, known = c.source(target); known {
		return source, true
	}
	for _, state := range []state{c.new, c.old} {
		if source, known = state.sources[target]; known {
			return source, true
		}
		if _, known = state.pins[target]; known {
			return target, true
		}
	}
	return refs.Target{}, false
}

// pinnedIn are the sources that states are pinned for: by what they say, or by what
// their refs name.
func pinnedIn(facts Facts, states ...state) map[refs.Target]bool {
	pinned := map[refs.Target]bool{}
	for _, state := range states {
		for source := range state.pins {
			pinned[source] = true
		}
		for _, ref := range state.refs {
			if fact := facts[ref.Target]; fact.Role == Snapshot {
				pinned[refs.Target{Kind: ref.Kind, Name: fact.Of}] = true
			}
		}
	}
	return pinned
}

// outcomes decides about every source, sorted.
func (c *requestCase) outcomes() []Outcome {
	sources, situations := c.situations()
	undo := slices.ContainsFunc(situations, situation.undoes)
	deploy := c.deploy(situations)
	outcomes := make([]Outcome, len(sources))
	for i, source := range sources {
		s := situations[i]
		s.undo, s.deploy = undo, deploy || c.rehashed(s)
		answer := decide(s)
		if !c.firm[source] && answer.name != s.in && answer.reason != ReasonFrozen {
			answer.name, answer.observed, answer.reason = source.Name, "", ReasonRepeated
		}
		outcomes[i] = Outcome{
			Source:   source,
			Name:     answer.name,
			Observed: answer.observed,
			Reason:   answer.reason,
			In:       s.in,
			Live:     s.live,
			Problem:  c.facts[source].Problem,
			Held:     answer.name != s.live && s.live != "" && c.offered(source, answer.observed),
			Ended:    answer.ended,
			old:      s.old,
		}
	}
	return outcomes
}

// situations are those of every source, sorted.
func (c *requestCase) situations() ([]refs.Target, []situation) {
	sources := slices.SortedFunc(maps.Keys(c.names), refs.Target.Compare)
	all := make([]situation, len(sources))
	for i, source := range sources {
		all[i] = c.situation(source)
	}
	return sources, all
}

func (c *requestCase) situation(source refs.Target) situation {
	fact := c.facts[source]
	s := situation{
		creating:  c.request.Old == nil,
		frozen:    c.request.New.Kind.Frozen,
		manual:    Manual(c.request.New),
		resume:    c.request.New.Labels[wellknown.Resume] == wellknown.True,
		returned:  c.request.Returned,
		excluded:  c.new.excluded[source],
		unclear:   invalidSwitch(c.request.New) || fact.Invalid != "",
		ambiguous: c.ambiguous(source),
		versioned: fact.Role == Source || fact.Role == Absent,
		optional:  fact.Role == Absent && !c.needed[source],
		source:    source.Name,
		digest:    fact.Digest,
		old:       c.oldPin(source),
		incoming:  c.new.observed(source),
	}
	if c.request.Old != nil {
		s.observed = c.old.observed(source)
		s.offered = c.offered(source, s.observed)
	}
	s.in, s.pinned = c.incoming(source, s.old)
	s.restored = c.restored(source, s)
	s.dropped = c.dropped(source, s)
	s.live = c.live(source, s.in, s.old)
	s.exists = s.pinned && (s.in == s.live || c.is(s.in, source))
	s.agrees = s.incoming != "" && (s.incoming == snapshot.Suffix(s.in) || c.of(source, s.in, s.incoming))
	return s
}

// incoming is what the new template says of a source. A snapshot beside the
// source's own name counts if it is new; else somebody is un-pinning, ref by
// ref, what we pinned. What is left alone may name several things: which of them
// is called its pin must then not depend on what was there before.
func (c *requestCase) incoming(source refs.Target, old string) (name string, pinned bool) {
	names, left := c.names[source], c.new.excluded[source] || c.ambiguous(source)
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
// same as before: then a write that has nothing to do with them isn't denied.
func (c *requestCase) ambiguous(source refs.Target) bool {
	return c.request.Old != nil && len(c.snapshots(source)) > 1 && maps.Equal(c.before[source], c.names[source])
}

// snapshots are the names, other than the source's own, that the new template
// has for a source.
func (c *requestCase) snapshots(source refs.Target) []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(c.names[source])) {
		if name != source.Name {
			names = append(names, name)
		}
	}
	return names
}

// oldPin is the snapshot of source that the old template names. Where it names
// several, its pins say which of them counts.
func (c *requestCase) oldPin(source refs.Target) string {
	names := c.before[source]
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
func (c *requestCase) live(source refs.Target, candidates ...string) string {
	fact := c.facts[source]
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

// offered says whether a suffix is of what a source holds now, or of what a snapshot
// of another key holds.
func (c *requestCase) offered(source refs.Target, suffix string) bool {
	fact := c.facts[source]
	if fact.offered(suffix) {
		return true
	}
	name := snapshot.Name(source.Name, suffix)
	return suffix != "" && c.is(name, source) && c.facts[refs.Target{Kind: source.Kind, Name: name}].Digest == fact.Digest
}

// of says whether a suffix is of what a snapshot holds.
func (c *requestCase) of(source refs.Target, name, suffix string) bool {
	fact := c.facts[refs.Target{Kind: source.Kind, Name: name}]
	if current := c.facts[source]; fact.Role != Snapshot && name == current.Current {
		fact.Digest = current.Digest
	}
	return strings.HasPrefix(fact.Digest, suffix)
}

// restored says whether a new workload was pinned where it comes from, and would
// still be if it had stayed there: because its template can't change, because only
// deploys change it, or because it was held. What it names may come back after it.
func (c *requestCase) restored(source refs.Target, s situation) bool {
	return s.creating && s.pinned && c.new.pins[source] == s.in &&
		(s.frozen || s.manual || c.offered(source, s.incoming))
}

// dropped says whether the written object names a source itself as admission lets go
// of one: there are pins, and none of it any more.
func (c *requestCase) dropped(source refs.Target, s situation) bool {
	_, annotated := c.new.object.Template.Annotations[wellknown.Pins]
	return s.optional && s.old != "" && !s.pinned && annotated && c.new.pins[source] == "" && s.incoming == ""
}

func (c *requestCase) is(name string, source refs.Target) bool {
	fact := c.facts[refs.Target{Kind: source.Kind, Name: name}]
	return fact.Role == Snapshot && fact.Of == source.Name
}

// deploy says whether a changed template comes in. It matters only where the
// template names a source by its own name, so it isn't looked at elsewhere.
func (c *requestCase) deploy(situations []situation) bool {
	if c.request.Old == nil || !slices.ContainsFunc(situations, func(s situation) bool { return !s.pinned }) {
		return false
	}
	return !sameRest(c.new, c.old, c.request.Hashes, c.saidSource)
}

// rehashed says whether a changed hash of config is what makes a deploy. Only deploys
// change the pins of a workload whose rollout is manual, and a chart that changes
// nothing but its config is one; others follow their source anyway. After an undo it is
// the hash that came with what was undone.
func (c *requestCase) rehashed(s situation) bool {
	return s.manual && !s.pinned && !s.held() &&
		!sameHashes(c.new.object.Template, c.old.object.Template, c.request.Hashes)
}
