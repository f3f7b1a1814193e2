package oracle

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/configpin/configpin/internal/wellknown"
)

// row is a history and what is wrong with it, if anything.
type row struct {
	name  string
	facts []Fact
	audit []Entry
	rules Rules
	gaps  []Gap
	holds []Hold
	want  []string // each in a line of its own, without the namespace
}

// well is a workload that is pinned to what its source holds.
func well() []Fact {
	return []Fact{
		namespace(1),
		source(2, "blue"),
		kept(3, "blue"),
		deployment(4, template(snapshotName("blue")), label("observed.configpin.io/configmap.app", suffixOf("blue"))),
		replicaSet(5, "web-1", template(snapshotName("blue"))),
	}
}

func suffixOf(colour string) string { return digestOfColour(colour)[:12] }

// movedOn is a workload that has moved from blue to green, and nothing but its
// history names blue.
func movedOn(then ...Fact) []Fact {
	return append(append(well(),
		source(10, "green"),
		kept(11, "green", annotation(wellknown.Revision, "2")),
		deployment(12, template(snapshotName("green")), label("observed.configpin.io/configmap.app", suffixOf("green"))),
		replicaSet(13, "web-2", template(snapshotName("green"))),
	), then...)
}

var blue, green = snapshotName("blue"), snapshotName("green")

