package oracle

import (
	"regexp"
	"strings"
	"time"

	"github.com/configpin/configpin/internal/wellknown"
)

// The denials of docs/reference.md.
var (
	denied = regexp.MustCompile(`admission webhook "(?:workload|namespace)\.configpin\.io" denied the request: (?s:(.*))`)
	gone   = regexp.MustCompile(`^\S+ can't be rolled back to (\S+): there is no such snapshot of \S+ any more\. `)
	// Those of the policy that protects snapshots, each with what it is about.
	isSnapshot = regexp.MustCompile(`denied request: (configmap|secret)/(\S+) is a snapshot, `)
	noSnapshot = regexp.MustCompile(`denied request: \S+ (carries the label|was created without the label) configpin\.io/snapshot-of and `)
	several    = regexp.MustCompile(`^\S+ refers to \d+ snapshots of \S+: .*\. Name one of them everywhere, or `)
)

// refusals are the requests of others that failed because of us, without one of
// the reasons that there can be; and those of ours that should never be made.
func refusals(r *record, rules Rules) []Violation {
	var found []Violation
	for _, e := range r.Audit {
		if e.Code < 400 {
			continue
		}
		if e.ours() {
			if strings.Contains(e.Message, "ValidatingAdmissionPolicy 'configpin-ourselves'") {
				found = append(found, Violation{Object: e.Resource + " " + e.Name, What: e.Verb + " by " + e.User + " isn't ours to do: " + e.Message})
			}
			continue
		}
		if reason := r.unfounded(e, rules); reason != "" {
			found = append(found, Violation{Object: e.Resource + " " + e.Name, What: e.Verb + " by " + e.User + " was refused" + reason + ": " + e.Message})
		}
	}
	return found
}

// unfounded says what is wrong with a refusal, if it is one of ours.
func (r *record) unfounded(e Entry, rules Rules) string {
	if denial := denied.FindStringSubmatch(e.Message); denial != nil {
		return r.unfoundedDenial(e, denial[1])
	}
	switch {
	case strings.Contains(e.Message, "ValidatingAdmissionPolicy 'configpin-keep-pins'"):
		if !rules.Unpinning {
			return " by the policy, although nobody un-pins anything"
		}
	case strings.Contains(e.Message, "ValidatingAdmissionPolicy 'configpin-snapshots'"):
		return r.unfoundedProtection(e, rules)
	case strings.Contains(e.Message, ".configpin.io"):
		if !rules.Strict || !strings.Contains(e.Message, "failed calling webhook") {
			return " because of a failure of ours"
		}
	}
	return ""
}

// unfoundedProtection says what is wrong with a refusal that protects a snapshot.
func (r *record) unfoundedProtection(e Entry, rules Rules) string {
	if !rules.Tampering {
		return " by the policy, although nobody touches a snapshot"
	}
	if noSnapshot.MatchString(e.Message) {
		return ""
	}
	protected := isSnapshot.FindStringSubmatch(e.Message)
	const kind, name = 1, 2
	switch {
	case len(protected) <= name:
		return " by words that are none of the policy's"
	case e.Verb == "create":
		return ", although anybody may create a snapshot"
	case !r.labelled(protected[kind], protected[name]):
		return ", although it never was a snapshot"
	}
	return ""
}

// labelled says whether there ever was an immutable object of this kind, in lower
// case, and name with the label.
func (r *record) labelled(kind, name string) bool {
	for _, f := range r.Facts {
		if strings.ToLower(f.Kind) == kind && f.Name == name && f.Immutable && f.Labels[wellknown.SnapshotOf] != "" {
			return true
		}
	}
	return false
}

func (r *record) unfoundedDenial(e Entry, message string) string {
	rollback := gone.FindStringSubmatch(message)
	if rollback == nil && !several.MatchString(message) {
		return " by words that are no denial of ours"
	}
	if len(rollback) > 1 && r.wasThere(rollback[1], e.At) {
		return ", although the snapshot is there"
	}
	return ""
}

// wasThere says whether a snapshot was there for as long as the history lasts,
// from well before a time.
func (r *record) wasThere(name string, at time.Time) bool {
	const well = 2 * time.Second // times of objects have no fractions
	there := false
	r.replay(func(_ *world, f Fact) {
		if r.kept[f.UID] && f.Name == name {
			there = !f.Gone && f.Born.Before(at.Add(-well))
		}
	})
	for _, f := range r.Facts {
		if f.Gone && f.isKept() && f.Name == name {
			return false
		}
	}
	return there
}
