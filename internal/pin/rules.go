package pin

import "github.com/configpin/configpin/internal/snapshot"

// Reason tells which rule decided about a source. Reasons appear in audit
// annotations and logs, and are part of the API.
type Reason string

// The reasons, in the order of the rules.
const (
	ReasonFrozen       Reason = "Frozen"       // the template can't change any more
	ReasonAmbiguous    Reason = "Ambiguous"    // several snapshots are named, and were before
	ReasonSeenAgain    Reason = "SeenAgain"    // our own answer, sent to us again
	ReasonExcluded     Reason = "Excluded"     // the template asks to leave it alone
	ReasonUnclear      Reason = "Unclear"      // a switch has a value that nobody understands
	ReasonNotVersioned Reason = "NotVersioned" // the source isn't versioned any more
	ReasonGone         Reason = "Gone"         // a rollback to a snapshot that doesn't exist
	ReasonResumed      Reason = "Resumed"      // somebody gave up the hold
	ReasonRestored     Reason = "Restored"     // a new workload keeps the snapshot it names
	ReasonCreated      Reason = "Created"      // a new workload gets what the source holds
	ReasonOutdated     Reason = "Outdated"     // an exported manifest, or our own answer, from before the source changed
	ReasonRolledBack   Reason = "RolledBack"   // the template names another snapshot
	ReasonDeployed     Reason = "Deployed"     // a changed template names the source
	ReasonUndone       Reason = "Undone"       // another source is rolled back: stay, so that the undo finds its ReplicaSet
	ReasonManual       Reason = "Manual"       // only deploys change its pins
	ReasonHeld         Reason = "Held"         // pinned to something else than live, on purpose
	ReasonReapplied    Reason = "Reapplied"    // an unchanged template names the source
	ReasonTouched      Reason = "Touched"      // nothing but time passed
	ReasonUnavailable  Reason = "Unavailable"  // what the source holds can't be pinned
	ReasonDropped      Reason = "Dropped"      // the source was deleted, and Pods start without it
	ReasonRepeated     Reason = "Repeated"     // only variables name it whose names repeat
)

// situation is all that the rules know of one source in one request.
type situation struct {
	creating bool
	frozen   bool
	manual   bool
	resume   bool

	excluded  bool
	unclear   bool // nobody understands whether it is to be pinned
	ambiguous bool // the template names several snapshots, the same as OLD's
	versioned bool // or absent: what is gone may come back as it was
	optional  bool // it is gone, and Pods start without it

	source string // its own name
	in     string // what the template says
	pinned bool   // in is a snapshot, not the source
	exists bool   // in is a snapshot that is there, or will be

	old  string // what OLD is pinned to, if anything
	live string // the snapshot of what the source holds now, if there can be one

	digest string // of what the source holds now

	observed string // OLD's label
	offered  bool   // that label is of what the source holds now
	incoming string // the label in the written object
	agrees   bool   // that label is of what the written object names
	dropped  bool   // admission let go of it in the written object

	restored bool // a new workload stays what it was where it comes from

	deploy   bool // the rest of the template differs from OLD's
	undo     bool // the request rolls back a source
	returned bool // the template is one that the workload had before
}

// held says whether the workload stays on something else than live although it
// was offered live: nobody but a person's undo can have done that.
func (s situation) held() bool {
	return s.old != "" && s.live != "" && s.old != s.live && s.offered
}

// behind says whether a template that names what OLD is pinned to would be moved to
// what the source holds.
func (s situation) behind() bool {
	return !s.manual && !s.excluded && !s.unclear && !s.ambiguous && !s.resume &&
		s.in == s.old && s.live != "" && s.live != s.old && !s.held()
}

// unpinned says whether the template names the source itself, and isn't to.
func (s situation) unpinned() bool { return !s.pinned && !s.excluded }

// rolledBack says whether the template brings in another snapshot.
func (s situation) rolledBack() bool {
	return !s.creating && !s.frozen && !s.ambiguous && s.pinned && s.in != s.old
}