var rows = []row{
	{name: "all is well", facts: well()},
	{name: "all is well after a change", facts: movedOn()},

	{name: "all is well with a Secret", facts: secretive(keptSecret(3, "hunter2", keyA))},
	{
		name:  "all is well with a Secret whose key was lost",
		facts: secretive(keptSecret(3, "hunter2", keyA), keptSecret(9, "hunter2", keyB, annotation(wellknown.Revision, "2"))),
	},
	{
		name:  "I1: what a Secret holds is kept by no snapshot",
		facts: secretive(keptSecret(3, "hunter1", keyA)),
		want: []string{
			"I1: Deployment web: was stored with the pin secret/" + secretName("hunter2", keyA) + ", which wasn't there",
			"I1: Secret db: what it holds is kept by no snapshot",
			"I4: Deployment web: names secret/" + secretName("hunter2", keyA) + ", which isn't there",
			"I5: Secret db: what it holds isn't its highest revision",
		},
	},
	{
		name:  "a Secret that is never kept",
		facts: []Fact{namespace(1), stored(2, secret, "db", map[string]any{"type": "helm.sh/release.v1"}, annotation(wellknown.Versioned, "true"))},
	},
	{
		name:  "I1: a Secret whose name is by another key than it says is no snapshot",
		facts: secretive(keptSecret(3, "hunter2", keyA, annotation(wellknown.DigestKey, keyID(keyB)))),
		want: []string{
			"I1: Deployment web: was stored with the pin secret/" + secretName("hunter2", keyA) + ", which is no snapshot of secret/db",
			"I1: Secret db: what it holds is kept by no snapshot",
			"I5: Secret db: what it holds isn't its highest revision",
		},
	},
	{
		name:  "I6: a Secret is kept twice",
		facts: secretive(keptSecret(3, "hunter2", keyA), keptSecretAs(9, "db-"+secretDigest("hunter2", keyA)[:24], "hunter2", keyA, annotation(wellknown.Revision, "2"))),
		want:  []string{"I6: Secret db-" + secretDigest("hunter2", keyA)[:24] + ": keeps what " + secretName("hunter2", keyA) + " keeps"},
	},

	{
		name:  "I1: a template was pinned before its snapshot was there",
		facts: []Fact{namespace(1), source(2, "blue"), deployment(3, template(blue)), kept(4, "blue")},
		want:  []string{"I1: Deployment web: was stored with the pin configmap/" + blue + ", which wasn't there"},
	},
	{
		name:  "I1: a template is pinned right after its snapshot was made",
		facts: []Fact{namespace(1), source(2, "blue"), kept(3, "blue"), deployment(4, template(blue))},
	},
	{
		name: "I1: a snapshot that we collected is pinned again",
		facts: movedOn(
			kept(19, "blue", unused),
			deleted(20, replicaSet(5, "web-1", template(blue))),
			deleted(21, kept(3, "blue")),
			deployment(22, template(blue), label("observed.configpin.io/configmap.app", suffixOf("green"))),
			kept(23, "blue", uid("another"))),
		audit: []Entry{asked(versionerUser, "delete", configMaps, blue)},
		holds: []Hold{heldBy(person)},
		want:  []string{"I1: Deployment web: was stored with the pin configmap/" + blue + ", which wasn't there"},
	},
	{
		name: "I1: a snapshot that somebody else deleted is pinned all the same",
		facts: movedOn(
			deleted(21, kept(3, "blue")),
			deployment(22, template(blue), label("observed.configpin.io/configmap.app", suffixOf("green")))),
		audit: []Entry{asked(person, "delete", configMaps, blue)},
		holds: []Hold{heldBy(person)},
		rules: Rules{Absent: map[string]bool{"configmap/" + blue: true}},
	},
	{
		name:  "I1: a snapshot is gone, and nobody deleted it",
		facts: movedOn(deleted(20, replicaSet(5, "web-1", template(blue))), deleted(21, kept(3, "blue"))),
		want:  []string{"I1: ConfigMap " + blue + ": is gone, and nobody deleted it"},
	},
	{
		name:  "I1: a snapshot is gone with all that somebody deleted",
		facts: movedOn(deleted(20, replicaSet(5, "web-1", template(blue))), deleted(21, kept(3, "blue"))),
		audit: []Entry{asked(person, "deletecollection", configMaps, "")},
	},
	{
		name:  "I1: a template is pinned to what is no snapshot",
		facts: []Fact{namespace(1), source(2, "blue"), kept(3, "blue", mutable), keptAs(4, "app-"+digestOfColour("blue")[:24], "blue"), workload(5, "Job", template(blue))},
		want:  []string{"I1: Job web: was stored with the pin configmap/" + blue + ", which is no snapshot of configmap/app"},
	},
	{
		name:  "I1: what a source holds isn't kept",
		facts: []Fact{namespace(1), source(2, "blue"), kept(3, "blue"), source(4, "green")},
		want:  []string{"I1: ConfigMap app: what it holds is kept by no snapshot", "I5: ConfigMap app: what it holds isn't its highest revision"},
	},
	{
		name:  "I1: what a source holds can't be kept",
		facts: []Fact{namespace(1), source(2, "blue"), kept(3, "blue"), source(4, "green")},
		rules: Rules{Unkept: map[string]bool{"app": true}},
	},
	{
		name:  "I1: what a ConfigMap that is no source holds isn't kept",
		facts: []Fact{namespace(1), source(2, "blue", annotation(wellknown.Versioned, "false"))},
	},

	{
		name:  "I2: a snapshot changes",
		facts: append(well(), keptAs(9, blue, "red", annotation(wellknown.Digest, digestOfColour("blue")))),
		want: []string{
			"I1: ConfigMap app: what it holds is kept by no snapshot",
			"I2: ConfigMap " + blue + ": holds something else than when it was created",
			`I3: ConfigMap ` + blue + `: its name doesn't come from what it holds: the digest is "` + digestOfColour("red") + `"`,
			"I5: ConfigMap app: what it holds isn't its highest revision",
			"I5: Deployment web: names " + blue + ", which is neither what app holds nor held",
		},
	},
	{
		name:  "I2: a snapshot's number changes",
		facts: append(well(), kept(9, "blue", annotation(wellknown.Revision, "2"))),
	},
	{
		name:  "I2: a snapshot of ours could be changed",
		facts: append(well(), kept(9, "green", mutable), deleted(10, kept(9, "green", mutable))),
		audit: []Entry{asked(webhookUser, "create", configMaps, green), asked(person, "delete", configMaps, green)},
		want: []string{
			"I2: ConfigMap " + green + ": can be changed",
			"I8: configmaps " + green + ": create by " + webhookUser + ": that is no snapshot",
		},
	},
	{
		name:  "I2: what somebody else made to look like a snapshot could be changed",
		facts: append(well(), kept(9, "green", mutable)),
		audit: []Entry{asked(person, "create", configMaps, green)},
	},

	{
		name:  "I3: a snapshot of ours has the name of another content",
		facts: append(well(), keptAs(9, blue[:len(blue)-1]+"w", "green")),
		audit: []Entry{asked(versionerUser, "create", configMaps, blue[:len(blue)-1]+"w")},
		want: []string{
			"I3: ConfigMap " + blue[:len(blue)-1] + "w" + `: its name doesn't come from what it holds: the digest is "` + digestOfColour("green") + `"`,
			"I8: configmaps " + blue[:len(blue)-1] + "w: create by " + versionerUser + ": that is no snapshot",
		},
	},
	{
		name:  "I3: a snapshot of ours has a longer name",
		facts: append(well(), keptAs(9, "app-"+digestOfColour("green")[:24], "green")),
		audit: []Entry{asked(versionerUser, "create", configMaps, "app-"+digestOfColour("green")[:24])},
	},
	{
		name:  "I3: a snapshot says another digest",
		facts: append(well(), kept(9, "green", annotation(wellknown.Digest, digestOfColour("red")))),
		want:  []string{"I3: ConfigMap " + green + `: its digest is "` + digestOfColour("green") + `", and it says "` + digestOfColour("red") + `"`},
	},

	{
		name:  "I4: a snapshot is collected while a ReplicaSet names it",
		facts: movedOn(kept(19, "blue", unused), deleted(20, kept(3, "blue"))),
		audit: []Entry{asked(versionerUser, "delete", configMaps, blue)},
		rules: Rules{Absent: map[string]bool{"configmap/" + blue: true}},
		want:  []string{"I4: ConfigMap " + blue + ": was deleted while it was named by ReplicaSet web-1"},
	},
	{
		name:  "I4: a snapshot is collected right after the ReplicaSet that named it is gone",
		facts: movedOn(kept(19, "blue", unused), deleted(20, replicaSet(5, "web-1", template(blue))), deleted(21, kept(3, "blue"))),
		audit: []Entry{asked(versionerUser, "delete", configMaps, blue)},
	},
	{
		name:  "I4: a snapshot is collected right before the ReplicaSet that named it is gone",
		facts: movedOn(kept(19, "blue", unused), deleted(21, replicaSet(5, "web-1", template(blue))), deleted(20, kept(3, "blue"))),
		audit: []Entry{asked(versionerUser, "delete", configMaps, blue)},
		want:  []string{"I4: ConfigMap " + blue + ": was deleted while it was named by ReplicaSet web-1"},
	},
	{
		name: "I4: of two snapshots of one name, we collected the unused one",
		facts: movedOn(
			kept(19, "blue", unused),
			deleted(20, kept(3, "blue")),
			kept(21, "blue", uid("another"), unused),
			deleted(22, replicaSet(5, "web-1", template(blue))),
			deleted(23, kept(21, "blue", uid("another")))),
		audit: []Entry{
			deletion(person, blue, string(uidOf(configMap, blue))),
			deletion(versionerUser, blue, "another"),
		},
	},
	{
		name: "I4: of two snapshots of one name, we collected the used one",
		facts: movedOn(
			kept(19, "blue", unused),
			deleted(20, kept(3, "blue")),
			kept(21, "blue", uid("another"), unused),
			deleted(22, replicaSet(5, "web-1", template(blue))),
			deleted(23, kept(21, "blue", uid("another")))),
		audit: []Entry{
			deletion(person, blue, "another"),
			deletion(versionerUser, blue, string(uidOf(configMap, blue))),
		},
		want: []string{"I4: ConfigMap " + blue + ": was deleted while it was named by ReplicaSet web-1"},
	},
	{
		name:  "I4: a Pod's ConfigMap isn't there",
		facts: append(well(), stored(9, "Pod", "web-1", map[string]any{"spec": template("extra")["spec"]})),
		want:  []string{"I4: Pod web-1: names configmap/extra, which isn't there"},
	},
	{
		name:  "I4: a Pod's ConfigMap isn't there, on purpose",
		facts: append(well(), stored(9, "Pod", "web-1", map[string]any{"spec": template("extra")["spec"]})),
		rules: Rules{Absent: map[string]bool{"configmap/extra": true}},
	},
	{
		name:  "I4: a ControllerRevision's Secret isn't there",
		facts: append(well(), stored(9, "ControllerRevision", "web-1", map[string]any{"data": secretVolume(false)})),
		want:  []string{"I4: ControllerRevision web-1: names secret/db, which isn't there"},
	},
	{
		name:  "I4: an optional Secret isn't there",
		facts: append(well(), stored(9, "ControllerRevision", "web-1", map[string]any{"data": secretVolume(true)})),
	},

	{
		name:  "I5: a workload names its source",
		facts: append(well(), deployment(9, template("app"))),
		want:  []string{"I5: Deployment web: names app, which is neither what app holds nor held"},
	},
	{
		name:  "I5: a workload that isn't opted in names its source",
		facts: append(well(), deployment(9, template("app"), label(wellknown.Enabled, "false"))),
	},
	{
		name:  "I5: a workload of a namespace that opts in names its source",
		facts: append(well(), namespace(8, label(wellknown.Enabled, "true")), deployment(9, template("app"), withoutLabels)),
		want:  []string{"I5: Deployment web: names app, which is neither what app holds nor held"},
	},
	{
		name:  "I5: a workload excludes its source",
		facts: append(well(), deployment(9, excluding("configmap/app, configmap/other"))),
	},
	{
		name:  "I5: a workload excludes another source",
		facts: append(well(), deployment(9, excluding("configmap/apple"))),
		want:  []string{"I5: Deployment web: names app, which is neither what app holds nor held"},
	},
	{
		name:  "I5: a workload is behind",
		facts: movedOn(deployment(20, template(blue), label("observed.configpin.io/configmap.app", suffixOf("blue")))),
		want:  []string{"I5: Deployment web: names " + blue + ", which is neither what app holds nor held"},
	},
	{
		name:  "I5: a workload is held",
		facts: movedOn(deployment(20, template(blue), label("observed.configpin.io/configmap.app", suffixOf("green")))),
		holds: []Hold{heldBy(person)},
	},
	{
		name: "I5: a workload is behind, and says that it decides",
		facts: movedOn(deployment(20, template(blue), label("observed.configpin.io/configmap.app", suffixOf("blue")),
			label(wellknown.Rollout, wellknown.RolloutManual))),
	},
	{
		name:  "I5: what a source holds isn't its highest revision",
		facts: append(well(), kept(9, "green", annotation(wellknown.Revision, "2"))),
		want:  []string{"I5: ConfigMap app: what it holds isn't its highest revision"},
	},
	{
		name:  "I5: a number that is too high counts as none",
		facts: append(well(), kept(9, "green", annotation(wellknown.Revision, "2147483648"))),
	},

	{
		name:  "I6: a template is rolled out twice",
		facts: append(well(), replicaSet(9, "web-2", template(blue))),
		want:  []string{"I6: Deployment web: has had 2 revisions for 1 templates"},
	},
	{
		name:  "I6: a template of a StatefulSet is rolled out twice",
		facts: append(well(), workload(9, "StatefulSet", template(blue)), revisionOf(10, "StatefulSet", "web-1"), revisionOf(11, "StatefulSet", "web-2")),
		want:  []string{"I6: StatefulSet web: has had 2 revisions for 1 templates"},
	},
	{
		name: "I6: two templates of a DaemonSet are rolled out, and one again",
		facts: append(movedOn(), workload(20, "DaemonSet", template(blue)), revisionOf(21, "DaemonSet", "web-1"),
			workload(22, "DaemonSet", template(green), label("observed.configpin.io/configmap.app", suffixOf("green"))), revisionOf(23, "DaemonSet", "web-2"),
			deleted(24, revisionOf(21, "DaemonSet", "web-1")), revisionOf(25, "DaemonSet", "web-1")),
	},
	{
		name:  "I6: a ReplicaSet is made again after it was cleaned up",
		facts: append(well(), deleted(9, replicaSet(5, "web-1", template(blue))), replicaSet(10, "web-1", template(blue))),
	},
	{
		name:  "I6: a ReplicaSet that came out of a backup is adopted",
		facts: append(well(), replicaSet(9, "web-2", template(blue), nobodys), replicaSet(10, "web-2", template(blue))),
	},
	{
		name:  "I6: a content is kept twice",
		facts: append(well(), keptAs(9, "app-"+digestOfColour("blue")[:24], "blue")),
		want:  []string{"I6: ConfigMap app-" + digestOfColour("blue")[:24] + ": keeps what " + blue + " keeps"},
	},
	{
		name: "I6: a content is kept again after its snapshot was deleted",
		facts: []Fact{
			namespace(1), source(2, "blue"), kept(3, "blue"), deleted(4, kept(3, "blue")), kept(5, "blue", uid("another")),
		},
		audit: []Entry{asked(person, "delete", configMaps, blue)},
	},

	{
		name:  "I8: we change what only looks like a snapshot",
		facts: append(well(), keptAs(9, green, "red")),
		audit: []Entry{asked(versionerUser, "patch", configMaps, green)},
		want:  []string{"I8: configmaps " + green + ": patch by " + versionerUser + ": that is no snapshot"},
	},
	{
		name:  "I8: we find that a name is taken",
		facts: append(well(), keptAs(9, green, "red")),
		audit: []Entry{failedWith(409, asked(versionerUser, "create", configMaps, green))},
	},
	{
		name:  "I8: we write what is ours",
		facts: well(),
		audit: []Entry{
			asked(webhookUser, "create", configMaps, blue), asked(versionerUser, "patch", configMaps, blue),
			asked(versionerUser, "patch", "deployments", "web"), asked(versionerUser, "create", "events", "web.1"),
			asked(person, "update", configMaps, "app"),
		},
	},
	{
		name:  "I8: we write a source",
		facts: well(),
		audit: []Entry{asked(webhookUser, "patch", configMaps, "app")},
		want:  []string{"I8: configmaps app: patch by " + webhookUser + ": that is no snapshot"},
	},
	{
		name:  "I8: we replace a snapshot",
		facts: well(),
		audit: []Entry{asked(versionerUser, "update", configMaps, blue)},
		want:  []string{"I8: configmaps " + blue + ": update by " + versionerUser + ": it never does that to a ConfigMap or a Secret"},
	},
	{
		name:  "I8: the webhook touches",
		facts: well(),
		audit: []Entry{asked(webhookUser, "patch", "deployments", "web")},
		want:  []string{"I8: deployments web: patch by " + webhookUser + ": it never writes that"},
	},
	{
		name:  "I8: a touch isn't empty",
		facts: well(),
		audit: []Entry{sending(`{"metadata":{"labels":{"a":"b"}}}`, asked(versionerUser, "patch", "deployments", "web"))},
		want:  []string{"I8: deployments web: patch by " + versionerUser + ": a touch that isn't empty"},
	},
	{
		name:  "I8: what lost its label is labelled",
		facts: well(),
		audit: []Entry{sending(releasing, asked(versionerUser, "patch", "deployments", "web"))},
	},
	{
		name:  "I8: others patch what they like",
		facts: well(),
		audit: []Entry{sending(`{"spec":{}}`, asked(person, "patch", "deployments", "web"))},
	},
	{
		name:  "I8: we write a subresource",
		facts: well(),
		audit: []Entry{{User: versionerUser, Verb: "patch", Resource: "deployments", Subresource: "scale", Name: "web", Code: 200, Told: true}},
		want:  []string{"I8: deployments/scale web: patch by " + versionerUser + ": it never writes that"},
	},
	{
		name:  "I8: we try to write what we may not",
		facts: well(),
		audit: []Entry{failedWith(403, asked(versionerUser, "delete", "pods", "web"))},
		want:  []string{"I8: pods web: delete by " + versionerUser + ": it never writes that"},
	},

	{
		name:  "I9: a rollback to a snapshot that is gone is denied",
		facts: movedOn(deleted(20, kept(3, "blue"))),
		audit: []Entry{deletion(person, blue, ""), refused(goneMessage)},
		rules: Rules{Absent: map[string]bool{"configmap/" + blue: true}},
	},
	{
		name:  "I9: a rollback to a snapshot that is there is denied",
		facts: movedOn(),
		audit: []Entry{refused(goneMessage)},
		want:  []string{"I9: deployments web: patch by jane was refused, although the snapshot is there: " + goneMessage},
	},
	{
		name:  "I9: two snapshots of one source are denied",
		facts: well(),
		audit: []Entry{refused(`admission webhook "workload.configpin.io" denied the request: deployment/web refers to 2 snapshots of configmap/app: a, b. Name one of them everywhere, or "app" to use what it holds now.`)},
	},
	{
		name:  "I9: something else is denied",
		facts: well(),
		audit: []Entry{refused(`admission webhook "namespace.configpin.io" denied the request: no`)},
		want:  []string{`I9: deployments web: patch by jane was refused by words that are no denial of ours: admission webhook "namespace.configpin.io" denied the request: no`},
	},
	{
		name:  "I9: the policy refuses what nobody said would be",
		facts: well(),
		audit: []Entry{refused(policyMessage)},
		want:  []string{"I9: deployments web: patch by jane was refused by the policy, although nobody un-pins anything: " + policyMessage},
	},
	{name: "I9: the policy refuses what un-pins", facts: well(), audit: []Entry{refused(policyMessage)}, rules: Rules{Unpinning: true}},
	{
		name:  "I9: a request fails with the webhook",
		facts: well(),
		audit: []Entry{refused(failedMessage)},
		rules: Rules{Unpinning: true},
		want:  []string{"I9: deployments web: patch by jane was refused because of a failure of ours: " + failedMessage},
	},
	{name: "I9: a request fails with the webhook, which is strict", facts: well(), audit: []Entry{refused(failedMessage)}, rules: Rules{Strict: true}},
	{
		name:  "I9: a snapshot is protected, although nobody touches one",
		facts: well(),
		audit: []Entry{protected("delete", blue, isNeededMessage)},
		want:  []string{"I9: configmaps " + blue + ": delete by jane was refused by the policy, although nobody touches a snapshot: " + isNeededMessage},
	},
	{name: "I9: a snapshot is protected", facts: well(), audit: []Entry{protected("delete", blue, isNeededMessage)}, rules: Rules{Tampering: true}},
	{
		name:  "I9: creating a snapshot is refused",
		facts: well(),
		audit: []Entry{protected("create", blue, isNeededMessage)},
		rules: Rules{Tampering: true},
		want:  []string{"I9: configmaps " + blue + ": create by jane was refused, although anybody may create a snapshot: " + isNeededMessage},
	},
	{
		name:  "I9: what is no snapshot is protected",
		facts: well(),
		audit: []Entry{protected("delete", "app", protectedMessage+"configmap/app is a snapshot, which")},
		rules: Rules{Tampering: true},
		want:  []string{"I9: configmaps app: delete by jane was refused, although it never was a snapshot: " + protectedMessage + "configmap/app is a snapshot, which"},
	},
	{
		name:  "I9: a Secret that is no snapshot is protected",
		facts: well(),
		audit: []Entry{protected("delete", blue, protectedMessage+"secret/"+blue+" is a snapshot, which")},
		rules: Rules{Tampering: true},
		want:  []string{"I9: configmaps " + blue + ": delete by jane was refused, although it never was a snapshot: " + protectedMessage + "secret/" + blue + " is a snapshot, which"},
	},
	{
		name:  "I9: a snapshot that could be changed is refused",
		facts: well(),
		audit: []Entry{protected("create", "app-x", protectedMessage+"configmap/app-x carries the label configpin.io/snapshot-of and could be")},
		rules: Rules{Tampering: true},
	},
	{
		name:  "I9: the policy that protects snapshots says something else",
		facts: well(),
		audit: []Entry{protected("delete", "app", protectedMessage+"no")},
		rules: Rules{Tampering: true},
		want:  []string{"I9: configmaps app: delete by jane was refused by words that are none of the policy's: " + protectedMessage + "no"},
	},
	{
		name:  "I9: we try what isn't ours",
		facts: well(),
		audit: []Entry{ourselvesRefused()},
		want:  []string{"I9: deployments web: patch by " + versionerUser + " isn't ours to do: " + ourselvesMessage},
	},
	{name: "I9: somebody else denies", facts: well(), audit: []Entry{refused(`admission webhook "rival.example.com" denied the request: no`)}},

	{
		name:  "I10: an Event speaks of another namespace",
		facts: append(well(), eventOf(9, "configmap/app is pinned as in other-1", space)),
		want:  []string{"I10: Event web.1: names the namespace other-1"},
	},
	{
		name:  "I10: an Event speaks of a name that begins like another namespace",
		facts: append(well(), eventOf(9, "configmap/app is pinned to other-12", space)),
	},
	{
		name:  "I10: an Event is about an object elsewhere",
		facts: append(well(), eventOf(9, "configmap/app is pinned", "elsewhere")),
		want:  []string{`I10: Event web.1: is about an object in the namespace "elsewhere"`},
	},
	{
		name:  "I10: a snapshot speaks of another namespace",
		facts: append(well(), kept(9, "green", annotation(wellknown.ChangeCause, "as in other-1"))),
		want:  []string{"I10: ConfigMap " + green + ": names the namespace other-1"},
	},
	{
		name:  "I10: a source speaks of another namespace",
		facts: append(well(), source(9, "blue", annotation(wellknown.KubernetesChangeCause, "as in other-1"))),
	},

	{
		name:  "what happens to a namespace that is being deleted doesn't count",
		facts: append(well(), namespace(9, terminating), deleted(10, kept(3, "blue")), deployment(11, template("app"))),
	},
}

