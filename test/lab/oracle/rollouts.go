package oracle

import "slices"

// rolledTwice are the workloads that got more revisions, ReplicaSets or
// ControllerRevisions, than they had templates. One that its controller made again,
// after the history was cleaned up, has the name that it had. One that was nobody's at
// first, as out of a backup, its controller didn't make.
func rolledTwice(r *record, _ Rules) []Violation {
	templates, revisions, owners := map[string]map[string]bool{}, map[string]map[string]bool{}, map[string]Fact{}
	adopted := map[string]bool{} // UIDs
	note := func(in map[string]map[string]bool, uid, value string) {
		if in[uid] == nil {
			in[uid] = map[string]bool{}
		}
		in[uid][value] = true
	}
	r.replay(func(_ *world, f Fact) {
		switch {
		case slices.Contains(rolling, f.Kind) && f.Template != nil:
			owners[f.UID] = f
			note(templates, f.UID, f.Template.Hash)
		case !f.isRevision():
		case f.Owner == "" || adopted[f.UID]:
			adopted[f.UID] = true
		default:
			note(revisions, f.Owner, f.Name)
		}
	})
	var found []Violation
	for uid, f := range owners {
		if len(revisions[uid]) > len(templates[uid]) {
			found = append(found, breach(f, "has had %d revisions for %d templates", len(revisions[uid]), len(templates[uid])))
		}
	}
	return found
}

// rolling are the kinds whose controllers keep revisions.
var rolling = []string{"Deployment", "StatefulSet", "DaemonSet"}

func (f Fact) isRevision() bool { return f.Kind == "ReplicaSet" || f.Kind == "ControllerRevision" }
