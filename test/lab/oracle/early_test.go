package oracle

import (
	"time"

	"github.com/configpin/configpin/internal/wellknown"
)

// collected is how blue goes after nothing but it is left of the first rollout.
func collected(marked ...Fact) []Fact {
	return append(movedOn(deleted(20, replicaSet(5, "web-1", template(blue))), deleted(30, kept(3, "blue"))), marked...)
}

// markedFor marks a snapshot so long before it is deleted.
func markedFor(how time.Duration) change {
	return annotation(wellknown.UnusedSince, began.Add(10*time.Minute-how).Format(time.RFC3339))
}

func seenFor(how time.Duration, f Fact) Fact {
	f.Seen = began.Add(10*time.Minute - how)
	return f
}

func bornBefore(how time.Duration, f Fact) Fact {
	f.Born = began.Add(10*time.Minute - how)
	return f
}

var collectedRows = []row{
	{
		name:  "I4: a snapshot is collected without a mark",
		facts: collected(),
		audit: []Entry{asked(versionerUser, "delete", configMaps, blue)},
		want:  []string{"I4: ConfigMap " + blue + ": was deleted without a mark"},
	},
	{
		name:  "I4: a snapshot is collected whose mark was taken off",
		facts: collected(kept(21, "blue", unused), kept(22, "blue")),
		audit: []Entry{asked(versionerUser, "delete", configMaps, blue)},
		want:  []string{"I4: ConfigMap " + blue + ": was deleted without a mark"},
	},
	{
		name:  "I4: a snapshot is collected a minute and a half after it was marked",
		facts: collected(kept(21, "blue", markedFor(90*time.Second))),
		audit: []Entry{asked(versionerUser, "delete", configMaps, blue)},
	},
	{
		name:  "I4: a snapshot is collected a second too early",
		facts: collected(kept(21, "blue", markedFor(89*time.Second))),
		audit: []Entry{asked(versionerUser, "delete", configMaps, blue)},
		want:  []string{"I4: ConfigMap " + blue + ": was deleted 1m29s after the time of its mark"},
	},
	{
		name:  "I4: a snapshot is collected by a mark that nobody can read",
		facts: collected(kept(21, "blue", annotation(wellknown.UnusedSince, "long ago"))),
		audit: []Entry{asked(versionerUser, "delete", configMaps, blue)},
		want:  []string{"I4: ConfigMap " + blue + `: was deleted with the mark "long ago", which is no time`},
	},
	{
		name:  "I4: a snapshot is collected by an old mark that it hasn't had for long",
		facts: collected(seenFor(59*time.Second, kept(21, "blue", unused))),
		audit: []Entry{asked(versionerUser, "delete", configMaps, blue)},
		want:  []string{"I4: ConfigMap " + blue + ": was deleted 59s after it was marked"},
	},
	{
		name:  "I4: a snapshot is collected by a mark that was seen late",
		facts: collected(seenFor(time.Minute, kept(21, "blue", unused))),
		audit: []Entry{asked(versionerUser, "delete", configMaps, blue)},
	},
	{
		name:  "I4: a snapshot is collected by a mark that it had before something else changed",
		facts: collected(kept(21, "blue", unused), seenFor(time.Second, kept(22, "blue", unused, annotation(wellknown.Revision, "7")))),
		audit: []Entry{asked(versionerUser, "delete", configMaps, blue)},
	},
	{
		name:  "I4: a young snapshot is collected",
		facts: collected(bornBefore(2*time.Minute, kept(21, "blue", markedFor(119*time.Second)))),
		audit: []Entry{asked(versionerUser, "delete", configMaps, blue)},
		rules: Rules{MinAge: 2 * time.Second},
		want:  []string{"I4: ConfigMap " + blue + ": was marked when it was 1s old"},
	},
	{
		name:  "I4: a snapshot is collected that was old enough when it was marked",
		facts: collected(bornBefore(2*time.Minute, kept(21, "blue", markedFor(118*time.Second)))),
		audit: []Entry{asked(versionerUser, "delete", configMaps, blue)},
		rules: Rules{MinAge: 2 * time.Second},
	},
	{
		name:  "I4: others delete a snapshot as they like",
		facts: collected(),
		audit: []Entry{asked(person, "delete", configMaps, blue)},
	},

	{
		name:  "I4: a dry run of others is no deletion",
		facts: movedOn(kept(19, "blue", unused), deleted(20, kept(3, "blue"))),
		audit: []Entry{dry(deletion(person, blue, string(uidOf(configMap, blue)))), deletion(versionerUser, blue, string(uidOf(configMap, blue)))},
		rules: Rules{Absent: map[string]bool{"configmap/" + blue: true}},
		want:  []string{"I4: ConfigMap " + blue + ": was deleted while it was named by ReplicaSet web-1"},
	},
	{
		name:  "I4: what others deleted together was something else",
		facts: movedOn(kept(19, "blue", unused), deleted(20, kept(3, "blue"))),
		audit: []Entry{asked(person, "deletecollection", configMaps, ""), deletion(versionerUser, blue, string(uidOf(configMap, blue)))},
		rules: Rules{Absent: map[string]bool{"configmap/" + blue: true}},
		want:  []string{"I4: ConfigMap " + blue + ": was deleted while it was named by ReplicaSet web-1"},
	},
	{
		name:  "I4: of two deletions that nobody knows the end of, it was ours",
		facts: movedOn(kept(19, "blue", unused), deleted(20, kept(3, "blue"))),
		audit: []Entry{failedWith(0, deletion(person, blue, "")), failedWith(0, deletion(versionerUser, blue, ""))},
		rules: Rules{Absent: map[string]bool{"configmap/" + blue: true}},
		want:  []string{"I4: ConfigMap " + blue + ": was deleted while it was named by ReplicaSet web-1"},
	},
	{
		name:  "I1: a snapshot is gone, and others only tried whether they could delete it",
		facts: movedOn(deleted(20, replicaSet(5, "web-1", template(blue))), deleted(21, kept(3, "blue"))),
		audit: []Entry{dry(asked(person, "delete", configMaps, blue)), dry(asked(person, "deletecollection", configMaps, ""))},
		want:  []string{"I1: ConfigMap " + blue + ": is gone, and nobody deleted it"},
	},
	{
		name:  "I2: a snapshot of ours could be changed, and others tried whether they could create it",
		facts: append(well(), kept(9, "green", mutable), deleted(10, kept(9, "green", mutable))),
		audit: []Entry{
			dry(asked(person, "create", configMaps, green)), asked(webhookUser, "create", configMaps, green),
			asked(person, "delete", configMaps, green),
		},
		want: []string{
			"I2: ConfigMap " + green + ": can be changed",
			"I8: configmaps " + green + ": create by " + webhookUser + ": that is no snapshot",
		},
	},
}

func dry(e Entry) Entry {
	e.Dry = true
	return e
}

func untold(e Entry) Entry {
	e.Told, e.Sent = false, ""
	return e
}

func sending(what string, e Entry) Entry {
	e.Sent = what
	return e
}
