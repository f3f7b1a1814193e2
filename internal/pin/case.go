package pin

import (
	"fmt"
	"maps"
	"slices"

	"github.com/configpin/configpin/internal/refs"
)

// Case is a request with what is known of the objects that it names: a caller asks what
// is Wanted, and has it Learn that, until nothing is, and then has it Decide. New and Old
// of the request mustn't change meanwhile.
type Case struct {
	request  Request
	course   course
	new, old state
	facts    Facts
	returned bool     // the template is one that the workload had before
	sorted   *sayings // what the templates say, as far as facts tell
}

// NewCase returns the case of a request of which nothing is known yet.
func NewCase(r Request) *Case {
	c := &Case{request: r, course: courseOf(r), facts: Facts{}}
	found := refs.Walk(r.New.Template.Spec)
	c.new = read(r.New, found)
	if r.Old == nil {
		return c
	}
	// Most writes leave the spec of the template as it is, byte for byte: then one walk
	// serves both.
	if r.Old.Template.Spec != r.New.Template.Spec {
		found = refs.Walk(r.Old.Template.Spec)
	}
	c.old = read(*r.Old, found)
	return c
}

// Request is what the case is about.
func (c *Case) Request() Request { return c.request }

// Refs are those of the new template.
func (c *Case) Refs() []refs.Ref { return c.new.refs }

// Facts are what is known. They are the case's own, and not for others to change.
func (c *Case) Facts() Facts { return c.facts }

// Learn takes note of facts, beside those that are known, or instead of them.
func (c *Case) Learn(facts Facts) {
	maps.Copy(c.facts, facts)
	c.sorted = nil
}

// Ask learns all that Decide needs to know from whoever tells of targets, of each of them.
func (c *Case) Ask(tell func(targets []refs.Target) (Facts, error)) error {
	for targets := c.Wanted(); len(targets) > 0; targets = c.Wanted() {
		facts, err := tell(targets)
		if err != nil {
			return err
		}
		c.Learn(facts)
		for _, target := range targets {
			_ = c.fact(target)
		}
	}
	return nil
}

// Wanted returns the targets that Decide needs to know of and that nobody told of yet,
// sorted. What a snapshot turns out to be of may be wanted next.
func (c *Case) Wanted() []refs.Target {
	if !c.course.asks() {
		return nil
	}
	want := map[refs.Target]bool{}
	add := func(target refs.Target) {
		if c.facts[target].Role == unasked {
			want[target] = true
		}
	}
	for _, state := range []state{c.new, c.old} {
		for _, ref := range state.refs {
			add(ref.Target)
			if source, pinned := state.sources[ref.Target]; pinned {
				add(source)
			}
			if fact := c.facts[ref.Target]; fact.Role == Snapshot {
				add(refs.Target{Kind: ref.Kind, Name: fact.Of})
			}
		}
		for _, offered := range state.ofOtherKeys(c.facts) {
			add(offered)
		}
	}
	return slices.SortedFunc(maps.Keys(want), refs.Target.Compare)
}

// Hidden are the objects that may not be read, sorted.
func (c *Case) Hidden() []refs.Target {
	var hidden []refs.Target
	for target, fact := range c.facts {
		if fact.Hidden {
			hidden = append(hidden, target)
		}
	}
	slices.SortFunc(hidden, refs.Target.Compare)
	return hidden
}

// Decide answers the request. Deciding about its own answer changes nothing. It panics
// where something is Wanted still.
func (c *Case) Decide() Decision {
	r := c.request
	switch c.course {
	case none:
		return Decision{}
	case copied:
		return Decision{Warnings: copyWarnings(r)}
	case misspelt:
		return Decision{Warnings: switchWarnings(r.New)}
	case consuming:
		return Decision{Patch: relabel(r.New, nil)}
	case releasing:
		return c.release()
	}
	decision := Decision{Outcomes: c.outcomes(), Warnings: switchWarnings(r.New)}
	if decision.Denied = c.denial(decision.Outcomes); decision.Denied != "" {
		return Decision{Denied: decision.Denied, Outcomes: decision.Outcomes}
	}
	decision.Warnings = append(decision.Warnings, c.warnings(decision.Outcomes)...)
	decision.Warnings = append(decision.Warnings, c.hiddenWarnings()...)
	if c.course == restoring {
		decision.Patch = c.putBack()
	} else {
		decision.Patch = c.patch(decision.Outcomes)
	}
	return decision
}

// fact is what is known of something that is Wanted.
func (c *Case) fact(target refs.Target) Fact {
	fact := c.facts[target]
	if fact.Role == unasked {
		panic(fmt.Sprintf("deciding about %s %s/%s: nobody told what %s is", c.request.New.Kind.Kind, c.request.New.Namespace, c.request.New.Name, target))
	}
	return fact
}

// sayings are what templates say of sources.
type sayings struct {
	pinned map[refs.Target]bool            // that something is pinned for, in either template
	names  map[refs.Target]map[string]bool // what the new template says of each source
	before map[refs.Target]map[string]bool // what the old one says
	firm   map[refs.Target]bool            // of which the new template has a ref that isn't repeated
	needed map[refs.Target]bool            // without which its Pods don't start
}

func (c *Case) sayings() *sayings {
	if c.sorted != nil {
		return c.sorted
	}
	s := &sayings{pinned: pinnedIn(c.facts, c.new, c.old), firm: map[refs.Target]bool{}, needed: map[refs.Target]bool{}}
	c.sorted = s // what is pinned says which targets are sources
	s.names, s.before = c.said(c.new), c.said(c.old)
	for _, ref := range c.new.refs {
		source, known := c.source(ref.Target)
		if !known {
			continue
		}
		s.firm[source] = s.firm[source] || !ref.Repeated
		s.needed[source] = s.needed[source] || !ref.Optional
	}
	return s
}

// said is what a template says of each source that it refers to. A repeated ref that
// names the source itself says nothing: it is left as it is.
func (c *Case) said(s state) map[refs.Target]map[string]bool {
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
func (c *Case) source(target refs.Target) (source refs.Target, known bool) {
	switch fact := c.fact(target); fact.Role {
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
	return target, c.sayings().pinned[target]
}

// saidSource is like source, but where a kind isn't served any more it takes the
// word of the pins.
func (c *Case) saidSource(target refs.Target) (source refs.Target, known bool) {
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
