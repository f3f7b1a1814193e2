package oracle

// rolledTwice are the Deployments that got more ReplicaSets than they had
// templates. One that its controller made again, after the history was cleaned
// up, has the name that it had. One that was nobody's at first, as out of a backup,
// its controller didn't make.
func rolledTwice(r *record, _ Rules) []Violation {
	templates, sets, deployments := map[string]map[string]bool{}, map[string]map[string]bool{}, map[string]Fact{}
	adopted := map[string]bool{} // UIDs
	note := func(in map[string]map[string]bool, uid, value string) {
		if in[uid] == nil {
			in[uid] = map[string]bool{}
		}
		in[uid][value] = true
	}
	r.replay(func(_ *world, f Fact) {
		switch {
		case f.Template == nil:
		case f.Kind == "Deployment":
			deployments[f.UID] = f
			note(templates, f.UID, f.Template.Hash)
		case f.Kind == "ReplicaSet" && (f.Owner == "" || adopted[f.UID]):
			adopted[f.UID] = true
		case f.Kind == "ReplicaSet":
			note(sets, f.Owner, f.Name)
		}
	})
	var found []Violation
	for uid, f := range deployments {
		if len(sets[uid]) > len(templates[uid]) {
			found = append(found, breach(f, "has had %d ReplicaSets for %d templates", len(sets[uid]), len(templates[uid])))
		}
	}
	return found
}
