package pin

import (
	"fmt"
	"strings"

	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/wellknown"
	"github.com/configpin/configpin/internal/workload"
)

// maxWarning is the number of characters that a warning should have at most
// (k8s.io/api/admission/v1, AdmissionResponse.Warnings).
const maxWarning = 120

// warn fills a sentence with names, all cut to one length if that is what it
// takes to fit.
func warn(format string, names ...any) string {
	sentence := fmt.Sprintf(format, names...)
	for limit := maxWarning; len(sentence) > maxWarning && limit > len(ellipsis); limit-- {
		short := make([]any, len(names))
		for i, name := range names {
			short[i] = shorten(fmt.Sprint(name), limit)
		}
		sentence = fmt.Sprintf(format, short...)
	}
	return sentence
}

const ellipsis = "..."

// shorten cuts a name to limit characters, in the middle: names differ at
// their ends.
func shorten(name string, limit int) string {
	if len(name) <= limit {
		return name
	}
	keep := limit - len(ellipsis)
	head := keep / 2
	return name[:head] + ellipsis + name[len(name)-(keep-head):]
}

// switchWarnings are about values of switches that nobody understands.
func switchWarnings(o workload.Object) []string {
	var warnings []string
	for _, s := range []struct{ key, accepted string }{
		{wellknown.Enabled, `"true" or "false"`},
		{wellknown.Rollout, `"manual"`},
		{wellknown.Resume, `"true"`},
	} {
		if value, set := o.Labels[s.key]; set && !strings.Contains(s.accepted, `"`+value+`"`) {
			warnings = append(warnings, warn("label %s: %q is not one of its values: %s", s.key, value, s.accepted))
		}
	}
	if _, invalid := parseExclude(o.Template.Annotations[wellknown.Exclude]); len(invalid) > 0 {
		warnings = append(warnings, warn("annotation %s: %q is not of the form configmap/NAME or secret/NAME", wellknown.Exclude, invalid[0]))
	}
	return warnings
}

func keptWarning(source refs.Target, name string) string {
	return warn("%s does not exist: its pin %s is kept", source, name)
}

// warnings tell what happened, and nothing when nothing did.
func (c *requestCase) warnings(outcomes []Outcome) []string {
	var warnings []string
	written := c.request.Old == nil || c.request.New.Template.Spec != c.request.Old.Template.Spec ||
		c.request.New.Template.Metadata != c.request.Old.Template.Metadata ||
		c.request.New.Labels[wellknown.Enabled] != c.request.Old.Labels[wellknown.Enabled] // by whoever opts it in
	for _, outcome := range outcomes {
		if sentence := c.warning(outcome); sentence != "" && (written || outcome.Name != outcome.old) {
			warnings = append(warnings, sentence)
		}
	}
	if !written {
		return warnings
	}
	seen := map[refs.Target]bool{}
	for _, ref := range c.new.refs {
		fact := c.facts[ref.Target]
		_, known := c.source(ref.Target)
		switch {
		case seen[ref.Target]:
		case ref.Kind == wellknown.Secret: // whoever may not read Secrets isn't to learn which there are
		case fact.Invalid != "":
			warnings = append(warnings, warn(`%s: annotation %s is %q, not "true" or "false"`, ref.Target, wellknown.Versioned, fact.Invalid))
		case fact.Role == Absent && !known && !ref.Optional:
			warnings = append(warnings, warn("%s does not exist: its refs are left as they are", ref.Target))
		}
		seen[ref.Target] = true
	}
	return warnings
}

func (c *requestCase) warning(o Outcome) string {
	switch o.Reason {
	case ReasonHeld:
		return c.heldWarning(o)
	case ReasonUnavailable:
		return c.unavailableWarning(o)
	case ReasonAmbiguous:
		return warn("%s: several snapshots are named, so none is changed: name one, or %s itself", o.Source, o.Source.Name)
	case ReasonExcluded, ReasonNotVersioned:
		if o.old != "" && !o.Pinned() {
			return warn("%s is not pinned any more", o.Source)
		}
		return ""
	case ReasonRestored:
		return c.waitingWarning(o)
	case ReasonRolledBack:
		if o.Held {
			return c.heldWarning(o)
		}
	}
	if o.Pinned() && (o.Name != o.old || c.unmarked()) && o.Reason != ReasonFrozen && o.Reason != ReasonSeenAgain {
		return warn("%s: pinned to %s", o.Source, o.Name)
	}
	return ""
}

// unmarked says whether a template comes in that knows of no pins, over one that
// does: from a revision older than the opt-in, most likely, for which nobody can
// bring back what the sources held.
func (c *requestCase) unmarked() bool {
	_, has := c.new.object.Template.Annotations[wellknown.Pins]
	return !has && len(c.old.pins) > 0
}

func (c *requestCase) heldWarning(o Outcome) string {
	return warn("%s: held at %s; to end it, label the %s %s=true",
		o.Source, o.Name, strings.ToLower(c.request.New.Kind.Kind), wellknown.Resume)
}

// waitingWarning tells that a restored workload came before its snapshot.
func (c *requestCase) waitingWarning(o Outcome) string {
	if c.facts[refs.Target{Kind: o.Source.Kind, Name: o.Name}].Role != Absent || o.Name == o.Live {
		return ""
	}
	kind := c.request.New.Kind
	if kind.Frozen {
		return warn("%s: Pods wait for %s, which is not there", o.Source, o.Name)
	}
	return warn("%s: waiting for %s; to go on without it, label the %s %s=true", o.Source, o.Name, strings.ToLower(kind.Kind), wellknown.Resume)
}

func (c *requestCase) unavailableWarning(o Outcome) string {
	switch {
	case o.Problem != "" && o.old != "":
		return warn("%s: no snapshot can be made; %s is kept: %s", o.Source, o.Name, o.Problem)
	case o.Problem != "":
		return warn("%s: no snapshot can be made, so it is not pinned: %s", o.Source, o.Problem)
	case o.old != "":
		return keptWarning(o.Source, o.Name)
	case o.Source.Kind == wellknown.Secret: // as in warnings
		return ""
	default:
		return warn("%s does not exist: its refs are left as they are", o.Source)
	}
}

// denial says why the request can't be admitted, and what to do.
func (c *requestCase) denial(outcomes []Outcome) string {
	object := strings.ToLower(c.request.New.Kind.Kind) + "/" + c.request.New.Name
	for _, outcome := range outcomes {
		switch outcome.Reason {
		case ReasonFrozen, ReasonAmbiguous, ReasonExcluded:
			continue
		}
		if several := c.snapshots(outcome.Source); len(several) > 1 {
			return fmt.Sprintf("%s refers to %d snapshots of %s: %s. Name one of them everywhere, or %q to use what it holds now.",
				object, len(several), outcome.Source, strings.Join(several, " and "), outcome.Source.Name)
		}
		if outcome.Reason == ReasonGone {
			return fmt.Sprintf("%s can't be rolled back to %s: there is no such snapshot of %s any more. "+
				"Choose another revision (kubectl rollout history %s), or apply a template that names %q to use what it holds now.",
				object, outcome.In, outcome.Source, object, outcome.Source.Name)
		}
	}
	return ""
}
