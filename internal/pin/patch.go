package pin

import (
	"maps"
	"slices"
	"strings"

	"github.com/tidwall/gjson"
	"gomodules.xyz/jsonpatch/v2"

	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/wellknown"
	"github.com/configpin/configpin/internal/workload"
)

// patch makes the written object what the outcomes say: names of refs, and our
// own keys, and nothing else.
func (c *Case) patch(outcomes []Outcome) []jsonpatch.Operation {
	pins := map[refs.Target]string{}
	names := map[refs.Target]string{}
	labels := map[string]string{}
	for _, outcome := range outcomes {
		if !c.new.excluded[outcome.Source] && outcome.Reason != ReasonAmbiguous {
			names[outcome.Source] = outcome.Name
		}
		if !outcome.Pinned() || c.mixed(outcome) {
			continue
		}
		pins[outcome.Source] = outcome.Name
		if outcome.Observed != "" {
			labels[snapshot.ObservedLabel(outcome.Source.Kind, outcome.Source.Name)] = outcome.Observed
		}
	}
	c.keepUnserved(pins, labels)
	c.keepHidden(pins, labels)
	operations := renames(c.new, func(ref refs.Ref) string {
		if name := c.hiddenPin(ref); name != "" {
			return name
		}
		source, _ := c.source(ref.Target)
		switch name, decided := names[source]; {
		case !decided || name == ref.Name:
			return ref.Name
		case ref.Repeated:
			return source.Name
		default:
			return name
		}
	})
	dropped := slices.ContainsFunc(outcomes, func(o Outcome) bool { return o.Reason == ReasonDropped })
	operations = append(operations, c.annotate(FormatPins(pins), dropped)...)
	if _, said := c.new.object.Labels[wellknown.Enabled]; !said {
		labels[wellknown.Enabled] = wellknown.True
	}
	if c.new.object.Labels[wellknown.Resume] == wellknown.True && invalidSwitch(c.new.object) {
		labels[wellknown.Resume] = wellknown.True // until somebody says what it is about
	}
	return append(operations, relabel(c.new.object, labels)...)
}

// keepUnserved leaves what is said of pins of kinds that aren't served any more, as
// long as the template has them: nobody is to roll out because of that.
func (c *Case) keepUnserved(pins map[refs.Target]string, labels map[string]string) {
	for _, ref := range c.new.refs {
		source, pinned := c.new.sources[ref.Target]
		if !pinned || c.fact(ref.Target).Role != Unserved || c.new.named[source] {
			continue
		}
		pins[source] = ref.Name
		label := snapshot.ObservedLabel(source.Kind, source.Name)
		if observed := c.new.object.Labels[label]; observed != "" {
			labels[label] = observed
		}
	}
}

// mixed says whether refs that are left alone, since the template excludes the source or
// nobody versions it, name the source as well as a snapshot of it. Such a source isn't
// called pinned: a policy refuses templates that begin to name a pinned one.
func (c *Case) mixed(o Outcome) bool {
	left := c.new.excluded[o.Source] || o.Reason == ReasonAmbiguous && c.unversioned(o.Source)
	return left && c.sayings().names[o.Source][o.Source.Name]
}

// putBack has what can't change name what it did for each source, ref by ref, and puts
// back our keys. Such a template has its refs where they were.
func (c *Case) putBack() []jsonpatch.Operation {
	before := map[string]refs.Ref{}
	for _, ref := range c.old.refs {
		before[ref.Pointer] = ref
	}
	operations := renames(c.new, func(ref refs.Ref) string {
		was, there := before[ref.Pointer]
		if !there {
			return ref.Name
		}
		source, pinned := c.saidSource(was.Target)
		if now, known := c.saidSource(ref.Target); pinned && known && now == source {
			return was.Name
		}
		return ref.Name
	})
	if pins, had := c.old.object.Template.Annotations[wellknown.Pins]; had {
		operations = append(operations, c.annotate(pins, false)...)
	} else {
		operations = append(operations, unpinned(c.new.object)...)
	}
	observed := map[string]string{}
	for key, value := range c.old.object.Labels {
		if strings.HasPrefix(key, wellknown.ObservedPrefix) {
			observed[key] = value
		}
	}
	return append(operations, relabel(c.new.object, observed)...)
}

func renames(s state, name func(refs.Ref) string) []jsonpatch.Operation {
	var operations []jsonpatch.Operation
	for _, ref := range s.refs {
		if to := name(ref); to != ref.Name {
			operations = append(operations, jsonpatch.NewOperation("replace", s.object.Kind.PointerOf(ref.Pointer), to))
		}
	}
	return operations
}

// annotate writes the pins. Once something was pinned the annotation stays,
// empty if need be: only so can it be told that nothing is pinned on purpose.
func (c *Case) annotate(pins string, wasPinned bool) []jsonpatch.Operation {
	have, has := c.new.object.Template.Annotations[wellknown.Pins]
	_, had := c.old.object.Template.Annotations[wellknown.Pins]
	if has && have == pins || pins == "" && !has && !had && !wasPinned {
		return nil
	}
	template := c.new.object.Template
	at := c.new.object.Kind.Pointer() + "/metadata"
	value := any(map[string]any{"annotations": map[string]any{wellknown.Pins: pins}})
	if template.Metadata != "" {
		at, value = at+"/annotations", map[string]any{wellknown.Pins: pins}
		if gjson.Get(template.Metadata, "annotations").IsObject() {
			at, value = at+"/"+escape(wellknown.Pins), pins
		}
	}
	return []jsonpatch.Operation{jsonpatch.NewOperation("add", at, value)}
}

// relabel leaves, of the labels that only admission writes, those in want, and
// adds what is missing.
func relabel(o workload.Object, want map[string]string) []jsonpatch.Operation {
	var operations []jsonpatch.Operation
	for _, key := range slices.Sorted(maps.Keys(o.Labels)) {
		if _, wanted := want[key]; !wanted && transient(key, o.Labels[key]) {
			operations = append(operations, jsonpatch.NewOperation("remove", "/metadata/labels/"+escape(key), nil))
		}
	}
	if !o.HasLabels && len(want) > 0 {
		return append(operations, jsonpatch.NewOperation("add", "/metadata/labels", want))
	}
	for _, key := range slices.Sorted(maps.Keys(want)) {
		if o.Labels[key] != want[key] {
			operations = append(operations, jsonpatch.NewOperation("add", "/metadata/labels/"+escape(key), want[key]))
		}
	}
	return operations
}

// transient says whether a label is not the person's to keep.
func transient(key, value string) bool {
	return strings.HasPrefix(key, wellknown.ObservedPrefix) ||
		key == wellknown.Resume && value == wellknown.True || key == wellknown.Enabled && value == wellknown.Released
}

var pointerEscaper = strings.NewReplacer("~", "~0", "/", "~1")

// escape escapes a key for a JSON pointer (RFC 6901).
func escape(key string) string { return pointerEscaper.Replace(key) }