const (
	policyMessage = `deployments.apps "web" is forbidden: ValidatingAdmissionPolicy 'configpin-keep-pins' with binding 'configpin-keep-pins' denied request: deployment/web would`
	failedMessage = `Internal error occurred: failed calling webhook "workload.configpin.io": failed to call webhook`
)

const (
	protectedMessage = `configmaps "x" is forbidden: ValidatingAdmissionPolicy 'configpin-snapshots' with binding 'configpin-snapshots' denied request: `
	ourselvesMessage = `deployments.apps "web" is forbidden: ValidatingAdmissionPolicy 'configpin-ourselves' with binding 'configpin-ourselves' denied request: a touch`
)

var isNeededMessage = protectedMessage + "configmap/" + blue + " is a snapshot, which Pods and rollbacks may need"

func protected(verb, name, message string) Entry {
	e := failedWith(403, asked(person, verb, configMaps, name))
	e.Message = message
	return e
}

func ourselvesRefused() Entry {
	e := failedWith(403, asked(versionerUser, "patch", "deployments", "web"))
	e.Message = ourselvesMessage
	return e
}

var goneMessage = `admission webhook "workload.configpin.io" denied the request: deployment/web can't be rolled back to ` + blue +
	`: there is no such snapshot of configmap/app any more. Choose another revision.`

