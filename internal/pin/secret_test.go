package pin_test

import (
	"fmt"
	"maps"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/configpin/configpin/internal/pin"
	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/wellknown"
	"github.com/configpin/configpin/internal/workload"
)

// The contents of the source db, and the names of their snapshots: by the present
// key, and by one that is lost.
const (
	d1, d2       = "db-111111111111", "db-222222222222"
	lost1, lost2 = "db-vvvvvvvvvvv1", "db-vvvvvvvvvvv2"
)

func secret(name string) refs.Target { return refs.Target{Kind: wellknown.Secret, Name: name} }

// vault is what the cluster holds: the source db with what it holds now, and its
// snapshots. Digests are of what they hold, whatever their names.
func vault(live string) pin.Facts {
	facts := pin.Facts{secret("db"): {Role: pin.Source, Current: live, Digest: live[len("db-"):]}}
	for name, digest := range map[string]string{d1: "111111111111", d2: "222222222222", lost1: "111111111111", lost2: "222222222222"} {
		facts[secret(name)] = pin.Fact{Role: pin.Snapshot, Of: "db", Digest: digest}
	}
	return facts
}

// using is a Deployment that names a Secret.
func using(t *testing.T, name, seen, image string) (text string, object workload.Object) {
	t.Helper()
	pins, label := "", ""
	if name != "db" {
		pins = fmt.Sprintf(`"configpin.io/pins": "secret/db=%s"`, name)
	}
	if seen != "" {
		label = fmt.Sprintf(`, "observed.configpin.io/secret.db": %q`, seen[len("db-"):])
	}
	text = fmt.Sprintf(`{"metadata": {"name": "web", "labels": {"configpin.io/enabled": "true"%s}}, "spec": {"template": {
		"metadata": {"annotations": {%s}}, "spec": {"containers": [{"image": %q}], "volumes": [{"secret": {"secretName": %q}}]}}}}`, label, pins, image, name)
	object, err := workload.Lookup("apps", "Deployment").Read(text)
	require.NoError(t, err)
	return text, object
}

// decided is what becomes of a Deployment that names a Secret.
func decided(t *testing.T, old, new [2]string, facts pin.Facts) (name, seen string, decision pin.Decision) {
	t.Helper()
	_, before := using(t, old[0], old[1], "v1")
	text, after := using(t, new[0], new[1], "v1")
	decision = decide(pin.Request{New: after, Old: &before}, facts)
	object, err := after.Kind.Read(apply(t, text, decision))
	require.NoError(t, err)
	return refs.Walk(object.Template.Spec)[0].Name, object.Labels["observed.configpin.io/secret.db"], decision
}

func TestALostKeyRollsNothing(t *testing.T) {
	for name, test := range map[string]struct {
		pinned, seen string
		live         string
		want         string
		reason       pin.Reason
	}{
		"what is pinned to what the source holds stays": {lost1, lost1, d1, lost1, pin.ReasonTouched},
		"what is held stays held":                       {lost1, lost2, d2, lost1, pin.ReasonHeld},
		"a change of the source is rolled out":          {lost1, lost1, d2, d2, pin.ReasonTouched},
		"a change of the source ends a hold":            {lost2, lost2, d1, d1, pin.ReasonTouched},
	} {
		t.Run(name, func(t *testing.T) {
			at := [2]string{test.pinned, test.seen}
			got, _, decision := decided(t, at, at, vault(test.live))
			assert.Equal(t, test.want, got)
			assert.Equal(t, test.reason, decision.Outcomes[0].Reason)
			assert.Equal(t, test.want == test.pinned, len(decision.Patch) == 0, "not one byte changes, or it rolls out")
		})
	}
}

func TestALostKeyForgetsNoHold(t *testing.T) {
	got, seen, _ := decided(t, [2]string{lost2, lost2}, [2]string{lost1, lost2}, vault(d2))
	assert.Equal(t, lost1, got, "an undo to a snapshot of a lost key is kept")
	assert.Equal(t, "vvvvvvvvvvv2", seen)
	got, _, decision := decided(t, [2]string{lost1, lost2}, [2]string{"db", lost2}, vault(d2))
	assert.Equal(t, lost1, got, "a re-apply keeps the hold")
	assert.Equal(t, pin.ReasonHeld, decision.Outcomes[0].Reason)
}

