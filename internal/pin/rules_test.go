package pin

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestOrderOfRules has a row for each two neighbours that can apply to one situation: the
// first of them decides. The others exclude each other: NotVersioned and Gone by whether
// something is rolled back; Created and Outdated since nothing that is new was answered
// before; Outdated, RolledBack, Deployed and Undone by whether the template is outdated,
// and names a snapshot.
func TestOrderOfRules(t *testing.T) {
	const one, two = "app-111111111111", "app-222222222222"
	for name, test := range map[string]struct {
		s    situation
		want Reason
	}{
		"a template that can't change names several": {
			situation{frozen: true, ambiguous: true, pinned: true, in: two, old: one},
			ReasonFrozen,
		},
		"several snapshots come in beside a label that somebody edited": {
			situation{ambiguous: true, pinned: true, exists: true, versioned: true, in: two, old: two, live: two, incoming: "222222222222", agrees: true},
			ReasonAmbiguous,
		},
		"our own answer has what is excluded": {
			situation{excluded: true, pinned: true, exists: true, versioned: true, in: two, old: one, live: two, incoming: "222222222222", agrees: true},
			ReasonSeenAgain,
		},
		"what is excluded isn't versioned": {
			situation{excluded: true, pinned: true, exists: true, in: one, old: one},
			ReasonExcluded,
		},
		"somebody resumes with a snapshot that is gone, of a source that is": {
			situation{resume: true, pinned: true, versioned: true, in: two, old: one},
			ReasonGone,
		},
		"a new workload that names a snapshot gives up every hold": {
			situation{creating: true, resume: true, pinned: true, exists: true, versioned: true, in: one, live: two},
			ReasonResumed,
		},
		"a new workload names a snapshot": {
			situation{creating: true, pinned: true, exists: true, versioned: true, in: one, live: two},
			ReasonRestored,
		},
		"only deploys move a workload of which another source is rolled back": {
			situation{manual: true, undo: true, pinned: true, exists: true, versioned: true, in: one, old: one, live: two},
			ReasonUndone,
		},
		"only deploys move a workload that was taken back": {
			situation{manual: true, pinned: true, exists: true, versioned: true, in: one, old: one, live: two, observed: "222222222222", offered: true},
			ReasonManual,
		},
		"a manifest is applied again that names the source of a hold": {
			situation{versioned: true, in: "app", old: one, live: two, observed: "222222222222", offered: true},
			ReasonHeld,
		},
		"a manifest is applied again": {
			situation{versioned: true, in: "app", old: one, live: two},
			ReasonReapplied,
		},
	} {
		t.Run(name, func(t *testing.T) {
			test.s.source = "app"
			first := slices.IndexFunc(rules, func(r rule) bool { return r.applies(test.s) })
			assert.True(t, rules[first+1].applies(test.s), "its neighbour would decide otherwise")
			assert.Equal(t, test.want, decide(test.s).reason)
		})
	}
}

// TestAnswersOfNeighbours: what the order decides about, beside the reason.
func TestAnswersOfNeighbours(t *testing.T) {
	const one, two = "app-111111111111", "app-222222222222"
	several := situation{ambiguous: true, pinned: true, exists: true, versioned: true, in: two, old: two, live: two, observed: "111111111111", incoming: "222222222222", agrees: true}
	assert.Equal(t, answer{name: two, observed: "111111111111", reason: ReasonAmbiguous}, decide(several), "the label is OLD's")

	excluded := several
	excluded.ambiguous, excluded.excluded = false, true
	assert.Equal(t, answer{name: two, observed: "222222222222", reason: ReasonSeenAgain}, decide(excluded), "the label is ours")

	resumed := situation{creating: true, resume: true, pinned: true, exists: true, versioned: true, in: one, live: two}
	assert.Equal(t, answer{name: two, observed: "222222222222", reason: ReasonResumed}, decide(resumed))

	gone := situation{pinned: true, versioned: true, in: two, old: two, live: one, incoming: "222222222222", agrees: true}
	gone.old = one
	assert.Equal(t, ReasonGone, decide(gone).reason, "an exported manifest whose snapshot is gone names nothing")
}
