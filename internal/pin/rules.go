package pin

import "github.com/configpin/configpin/internal/snapshot"

// Reason tells which rule decided about a source. Reasons appear in audit
// annotations and logs, and are part of the API.
type Reason string

// The reasons, in the order of the rules.
const (
	ReasonFrozen       Reason = "Frozen"       // the template can't change any more
	ReasonSeenAgain    Reason = "SeenAgain"    // our own answer, sent to us again
	ReasonAmbiguous    Reason = "Ambiguous"    // several snapshots are named, and were before
	ReasonExcluded     Reason = "Excluded"     // the template asks to leave it alone
	ReasonNotVersioned Reason = "NotVersioned" // the source isn't versioned any more
	ReasonGone         Reason = "Gone"         // a rollback to a snapshot that doesn't exist
	ReasonResumed      Reason = "Resumed"      // somebody gave up the hold
	ReasonRestored     Reason = "Restored"     // a new workload keeps the snapshot it names
	ReasonCreated      Reason = "Created"      // a new workload gets what the source holds
	ReasonRolledBack   Reason = "RolledBack"   // the template names another snapshot
	ReasonDeployed     Reason = "Deployed"     // a changed template names the source
	ReasonUndone       Reason = "Undone"       // another source is rolled back: stay, so that the undo finds its ReplicaSet
	ReasonManual       Reason = "Manual"       // only deploys change its pins
	ReasonHeld         Reason = "Held"         // pinned to something else than live, on purpose
	ReasonReapplied    Reason = "Reapplied"    // an unchanged template names the source
	ReasonTouched      Reason = "Touched"      // nothing but time passed
	ReasonUnavailable  Reason = "Unavailable"  // what the source holds can't be pinned
)

// situation is all that the rules know of one source in one request.
type situation struct {
	creating bool
	frozen   bool
	manual   bool
	resume   bool

	excluded  bool
	ambiguous bool // the template names several snapshots, the same as OLD's
	versioned bool // or absent: what is gone may come back as it was

	in     string // what the template says
	pinned bool   // in is a snapshot, not the source
	exists bool   // in is a snapshot that is there, or will be

	old  string // what OLD is pinned to, if anything
	live string // the snapshot of what the source holds now, if there can be one

	observed string // OLD's label
	offered  bool   // that label is of what the source holds now
	incoming string // the label in the written object

	restored bool // a new workload stays what it was where it comes from

	deploy bool // the rest of the template differs from OLD's
	undo   bool // the request rolls back a source
}

// held says whether the workload stays on something else than live although it
// was offered live: nobody but a person's undo can have done that.
func (s situation) held() bool {
	return s.old != "" && s.live != "" && s.old != s.live && s.offered
}

// rolledBack says whether the template brings in another snapshot.
func (s situation) rolledBack() bool {
	return !s.creating && !s.frozen && !s.ambiguous && s.pinned && s.in != s.old
}

// answer is what a rule says: the name, the observed label, the reason.
type answer struct {
	name, observed string
	reason         Reason
}

// rule is one row of the decision table.
type rule struct {
	applies func(situation) bool
	answer  func(situation) answer
}

// rules are tried in this order; the last one always applies.
var rules = []rule{
	{
		func(s situation) bool { return s.frozen && !s.creating },
		func(s situation) answer {
			if s.old == "" {
				return answer{s.in, s.observed, ReasonFrozen}
			}
			return answer{s.old, s.observed, ReasonFrozen}
		},
	},
	{
		func(s situation) bool {
			return !s.creating && s.exists && s.incoming != s.observed && s.incoming == snapshot.Suffix(s.in)
		},
		func(s situation) answer { return answer{s.in, s.incoming, ReasonSeenAgain} },
	},
	{
		func(s situation) bool { return s.ambiguous },
		func(s situation) answer { return s.leave(ReasonAmbiguous) },
	},
	{
		func(s situation) bool { return s.excluded },
		func(s situation) answer { return s.leave(ReasonExcluded) },
	},
	{
		func(s situation) bool { return !s.versioned && (s.creating || !s.rolledBack()) },
		func(s situation) answer { return s.leave(ReasonNotVersioned) },
	},
	{
		func(s situation) bool { return s.rolledBack() && !s.exists && (s.live == "" || !s.resume) },
		func(s situation) answer { return answer{s.in, s.observed, ReasonGone} },
	},
	{
		func(s situation) bool { return s.resume },
		func(s situation) answer { return s.forward(ReasonResumed) },
	},
	{
		func(s situation) bool { return s.creating && (s.exists || s.restored) },
		func(s situation) answer { return s.leave(ReasonRestored) },
	},
	{
		func(s situation) bool { return s.creating },
		func(s situation) answer { return s.forward(ReasonCreated) },
	},
	{
		func(s situation) bool { return s.rolledBack() },
		func(s situation) answer {
			if s.in == s.live || s.observed == "" {
				return answer{s.in, suffix(s.live), ReasonRolledBack}
			}
			return answer{s.in, s.observed, ReasonRolledBack}
		},
	},
	{
		func(s situation) bool { return !s.pinned && s.deploy },
		func(s situation) answer { return s.forward(ReasonDeployed) },
	},
	{
		func(s situation) bool { return s.pinned && s.undo },
		func(s situation) answer { return answer{s.old, s.observed, ReasonUndone} },
	},
	{
		func(s situation) bool { return s.manual && s.old != "" },
		func(s situation) answer { return answer{s.old, s.observed, ReasonManual} },
	},
	{
		situation.held,
		func(s situation) answer { return answer{s.old, s.observed, ReasonHeld} },
	},
	{
		func(s situation) bool { return !s.pinned },
		func(s situation) answer { return s.forward(ReasonReapplied) },
	},
	{
		func(situation) bool { return true },
		func(s situation) answer { return s.forward(ReasonTouched) },
	},
}

func decide(s situation) answer {
	for _, rule := range rules {
		if rule.applies(s) {
			return rule.answer(s)
		}
	}
	return answer{name: s.in} // never reached: the last rule always applies
}

// leave accepts what the template says. A pin that is kept keeps its label.
func (s situation) leave(reason Reason) answer {
	switch {
	case !s.pinned:
		return answer{s.in, "", reason}
	case !s.creating:
		return answer{s.in, s.observed, reason}
	case s.incoming != "":
		return answer{s.in, s.incoming, reason}
	default:
		return answer{s.in, snapshot.Suffix(s.in), reason}
	}
}

// forward pins to live. Where live can't be pinned, what the workload had is
// kept, and what was never pinned stays as it is: a Pod that could start before
// must still be able to.
func (s situation) forward(reason Reason) answer {
	switch {
	case s.live != "":
		return answer{s.live, snapshot.Suffix(s.live), reason}
	case s.old != "":
		return answer{s.old, s.observed, ReasonUnavailable}
	default:
		return s.leave(ReasonUnavailable)
	}
}

func suffix(name string) string {
	if name == "" {
		return ""
	}
	return snapshot.Suffix(name)
}