// TestWhatWasOfferedIsWanted: of Secrets alone, and only where it can't be told from
// the digest.
func TestWhatWasOfferedIsWanted(t *testing.T) {
	_, held := using(t, lost1, lost2, "v1")
	known := maps.Clone(vault(d2))
	delete(known, secret(lost2))
	assert.Equal(t, []refs.Target{secret(lost2)}, wanted(pin.Request{New: held, Old: &held}, known))
	_, held = using(t, lost1, d2, "v1")
	assert.Empty(t, wanted(pin.Request{New: held, Old: &held}, known))
	old := on(a1, a2).object(t)
	known = world(a3)
	delete(known, target(a1))
	assert.Empty(t, wanted(pin.Request{New: old, Old: &old}, known))
}

// TestWhatIsNotServedAnyMore: who stops serving Secrets rolls nothing, and breaks no
// manifest.
func TestWhatIsNotServedAnyMore(t *testing.T) {
	unserved := unserved(secret("db"), secret(d1))
	pinned := [2]string{d1, d1}
	got, _, decision := decided(t, pinned, pinned, unserved)
	assert.Equal(t, d1, got)
	assert.Empty(t, decision.Patch, "a pin stays what it is")
	assert.Empty(t, decision.Warnings)

	text, applied := using(t, "db", d1, "v1")
	_, before := using(t, d1, d1, "v1")
	decision = decide(pin.Request{New: applied, Old: &before}, unserved)
	object, err := applied.Kind.Read(apply(t, text, decision))
	require.NoError(t, err)
	assert.Equal(t, "db", refs.Walk(object.Template.Spec)[0].Name, "a manifest is taken as it is")
	assert.NotContains(t, object.Labels, "observed.configpin.io/secret.db", "or a policy would take it for pinned")

	text, out := using(t, d1, d1, "v1")
	out.Labels = map[string]string{wellknown.Enabled: "false", "observed.configpin.io/secret.db": "111111111111"}
	decision = decide(pin.Request{New: out, Old: &before}, unserved)
	object, err = out.Kind.Read(apply(t, text, decision))
	require.NoError(t, err)
	assert.Equal(t, "db", refs.Walk(object.Template.Spec)[0].Name, "opting out puts the source's name back")

	_, never := using(t, "db", "", "v1")
	assert.Empty(t, decide(pin.Request{New: never}, unserved).Patch)
}

func TestAJobOfWhatIsNotServedAnyMore(t *testing.T) {
	job := workload.Lookup("batch", "Job")
	read := func(name, pins string) workload.Object {
		object, err := job.Read(fmt.Sprintf(`{"metadata": {"name": "once", "labels": {"configpin.io/enabled": "true"}}, "spec": {"template": {
			"metadata": {"annotations": {"configpin.io/pins": %q}}, "spec": {"volumes": [{"secret": {"secretName": %q}}]}}}}`, pins, name))
		require.NoError(t, err)
		return object
	}
	before := read(d1, "secret/db="+d1)
	decision := decide(pin.Request{New: read("db", "secret/db="+d1), Old: &before}, unserved(secret("db"), secret(d1)))
	require.Len(t, decision.Patch, 1, "its template can't change")
	assert.Equal(t, d1, decision.Patch[0].Value)
}

// TestNoWarningSaysWhichSecretsThereAre: who writes workloads may not read Secrets, and
// pins can be written by anybody.
func TestNoWarningSaysWhichSecretsThereAre(t *testing.T) {
	for name, fact := range map[string]pin.Fact{
		"none":                   {Role: pin.Absent},
		"a plain one":            {Role: pin.Plain},
		"one with a misspelling": {Role: pin.Plain, Invalid: "yes"},
	} {
		for _, pinned := range []string{"db", d1} {
			_, written := using(t, "db", "", "v1")
			if pinned != "db" {
				written.Template.Annotations = map[string]string{wellknown.Pins: "secret/db=" + pinned}
			}
			decision := decide(pin.Request{New: written}, pin.Facts{secret("db"): fact, secret(d1): {Role: pin.Absent}})
			assert.Empty(t, decision.Warnings, "%s, pinned to %s", name, pinned)
		}
	}
}
