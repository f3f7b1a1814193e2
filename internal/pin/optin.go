package pin

import (
	"strings"

	"gomodules.xyz/jsonpatch/v2"

	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/wellknown"
	"github.com/configpin/configpin/internal/workload"
)

// optedIn says whether the written object asks to be pinned. A workload's own
// label wins over its namespace.
func optedIn(r Request) bool {
	value, said := r.New.Labels[wellknown.Enabled]
	if !said {
		return r.NamespaceEnabled
	}
	return value == wellknown.True
}

// invalidSwitch says whether nobody can tell if the object asks to be pinned.
// It is left as it is until somebody says so.
func invalidSwitch(o workload.Object) bool {
	value, said := o.Labels[wellknown.Enabled]
	return said && value != wellknown.True && value != wellknown.False
}

// restores says whether the names that the object had have to be put back,
// whoever is opted in: its template can't change any more, and a manifest that
// names sources would be refused for it.
func restores(r Request) bool { return r.Old != nil && r.New.Kind.Frozen && ours(*r.Old) }

// ours says whether the object carries anything that admission wrote.
func ours(o workload.Object) bool {
	if _, pinned := o.Template.Annotations[wellknown.Pins]; pinned {
		return true
	}
	for key := range o.Labels {
		if strings.HasPrefix(key, wellknown.ObservedPrefix) {
			return true
		}
	}
	return false
}

// release puts the names of sources back and takes our keys off. A pin whose
// source is gone is kept: it is the only content that is left.
func release(r Request, facts Facts) Decision {
	if !ours(r.New) {
		return Decision{}
	}
	c := newCase(r, facts)
	var decision Decision
	told := map[refs.Target]bool{}
	decision.Patch = renames(c.new, func(ref refs.Ref) string {
		source, known := c.saidSource(ref.Target)
		if !known {
			return ref.Name
		}
		if c.facts[source].Role == Absent {
			if !told[source] {
				decision.Warnings = append(decision.Warnings, keptWarning(source, ref.Name))
			}
			told[source] = true
			return ref.Name
		}
		return source.Name
	})
	if _, pinned := r.New.Template.Annotations[wellknown.Pins]; pinned {
		pointer := r.New.Kind.Pointer() + "/metadata/annotations/" + escape(wellknown.Pins)
		decision.Patch = append(decision.Patch, jsonpatch.NewOperation("remove", pointer, nil))
	}
	decision.Patch = append(decision.Patch, relabel(r.New, nil)...)
	return decision
}
