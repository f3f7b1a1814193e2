package pin

import "github.com/configpin/configpin/internal/snapshot"

// Reason tells which rule decided about a source. Reasons appear in audit
// annotations and logs, and are part of the API.
type Reason string

// The reasons, in the order of the rules. docs/reference.md is made of the comments: when
// each decides, and what the template names then.
const (
	// ReasonFrozen: A Job is updated: its template can't change any more. So the template names what
	// it named.
	ReasonFrozen Reason = "Frozen"
	// ReasonAmbiguous: The template names several snapshots of the source, the same as before; or a
	// source that isn't versioned beside a snapshot of it. So the template names what it says.
	ReasonAmbiguous Reason = "Ambiguous"
	// ReasonSeenAgain: The API server sends our own answer once more. So the template names what we
	// answered.
	ReasonSeenAgain Reason = "SeenAgain"
	// ReasonExcluded: The template excludes the source. So the template names what it says.
	ReasonExcluded Reason = "Excluded"
	// ReasonUnclear: Nobody understands `configpin.io/enabled` of the workload, or
	// `configpin.io/versioned` of the source. So the template names what it named; the source if it
	// was never pinned.
	ReasonUnclear Reason = "Unclear"
	// ReasonNotVersioned: The source isn't versioned any more. So the template names what it says.
	ReasonNotVersioned Reason = "NotVersioned"
	// ReasonGone: A rollback to a snapshot that doesn't exist. So the template names nothing:
	// [denied](#denials).
	ReasonGone Reason = "Gone"
	// ReasonResumed: The label `configpin.io/resume` gives up every hold. So the template names live.
	ReasonResumed Reason = "Resumed"
	// ReasonRestored: A new workload names a snapshot that exists, such as one out of a backup; or it
	// comes with its pins, before that snapshot, and would still be pinned to it where it comes from:
	// it was held, only deploys change it, or it is a Job. So the template names what it says.
	ReasonRestored Reason = "Restored"
	// ReasonCreated: A new workload. So the template names live.
	ReasonCreated Reason = "Created"
	// ReasonOutdated: A snapshot comes together with the label of its own time, and the source holds
	// something else: an exported manifest is applied, or the source changed after our answer. It is
	// no rollback; where something else is held, that stays. So the template names live.
	ReasonOutdated Reason = "Outdated"
	// ReasonRolledBack: An update brings in another snapshot. It is held against what the source holds
	// now, also where the workload was still behind. So the template names what it says.
	ReasonRolledBack Reason = "RolledBack"
	// ReasonDeployed: The template names the source, and the rest of it changed, but for hashes of
	// config: what is declared wins, as for images. Or a hash did, where `configpin.io/rollout` is
	// `manual` and nothing is held. So the template names live.
	ReasonDeployed Reason = "Deployed"
	// ReasonUndone: Another source is rolled back in the same request, and this one stays, so that the
	// undo finds its ReplicaSet. So the template names what it named.
	ReasonUndone Reason = "Undone"
	// ReasonManual: The label `configpin.io/rollout` is `manual`, or nobody understands it. So the
	// template names what it named.
	ReasonManual Reason = "Manual"
	// ReasonHeld: It was offered live and names something else: somebody rolled back, on purpose. So
	// the template names what it named.
	ReasonHeld Reason = "Held"
	// ReasonReapplied: The template names the source, and nothing else of it changed but hashes of
	// config. So the template names live.
	ReasonReapplied Reason = "Reapplied"
	// ReasonTouched: The template is as it was: a touch, another label, another number of replicas. So
	// the template names live.
	ReasonTouched Reason = "Touched"
	// ReasonUnavailable: It would be live, but the source is gone or can't be kept. A hold that
	// `Resumed` or `Deployed` would end is over all the same. So the template names what it named; the
	// source if it was never pinned.
	ReasonUnavailable Reason = "Unavailable"
	// ReasonDropped: It would be `Resumed` or `Deployed`, but the source was deleted, and all refs to
	// it are optional. So the template names the source, so that Pods start without it.
	ReasonDropped Reason = "Dropped"
	// ReasonRepeated: Only variables name it whose name is in their `env` more than once, and its
	// source changed. Such variables aren't pinned; ones that were, by an earlier release, stay until
	// then. So the template names the source.
	ReasonRepeated Reason = "Repeated"
)

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
	returned,
	undone,
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
	return answer{name: s.in, observed: s.labelled, reason: ReasonSeenAgain}, s.seenAgain() && !s.outdated()
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
	return s.leave(ReasonRestored), s.creating && (s.exists || s.cameWith)
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

// returned: a revision comes back that named what is pinned now, while the workload is behind.
func returned(s situation) (answer, bool) {
	return s.goBack(ReasonRolledBack), s.returned && s.behind()
}

// undone: another source is rolled back. What this one names is part of the revision.
func undone(s situation) (answer, bool) { return s.stay(ReasonUndone), s.pinned && s.undo }

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
	case s.labelled != "":
		label = s.labelled
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
	case s.live == s.old && s.observedLive:
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
