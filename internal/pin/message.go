package pin

import (
	"fmt"
	"strings"
	"unicode"

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
	clean := make([]any, len(names))
	for i, name := range names {
		clean[i] = printable(fmt.Sprint(name))
	}
	sentence := fmt.Sprintf(format, clean...)
	for limit := maxWarning; len(sentence) > maxWarning && limit > len(ellipsis); limit-- {
		short := make([]any, len(clean))
		for i, name := range clean {
			short[i] = shorten(name.(string), limit)
		}
		sentence = fmt.Sprintf(format, short...)
	}
	return sentence
}

// printable puts a space for what isn't printed, and for more than one. A refusal has the words of
// somebody else's webhook or policy, and the API server sends no warning that has a
// control character or isn't UTF-8 (k8s.io/apimachinery/pkg/util/net, NewWarningHeader).
func printable(text string) string {
	return strings.Join(strings.FieldsFunc(strings.ToValidUTF8(text, " "), func(r rune) bool {
		return !unicode.IsPrint(r) || r == ' '
	}), " ")
}

const ellipsis = "..."

// shorten cuts a text to limit bytes, in the middle: names differ at their ends. No
// character is cut in two.
func shorten(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	keep := limit - len(ellipsis)
	head := strings.ToValidUTF8(text[:keep/2], "")
	tail := strings.ToValidUTF8(text[len(text)-(keep-keep/2):], "")
	return head + ellipsis + tail
}

// switchWarnings are about values of switches that nobody understands.
func switchWarnings(o workload.Object) []string {
	if Releases(o) { // which is no person's word
		return nil
	}
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
		warnings = append(warnings, warn("annotation "+wellknown.Exclude+": %q is not of the form configmap/NAME or secret/NAME", invalid[0]))
	}
	return warnings
}

func keptWarning(source refs.Target, name string) string {
	return warn("%s does not exist: its pin %s is kept", source, name)
}

// warnings tell what happened, and nothing when nothing did.
func (c *Case) warnings(outcomes []Outcome) []string {
	var warnings []string
	written := c.request.Old == nil || c.request.New.Template.Spec != c.request.Old.Template.Spec ||
		c.request.New.Template.Metadata != c.request.Old.Template.Metadata ||
		c.request.New.Labels[wellknown.Enabled] != c.request.Old.Labels[wellknown.Enabled] // by whoever opts it in
	for _, outcome := range outcomes {
		if sentence := c.warning(outcome); sentence != "" && (written || outcome.Ended || outcome.Name != outcome.old) {
			warnings = append(warnings, sentence)
		}
	}
	if !written {
		return warnings
	}
	seen := map[refs.Target]bool{}
	for _, ref := range c.new.refs {
		sentence := c.refWarning(ref)
		if sentence != "" && !seen[ref.Target] {
			warnings = append(warnings, sentence)
			seen[ref.Target] = true
		}
	}
	return warnings
}

// refWarning tells of a ref that will name no snapshot although somebody may think so.
func (c *Case) refWarning(ref refs.Ref) string {
	fact := c.fact(ref.Target)
	source, known := c.source(ref.Target)
	switch {
	case known && ref.Repeated && ref.Name == source.Name && !c.new.excluded[source]:
		return warn("%s: env %s is in container %s more than once, so it is not pinned there", source, ref.Place.Item, ref.Place.Owner)
	case ref.Kind == wellknown.Secret: // whoever may not read Secrets isn't to learn which there are
		return ""
	case fact.Invalid != "":
		return warn(`%s: annotation `+wellknown.Versioned+` is %q, not "true" or "false"`, ref.Target, fact.Invalid)
	case fact.Role == Absent && !known && !ref.Optional:
		return warn("%s does not exist: its refs are left as they are", ref.Target)
	}
	return ""
}

