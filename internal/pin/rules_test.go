package pin

import (
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
		s             situation
		want, instead Reason
	}{
		"a template that can't change names several": {
			situation{frozen: true, ambiguous: true, pinned: true, in: two, old: one},
			ReasonFrozen, ReasonAmbiguous,
		},
		"several snapshots come in beside a label that somebody edited": {
			situation{ambiguous: true, pinned: true, exists: true, versioned: true, in: two, old: two, live: two, labelled: "222222222222", agrees: true},
			ReasonAmbiguous, ReasonSeenAgain,
		},
		"our own answer has what is excluded": {
			situation{excluded: true, pinned: true, exists: true, versioned: true, in: two, old: one, live: two, labelled: "222222222222", agrees: true},
			ReasonSeenAgain, ReasonExcluded,
		},
		"what is excluded isn't versioned": {
			situation{excluded: true, pinned: true, exists: true, in: one, old: one},
			ReasonExcluded, ReasonNotVersioned,
		},
		"somebody resumes with a snapshot that is gone, of a source that is": {
			situation{resume: true, pinned: true, versioned: true, in: two, old: one},
			ReasonGone, ReasonUnavailable,
		},
		"a new workload that names a snapshot gives up every hold": {
			situation{creating: true, resume: true, pinned: true, exists: true, versioned: true, in: one, live: two},
			ReasonResumed, ReasonRestored,
		},
		"a new workload names a snapshot": {
			situation{creating: true, pinned: true, exists: true, versioned: true, in: one, live: two},
			ReasonRestored, ReasonCreated,
		},
		"only deploys move a workload of which another source is rolled back": {
			situation{manual: true, undo: true, pinned: true, exists: true, versioned: true, in: one, old: one, live: two},
			ReasonUndone, ReasonManual,
		},
		"only deploys move a workload that was taken back": {
			situation{manual: true, pinned: true, exists: true, versioned: true, in: one, old: one, live: two, observed: "222222222222", observedLive: true},
			ReasonManual, ReasonHeld,
		},
		"a manifest is applied again that names the source of a hold": {
			situation{versioned: true, in: "app", old: one, live: two, observed: "222222222222", observedLive: true},
			ReasonHeld, ReasonReapplied,
		},
		"a manifest is applied again": {
			situation{versioned: true, in: "app", old: one, live: two},
			ReasonReapplied, ReasonTouched,
		},
	} {
		t.Run(name, func(t *testing.T) {
			test.s.source = "app"
			assert.Equal(t, test.want, decide(test.s).reason)
			var reasons []Reason
			for _, rule := range rules {
				if answer, applies := rule(test.s); applies {
					reasons = append(reasons, answer.reason)
				}
			}
			assert.Equal(t, []Reason{test.want, test.instead}, reasons[:2], "without the first, the second would")
		})
	}
}

// TestAnswersOfNeighbours: what the order decides about, beside the reason.
func TestAnswersOfNeighbours(t *testing.T) {
	const one, two = "app-111111111111", "app-222222222222"
	several := situation{ambiguous: true, pinned: true, exists: true, versioned: true, in: two, old: two, live: two, observed: "111111111111", labelled: "222222222222", agrees: true}
	assert.Equal(t, answer{name: two, observed: "111111111111", reason: ReasonAmbiguous}, decide(several), "the label is OLD's")

	excluded := several
	excluded.ambiguous, excluded.excluded = false, true
	assert.Equal(t, answer{name: two, observed: "222222222222", reason: ReasonSeenAgain}, decide(excluded), "the label is ours")

	resumed := situation{creating: true, resume: true, pinned: true, exists: true, versioned: true, in: one, live: two}
	assert.Equal(t, answer{name: two, observed: "222222222222", reason: ReasonResumed}, decide(resumed))

	gone := situation{pinned: true, versioned: true, in: two, old: two, live: one, labelled: "222222222222", agrees: true}
	gone.old = one
	assert.Equal(t, ReasonGone, decide(gone).reason, "an exported manifest whose snapshot is gone names nothing")
}