// seenAgain says whether the template comes together with the label that our answer
// to it would have had. That is our own answer, sent again; or an exported manifest,
// put back. One whose snapshot is gone is neither: it would name nothing.
func (s situation) seenAgain() bool {
	if s.creating || s.dropped {
		return s.dropped
	}
	return s.incoming != s.lastOffer() && s.agrees && s.pinned && (s.exists || s.in == s.old)
}

// lastOffer is OLD's label, of what is pinned. Of what isn't, because something takes the
// pins back, it says nothing: it was left there.
func (s situation) lastOffer() string {
	if s.old == "" && !s.excluded {
		return ""
	}
	return s.observed
}

// outdated says whether what is seen again is from before the source changed. Whoever
// wrote that didn't take the source back: it must neither make a hold nor end one. What
// nothing would move on stays: where only deploys change pins, what is excluded, and where
// nobody can tell whether it is to be pinned.
func (s situation) outdated() bool {
	return s.seenAgain() && s.live != "" && s.in != s.live && !s.manual && !s.excluded && !s.unclear
}

// undoes says whether the request rolls back this source.
func (s situation) undoes() bool {
	return s.rolledBack() && s.versioned && !s.excluded && !s.outdated()
}

// answer is what a rule says: the name, the observed label, the reason.
type answer struct {
	name, observed string
	reason         Reason
	ended          bool // a hold is over, although the name stays
}

// rule is one row of the decision table: the answer, where it applies.
type rule func(situation) (answer, bool)

// rules are tried in this order; the last one always applies.
var rules = []rule{
	frozen,
	ambiguous,
	seenAgain,
	excluded,
	unclear,
	notVersioned,
	gone,
	resumed,
	restored,
	created,
	outdated,
	rolledBack,
	deployed,
	undone,
	returned,
	manual,
	held,
	reapplied,
	touched,
}

func decide(s situation) answer {
	for _, rule := range rules {
		if answer, applies := rule(s); applies {
			return answer
		}
	}
	return answer{name: s.in} // never reached: the last rule always applies
}

// frozen: the template can't change any more.
func frozen(s situation) (answer, bool) {
	a := s.stay(ReasonFrozen)
	if s.old == "" {
		a.name = s.in
	}
	return a, s.frozen && !s.creating
}

// ambiguous: which of several snapshots is meant is for whoever wrote them to say.
func ambiguous(s situation) (answer, bool) { return s.leave(ReasonAmbiguous), s.ambiguous }

// seenAgain: our own answer, or an exported manifest, of what the source still holds.
func seenAgain(s situation) (answer, bool) {
	return answer{name: s.in, observed: s.incoming, reason: ReasonSeenAgain}, s.seenAgain() && !s.outdated()
}

// excluded: the template says that it is its own matter.
func excluded(s situation) (answer, bool) { return s.leave(ReasonExcluded), s.excluded }

// unclear: what nobody understands changes nothing, but an undo is a person's word.
func unclear(s situation) (answer, bool) {
	a := s.stay(ReasonUnclear)
	if s.old == "" {
		a = s.leave(ReasonUnclear)
	}
	return a, s.unclear && !s.rolledBack()
}

// notVersioned: nothing new is pinned to what isn't versioned.
func notVersioned(s situation) (answer, bool) {
	return s.leave(ReasonNotVersioned), !s.versioned && (s.creating || !s.rolledBack())
}

// gone: Pods of what this is rolled back to would never start.
func gone(s situation) (answer, bool) {
	return answer{name: s.in, observed: s.observed, reason: ReasonGone}, s.rolledBack() && !s.exists && (s.live == "" || !s.resume)
}

// resumed: somebody gives up every hold.
func resumed(s situation) (answer, bool) { return s.goOn(ReasonResumed), s.resume }

// restored: a workload that is created from a backup, or in another cluster, stays what it was.
func restored(s situation) (answer, bool) {
	return s.leave(ReasonRestored), s.creating && (s.exists || s.restored)
}

// created: a new workload gets what the source holds.
func created(s situation) (answer, bool) { return s.forward(ReasonCreated), s.creating }

// outdated: an exported manifest, or our own answer, from before the source changed.
func outdated(s situation) (answer, bool) {
	return s.forward(ReasonOutdated), s.outdated() && !s.held()
}

