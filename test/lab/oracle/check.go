package oracle

import (
	"fmt"
	"slices"
	"time"
)

// Violation is an invariant that didn't hold.
type Violation struct {
	Invariant string // as in "I4"
	Namespace string
	Object    string // as in "Deployment web"
	What      string
}

// String is one line for a person.
func (v Violation) String() string {
	return fmt.Sprintf("%s: %s in %s: %s", v.Invariant, v.Object, v.Namespace, v.What)
}

// Rules are what a test does on purpose, so that it is nobody's fault.
type Rules struct {
	// Absent are targets, as in "configmap/gone", that are referred to and that
	// are not there.
	Absent map[string]bool

	// Unkept are sources whose content can't be kept, or isn't to be any more:
	// ConfigMaps by their names, others as in "secret/db".
	Unkept map[string]bool

	// Unpinning says that somebody tries to un-pin workloads while the webhook is
	// away, or answers are taken back, which the policy refuses.
	Unpinning bool

	// Strict says that requests fail with the webhook.
	Strict bool

	// Tampering says that somebody tries to change or delete snapshots.
	Tampering bool

	// MinAge is how old a snapshot has to be before it is marked: the versioner's
	// --gc-min-age.
	MinAge time.Duration
}

func (r Rules) unkept(kind, name string) bool {
	return kind == configMap && r.Unkept[name] || r.Unkept[key(kind, name)]
}

// invariant is a rule that always holds, and how to find where it didn't.
type invariant struct {
	name, rule string

	// audited says that who did it matters, which only the audit log tells.
	audited bool

	// whole says that nothing can be said of a history with a gap.
	whole bool

	// sent are the requests of which it matters what was sent, which not every audit
	// log tells.
	sent func(Entry) bool

	find func(*record, Rules) []Violation
}

var invariants = []invariant{
	{name: "I1", rule: "what a template was pinned to is there", audited: true, whole: true, sent: Entry.deletes, find: lostPins},
	{name: "I1", rule: "what a source holds is kept", find: lostContents},
	{name: "I2", rule: "a snapshot never changes", find: changedSnapshots},
	{name: "I3", rule: "a snapshot's name is that of its content", find: misnamedSnapshots},
	{name: "I4", rule: "what is used isn't deleted", audited: true, whole: true, sent: Entry.deletes, find: deletedInUse},
	{name: "I4", rule: "what is deleted was marked in time", audited: true, whole: true, sent: Entry.deletes, find: deletedEarly},
	{name: "I4", rule: "what is named is there", find: dangling},
	{name: "I5", rule: "workloads have what their sources hold", find: behind},
	{name: "I5", rule: "who is held asked for it", whole: true, find: unasked},
	{name: "I6", rule: "there is a rollout per template at most", whole: true, find: rolledTwice},
	{name: "I6", rule: "there is one snapshot per content", find: keptTwice},
	{name: "I8", rule: "our programs write what is theirs alone", audited: true, whole: true, sent: Entry.touches, find: foreignWrites},
	{name: "I9", rule: "nobody's request is refused without a reason", audited: true, find: refusals},
	{name: "I10", rule: "nothing crosses a namespace", find: leaks},
}

// Check replays what happened in a namespace, up to a moment at which everything
// had converged, and returns what didn't hold, and which rules couldn't be
// checked and why. It doesn't check I7, I11 and I12: see Bounded, Compare and
// Oracle.Quiet.
func Check(h History, rules Rules) (found []Violation, skipped []Skip) {
	r := prepare(h)
	for _, i := range invariants {
		if reason, what := i.unknowable(r); reason != "" {
			skipped = append(skipped, Skip{i.name, i.rule, reason, what})
			continue
		}
		for _, v := range i.find(r, rules) {
			v.Invariant, v.Namespace = i.name, r.Namespace
			if !slices.Contains(found, v) {
				found = append(found, v)
			}
		}
	}
	return found, skipped
}

func (i invariant) unknowable(r *record) (reason Reason, what string) {
	switch {
	case i.audited && !r.Audited:
		return NoAuditLog, ""
	case i.whole && len(r.Gaps) > 0:
		return Gaps, fmt.Sprintf("%d gaps, the first in what was seen of %s", len(r.Gaps), r.Gaps[0].Kind)
	case i.sent != nil && slices.ContainsFunc(r.Audit, func(e Entry) bool { return !e.Told && i.sent(e) }):
		return Untold, ""
	}
	return "", ""
}

func breach(of Fact, format string, args ...any) Violation {
	return Violation{Object: of.String(), What: fmt.Sprintf(format, args...)}
}