func (c *Case) warning(o Outcome) string {
	switch o.Reason {
	case ReasonHeld:
		return c.heldWarning(o)
	case ReasonUnavailable:
		return c.unavailableWarning(o)
	case ReasonAmbiguous:
		if c.unversioned(o.Source) {
			return warn("%s: it is named beside a snapshot of it, and not versioned, so neither is changed", o.Source)
		}
		return warn("%s: several snapshots are named, so none is changed: name one, or %s itself", o.Source, o.Source.Name)
	case ReasonExcluded, ReasonNotVersioned:
		if o.old != "" && !o.Pinned() {
			return warn("%s is not pinned any more", o.Source)
		}
		return ""
	case ReasonUnclear: // what isn't understood is told
		return ""
	case ReasonRestored:
		return c.waitingWarning(o)
	case ReasonDropped:
		return warn("%s does not exist, and its refs are optional: Pods start without it", o.Source)
	case ReasonRepeated:
		return warn("%s is not pinned any more", o.Source)
	case ReasonOutdated:
		return warn("%s: pinned to %s, not %s: to roll back, use kubectl rollout undo", o.Source, o.Name, o.In)
	case ReasonRolledBack, ReasonManual:
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
func (c *Case) unmarked() bool {
	_, has := c.new.object.Template.Annotations[wellknown.Pins]
	return !has && len(c.old.pins) > 0
}

// heldWarning tells where a workload is held. Whoever takes one back that was still
// behind may not know what the source holds by now.
func (c *Case) heldWarning(o Outcome) string {
	before := c.old.observed(o.Source)
	if o.Reason == ReasonRolledBack && before != "" && !c.holds(o.Source, before) {
		return warn("%s: held at %s; %s is newer: "+resumes, o.Source, o.Name, o.Live, c.kind())
	}
	return warn("%s: held at %s; to end it, "+resumes, o.Source, o.Name, c.kind())
}

// resumes is what to do to give up a hold, or a wait. The key is no name, so that it is
// never cut.
const resumes = "label the %s " + wellknown.Resume + "=true"

// kind is what kubectl calls the workload's kind.
func (c *Case) kind() string { return strings.ToLower(c.request.New.Kind.Kind) }

// waitingWarning tells that a restored workload came before its snapshot.
func (c *Case) waitingWarning(o Outcome) string {
	switch {
	case c.facts[refs.Target{Kind: o.Source.Kind, Name: o.Name}].Role != Absent, o.Name == o.Live:
		return ""
	case c.request.New.Kind.Frozen:
		return warn("%s: Pods wait for %s, which is not there", o.Source, o.Name)
	default:
		return warn("%s: waiting for %s; to go on without it, "+resumes, o.Source, o.Name, c.kind())
	}
}

func (c *Case) unavailableWarning(o Outcome) string {
	switch {
	case o.Problem != "" && o.Ended:
		return warn("%s: no snapshot can be made; %s is kept until one can: %s", o.Source, o.Name, o.Problem)
	case o.Problem != "" && o.old != "":
		return warn("%s: no snapshot can be made; %s is kept: %s", o.Source, o.Name, o.Problem)
	case o.Problem != "":
		return warn("%s: no snapshot can be made, so it is not pinned: %s", o.Source, o.Problem)
	case o.Ended:
		return warn("%s does not exist: its pin %s is kept until it does", o.Source, o.Name)
	case o.old != "" && c.fact(o.Source).Role == Absent && !c.sayings().needed[o.Source]:
		return warn("%s does not exist: %s is kept; to go without it, "+resumes, o.Source, o.Name, c.kind())
	case o.old != "":
		return keptWarning(o.Source, o.Name)
	case o.Source.Kind == wellknown.Secret: // as in refWarning
		return ""
	default:
		return warn("%s does not exist: its refs are left as they are", o.Source)
	}
}

// denial says why the request can't be admitted, and what to do.
func (c *Case) denial(outcomes []Outcome) string {
	object := c.kind() + "/" + c.request.New.Name
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