// rolledBack: the template brings in another snapshot.
func rolledBack(s situation) (answer, bool) {
	return s.goBack(ReasonRolledBack), s.rolledBack() && !s.outdated()
}

// deployed: another template, which names the source.
func deployed(s situation) (answer, bool) { return s.goOn(ReasonDeployed), !s.pinned && s.deploy }

// undone: another source is rolled back. What this one names is part of the revision.
func undone(s situation) (answer, bool) { return s.stay(ReasonUndone), s.pinned && s.undo }

// returned: a revision comes back that named what is pinned now, while the workload is behind.
func returned(s situation) (answer, bool) {
	return s.goBack(ReasonRolledBack), s.returned && s.behind()
}

// manual: only deploys change the pins.
func manual(s situation) (answer, bool) { return s.stay(ReasonManual), s.manual && s.old != "" }

// held: somebody took it back, and the source hasn't changed since.
func held(s situation) (answer, bool) { return s.stay(ReasonHeld), s.held() }

// reapplied: the same template as before, as it is in somebody's repository.
func reapplied(s situation) (answer, bool) { return s.forward(ReasonReapplied), !s.pinned }

// touched: nothing but time has passed.
func touched(s situation) (answer, bool) { return s.forward(ReasonTouched), true }

// stay keeps what the workload had.
func (s situation) stay(reason Reason) answer {
	return answer{name: s.old, observed: s.observed, reason: reason}
}

// leave accepts what the template says. A pin that is kept keeps its label.
func (s situation) leave(reason Reason) answer {
	label := ""
	switch {
	case !s.pinned:
	case !s.creating:
		label = s.observed
	case s.incoming != "":
		label = s.incoming
	default:
		label = snapshot.Suffix(s.in)
	}
	return answer{name: s.in, observed: label, reason: reason}
}

// forward pins to live. Where live can't be pinned, what the workload had is
// kept, and what was never pinned stays as it is: a Pod that could start before
// must still be able to.
func (s situation) forward(reason Reason) answer {
	switch {
	case s.live != "":
		return answer{name: s.live, observed: s.offer(), reason: reason}
	case s.old != "":
		return s.stay(ReasonUnavailable)
	default:
		return s.leave(ReasonUnavailable)
	}
}

// goOn is forward for whoever asks for what the source holds. Where that can't be
// pinned, a hold is over all the same, so that the workload moves on as soon as it can.
// To delete a source that Pods start without is to say that they shall.
func (s situation) goOn(reason Reason) answer {
	kept := s.old
	if kept == "" && s.pinned {
		kept = s.in
	}
	switch {
	case s.live != "" || kept == "":
		return s.forward(reason)
	case s.optional && s.old != "":
		return answer{name: s.source, reason: ReasonDropped}
	default:
		return answer{name: kept, observed: snapshot.Suffix(kept), reason: ReasonUnavailable, ended: true}
	}
}

// goBack takes the workload back to what the template names, and notes what the source
// holds by now: only a change after this ends the hold, whether or not a touch came just
// before.
func (s situation) goBack(reason Reason) answer {
	switch s.live {
	case "":
		return answer{name: s.in, observed: s.observed, reason: reason}
	case s.in:
		return answer{name: s.in, observed: s.offer(), reason: reason}
	default:
		return answer{name: s.in, observed: snapshot.Suffix(s.live), reason: reason}
	}
}

// offer is the label of a workload that is pinned to live. Where it was offered that
// before, and stayed elsewhere, the label abbreviates the digest to another length: an
// answer has to be known by its label when it is seen again, or a source that changed in
// between would turn the end of a hold into another one.
func (s situation) offer() string {
	suffix := snapshot.Suffix(s.live)
	switch {
	case s.live == s.old && s.offered:
		return s.observed
	case s.live == s.old || s.lastOffer() != suffix:
		return suffix
	}
	for _, length := range snapshot.Lengths {
		if length <= len(s.digest) && s.digest[:length] != suffix {
			return s.digest[:length]
		}
	}
	return suffix
}