func TestWhatIsHeldRolledBackAndUndone(t *testing.T) {
	const one, two = "app-111111111111", "app-222222222222"
	assert.False(t, situation{old: one, observedLive: true}.held(), "without live there is nothing to be held from")
	back := situation{pinned: true, versioned: true, exists: true, in: two, old: one}
	assert.True(t, back.rolledBack())
	assert.True(t, back.undoes())
	for name, change := range map[string]func(*situation){
		"it is new":                 func(s *situation) { s.creating = true },
		"its template can't change": func(s *situation) { s.frozen = true },
		"it names several":          func(s *situation) { s.ambiguous = true },
		"it names the source":       func(s *situation) { s.pinned = false },
		"it names what it did":      func(s *situation) { s.in = one },
	} {
		s := back
		change(&s)
		assert.False(t, s.rolledBack(), name)
		assert.False(t, s.undoes(), name)
	}
	for name, change := range map[string]func(*situation){
		"the source isn't versioned": func(s *situation) { s.versioned = false },
		"the source is excluded":     func(s *situation) { s.excluded = true },
		"it is seen again":           func(s *situation) { s.live, s.labelled, s.agrees = "app-3", "222222222222", true },
	} {
		s := back
		change(&s)
		assert.True(t, s.rolledBack(), name)
		assert.False(t, s.undoes(), name)
	}
}

// TestAnswers has what the rules answer where several things are known at once.
func TestAnswers(t *testing.T) {
	const one, two, three = "app-111111111111", "app-222222222222", "app-333333333333"
	kept := answer{name: two, observed: "222222222222", reason: ReasonUnavailable, ended: true}
	for name, test := range map[string]struct {
		s    situation
		want answer
	}{
		"a Job keeps its name": {
			situation{frozen: true, pinned: true, in: two, old: one, observed: "1"},
			answer{name: one, observed: "1", reason: ReasonFrozen},
		},
		"a Job without a pin keeps its label": {
			situation{frozen: true, in: "app", observed: "1"},
			answer{name: "app", observed: "1", reason: ReasonFrozen},
		},
		"our own answer, of what is excluded by now, stays where it was": {
			situation{excluded: true, pinned: true, exists: true, versioned: true, in: one, old: two, live: two, labelled: "111111111111", agrees: true},
			answer{name: one, observed: "111111111111", reason: ReasonSeenAgain},
		},
		"an exported manifest of what is gone, as its source is": {
			situation{pinned: true, versioned: true, in: two, old: one, observed: "1", labelled: "222222222222", agrees: true},
			answer{name: two, observed: "1", reason: ReasonGone},
		},
		"a snapshot that is gone comes in with the wish to go on": {
			situation{resume: true, pinned: true, versioned: true, in: two, old: one, live: three},
			answer{name: three, observed: "333333333333", reason: ReasonResumed},
		},
		"a deploy elsewhere ends no hold": {
			situation{deploy: true, pinned: true, exists: true, versioned: true, in: one, old: one, live: two, observed: "222222222222", observedLive: true},
			answer{name: one, observed: "222222222222", reason: ReasonHeld},
		},
		"an undo elsewhere leaves no source un-pinned": {
			situation{undo: true, versioned: true, in: "app", old: one, live: two},
			answer{name: two, observed: "222222222222", reason: ReasonReapplied},
		},
		"what is left un-pinned has no label": {
			situation{excluded: true, versioned: true, in: "app", old: one, observed: "1"},
			answer{name: "app", reason: ReasonExcluded},
		},
		"somebody resumes at a snapshot, without a source": {
			situation{resume: true, pinned: true, exists: true, versioned: true, in: two, observed: "1"}, kept,
		},
		"somebody resumes at another snapshot, without a source": {
			situation{resume: true, pinned: true, exists: true, versioned: true, in: one, old: two, observed: "1"}, kept,
		},
		"somebody resumes at a snapshot of an optional source that is gone": {
			situation{resume: true, optional: true, pinned: true, exists: true, versioned: true, in: two, observed: "1"}, kept,
		},
		"somebody resumes without a pin or a source": {
			situation{resume: true, versioned: true, in: "app", observed: "1"},
			answer{name: "app", reason: ReasonUnavailable},
		},
	} {
		t.Run(name, func(t *testing.T) {
			test.s.source = "app"
			assert.Equal(t, test.want, decide(test.s))
		})
	}
}

func TestOffer(t *testing.T) {
	const one, two = "app-111111111111", "app-222222222222"
	long := "222222222222333333333333"
	for name, test := range map[string]struct {
		s    situation
		want string
	}{
		"it is there, and was offered it":       {situation{live: two, old: two, observed: "2", observedLive: true, digest: long}, "2"},
		"it is there, and was offered the like": {situation{live: two, old: two, observed: "222222222222", digest: long}, "222222222222"},
		"it was offered something else":         {situation{live: two, old: one, observed: "1", digest: long}, "222222222222"},
		"it was offered that, and stayed":       {situation{live: two, old: one, observed: "222222222222", observedLive: true, digest: long}, long},
		"there is no other length":              {situation{live: two, old: one, observed: "222222222222", observedLive: true, digest: "222222222222"}, "222222222222"},
	} {
		assert.Equal(t, test.want, test.s.offer(), name)
	}
}
