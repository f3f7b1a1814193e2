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

// invalidSwitch says whether nobody can tell if the object asks to be pinned. Until
// somebody says so it keeps the pins that it had, and gets no others.
func invalidSwitch(o workload.Object) bool {
	value, said := o.Labels[wellknown.Enabled]
	return said && value != wellknown.True && value != wellknown.False && !Releases(o)
}

// Releases says whether the written object carries the label that asks to be opted out as
// if it carried none.
func Releases(o workload.Object) bool { return o.Labels[wellknown.Enabled] == wellknown.Released }

// Manual says whether only deploys change the pins. A value that nobody understands
// holds back what one that is understood might.
func Manual(o workload.Object) bool {
	_, said := o.Labels[wellknown.Rollout]
	return said
}

// copyWarnings tell whoever labelled a template's objects, and not the workload that
// they are made from, that nothing is pinned by that. That workload itself, which
// isn't opted in, is never seen.
func copyWarnings(r Request) []string {
	_, pinned := r.New.Template.Annotations[wellknown.Pins]
	if r.Old != nil || pinned || r.New.Labels[wellknown.Enabled] != wellknown.True {
		return nil
	}
	return []string{warn("label %s pins no copy of a template: label %s itself", wellknown.Enabled, r.New.CopyOf)}
}

// course is what is to be done about a request. It can be told before anything is known
// of what the request names.
type course int

const (
	none      course = iota // it is being deleted
	copied                  // whatever it is made from is pinned, or isn't
	misspelt                // nobody can tell whether it is opted in, and nothing is pinned
	consuming               // nothing is pinned, and nobody asks that it is
	releasing               // it is opted out
	restoring               // its template can't change any more
	pinning
)

// asks says whether what the request names has to be known.
func (c course) asks() bool { return c >= releasing }

func courseOf(r Request) course {
	switch {
	case r.New.Terminating:
		return none
	case r.New.Copied():
		return copied
	case r.Old != nil && r.New.Kind.Frozen && (ours(*r.Old) || ours(r.New) || optedIn(r)):
		// Whoever is opted in: the API server would refuse a manifest that names sources,
		// or another template of ours, and with it the whole request.
		return restoring
	case optedIn(r):
		return pinning
	case invalidSwitch(r.New) && r.Old != nil && ours(*r.Old):
		return pinning // as far as it was
	case invalidSwitch(r.New):
		return misspelt
	case ours(r.New):
		return releasing
	default:
		return consuming
	}
}

// ours says whether the object carries anything that admission wrote.
func ours(o workload.Object) bool {
	_, pinned := o.Template.Annotations[wellknown.Pins]
	return pinned || Offered(o.Labels)
}

// Offered says whether labels are those of a workload that admission has pinned, and never
// released.
func Offered(labels map[string]string) bool {
	for key := range labels {
		if strings.HasPrefix(key, wellknown.ObservedPrefix) {
			return true
		}
	}
	return false
}

// release puts the names of sources back and takes our keys off. A pin whose
// source is gone is kept: it is the only content that is left.
func (c *Case) release() Decision {
	var decision Decision
	told := map[refs.Target]bool{}
	decision.Patch = renames(c.new, func(ref refs.Ref) string {
		source, known := c.saidSource(ref.Target)
		if !known {
			return ref.Name
		}
		if c.fact(source).Role == Absent {
			if !told[source] {
				decision.Warnings = append(decision.Warnings, keptWarning(source, ref.Name))
			}
			told[source] = true
			return ref.Name
		}
		return source.Name
	})
	decision.Patch = append(decision.Patch, unpinned(c.request.New)...)
	decision.Patch = append(decision.Patch, relabel(c.request.New, nil)...)
	return decision
}

// unpinned takes the pins off a template.
func unpinned(o workload.Object) []jsonpatch.Operation {
	if _, pinned := o.Template.Annotations[wellknown.Pins]; !pinned {
		return nil
	}
	pointer := o.Kind.Pointer() + "/metadata/annotations/" + escape(wellknown.Pins)
	return []jsonpatch.Operation{jsonpatch.NewOperation("remove", pointer, nil)}
}