func deletion(user, name, uid string) Entry {
	e := asked(user, "delete", configMaps, name)
	e.UID = uid
	return e
}

func failedWith(code int, e Entry) Entry {
	e.Code = code
	return e
}

func withoutLabels(object *unstructured.Unstructured) { object.SetLabels(nil) }

func excluding(what string) map[string]any {
	of := template("app")
	of["metadata"] = map[string]any{"annotations": map[string]any{wellknown.Exclude: what}}
	return of
}

func secretVolume(optional bool) map[string]any {
	return map[string]any{"spec": map[string]any{"template": map[string]any{"spec": map[string]any{"volumes": []any{
		map[string]any{"name": "db", "secret": map[string]any{"secretName": "db", "optional": optional}},
	}}}}}
}

func everyRow() []row { return slices.Concat(rows, collectedRows, heldRows) }

func TestCheck(t *testing.T) {
	t.Parallel()
	for _, row := range everyRow() {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			found, skipped := Check(row.history(), row.rules)
			assert.Empty(t, skipped)
			var got []string
			for _, v := range found {
				assert.Equal(t, space, v.Namespace)
				got = append(got, fmt.Sprintf("%s: %s: %s", v.Invariant, v.Object, v.What))
			}
			assert.Equal(t, row.want, got)
		})
	}
}

func (r row) history() History {
	return History{Namespace: space, Facts: r.facts, Audit: r.audit, Audited: true, Gaps: r.gaps, Holds: r.holds, Others: []string{"other-1"}}
}

// TestEveryRuleCanFail: a check that finds nothing in any history checks nothing.
func TestEveryRuleCanFail(t *testing.T) {
	t.Parallel()
	for _, i := range invariants {
		failed, missed := false, false
		for _, row := range everyRow() {
			found := len(i.find(prepare(row.history()), row.rules)) > 0
			failed = failed || found
			missed = missed || !found && strings.HasPrefix(row.name, i.name+":")
		}
		assert.True(t, failed, "no row breaks %s, %s", i.name, i.rule)
		assert.True(t, missed, "no row is a near miss of %s, %s", i.name, i.rule)
	}
}

func TestWhatCannotBeKnownIsTold(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		gaps    []Gap
		audited bool
		audit   []Entry
		want    []string
	}{
		"nothing is missing": {audited: true},
		"a gap before the namespace was there": {
			audited: true,
			gaps:    []Gap{{configMap, 0, 1}},
		},
		"a gap": {
			audited: true,
			gaps:    []Gap{{configMap, 2, 9}, {"Pod", 2, 9}},
			want: []string{
				"I1 (what a template was pinned to is there): writes may have been missed: 2 gaps, the first in what was seen of ConfigMap",
				"I4 (what is used isn't deleted): writes may have been missed: 2 gaps, the first in what was seen of ConfigMap",
				"I4 (what is deleted was marked in time): writes may have been missed: 2 gaps, the first in what was seen of ConfigMap",
				"I5 (who is held asked for it): writes may have been missed: 2 gaps, the first in what was seen of ConfigMap",
				"I6 (there is a rollout per template at most): writes may have been missed: 2 gaps, the first in what was seen of ConfigMap",
				"I8 (our programs write what is theirs alone): writes may have been missed: 2 gaps, the first in what was seen of ConfigMap",
			},
		},
		"what others sent to delete something": {
			audited: true,
			audit:   []Entry{untold(asked(person, "delete", configMaps, "x"))},
			want: []string{
				"I1 (what a template was pinned to is there): the audit log doesn't have what was sent",
				"I4 (what is used isn't deleted): the audit log doesn't have what was sent",
				"I4 (what is deleted was marked in time): the audit log doesn't have what was sent",
			},
		},
		"what a touch sent": {
			audited: true,
			audit:   []Entry{untold(asked(versionerUser, "patch", "deployments", "web"))},
			want:    []string{"I8 (our programs write what is theirs alone): the audit log doesn't have what was sent"},
		},
		"what others sent to create something doesn't matter": {
			audited: true,
			audit:   []Entry{untold(asked(person, "create", configMaps, "x"))},
		},
		"no audit log": {
			want: []string{
				"I1 (what a template was pinned to is there): there is no audit log",
				"I4 (what is used isn't deleted): there is no audit log",
				"I4 (what is deleted was marked in time): there is no audit log",
				"I8 (our programs write what is theirs alone): there is no audit log",
				"I9 (nobody's request is refused without a reason): there is no audit log",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found, skipped := Check(History{Namespace: space, Facts: well(), Audited: row.audited, Audit: row.audit, Gaps: row.gaps}, Rules{})
			assert.Empty(t, found)
			var got []string
			for _, s := range skipped {
				got = append(got, s.String())
			}
			assert.Equal(t, row.want, got)
		})
	}
}

func TestBounded(t *testing.T) {
	t.Parallel()
	h := History{Namespace: space, Audited: true, Facts: movedOn(kept(20, "red"), kept(21, "grey"))}
	assert.Empty(t, Bounded(h, 2), "blue is named by a ReplicaSet, and green is what the source holds")
	assert.Equal(t, []Violation{{"I7", space, "ConfigMap app", "has 2 unused snapshots, and 1 are kept"}}, Bounded(h, 1))
	h.Facts = append(h.Facts, deleted(30, replicaSet(5, "web-1", template(blue))))
	assert.Len(t, Bounded(h, 2), 1, "the ReplicaSet is gone")
	h.Facts = append(h.Facts, deleted(31, kept(20, "red")))
	assert.Empty(t, Bounded(h, 2), "and so is a snapshot")
}
