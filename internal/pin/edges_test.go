package pin_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/configpin/configpin/internal/pin"
	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/wellknown"
	"github.com/configpin/configpin/internal/workload"
)

// raw is a Deployment of which every word matters.
func raw(t *testing.T, metadata, template, spec string) workload.Object {
	t.Helper()
	if template != "" {
		template = `"metadata": ` + template + `,`
	}
	object, err := workload.Lookup("apps", "Deployment").Read(fmt.Sprintf(`{"metadata": {"name": "web", "namespace": "shop" %s}, "spec": {"template": {%s "spec": %s}}}`, metadata, template, spec))
	require.NoError(t, err)
	return object
}

const enabled = `, "labels": {"configpin.io/enabled": "true"}`

// operations are those of a patch, in one line each.
func operations(d pin.Decision) []string {
	var told []string
	for _, o := range d.Patch {
		told = append(told, fmt.Sprintf("%s %s %v", o.Operation, o.Path, o.Value))
	}
	return told
}

func TestFactOf(t *testing.T) {
	source := snapshot.Object{
		Kind: wellknown.ConfigMap, Name: "app", Data: map[string]string{"a": "b"},
		Annotations: map[string]string{wellknown.Versioned: "true"},
	}
	made := snapshot.Of(source, snapshot.Lengths[1])
	digest := source.Digest("app").String()
	misspelt := source
	misspelt.Annotations = map[string]string{wellknown.Versioned: "yes"}
	plain := source
	plain.Annotations = nil
	assert.Equal(t, pin.Fact{Role: pin.Source, Digest: digest, Current: "app-" + digest[:12]}, pin.FactOf(source))
	assert.Equal(t, pin.Fact{Role: pin.Snapshot, Of: "app", Digest: digest}, pin.FactOf(made))
	assert.Equal(t, pin.Fact{Role: pin.Plain, Invalid: "yes"}, pin.FactOf(misspelt))
	assert.Equal(t, pin.Fact{Role: pin.Plain}, pin.FactOf(plain))
}

// A patch makes what it needs, and no more: labels where there are none, and none where
// there is nothing to say.
func TestAPatchForAWorkloadWithoutLabels(t *testing.T) {
	object := raw(t, "", "", `{"volumes": [{"configMap": {"name": "app"}}]}`)
	got := decide(pin.Request{New: object, NamespaceEnabled: true}, world(a1))
	assert.Equal(t, []string{
		"replace /spec/template/spec/volumes/0/configMap/name " + a1,
		"add /spec/template/metadata map[annotations:map[configpin.io/pins:configmap/app=" + a1 + "]]",
		"add /metadata/labels map[configpin.io/enabled:true observed.configpin.io/configmap.app:111111111111]",
	}, operations(got))

	pinned := raw(t, "", `{"annotations": {"configpin.io/pins": "configmap/app=`+a1+`"}}`, `{"volumes": [{"configMap": {"name": "`+a1+`"}}, {"configMap": {"name": "plain"}}]}`)
	got = decide(pin.Request{New: pinned}, world(a1))
	assert.Equal(t, []string{
		"replace /spec/template/spec/volumes/0/configMap/name app",
		"remove /spec/template/metadata/annotations/configpin.io~1pins <nil>",
	}, operations(got), "opting out adds nothing, and leaves what isn't ours")
}

// What was pinned once and isn't any more says so, or a template that knows of no pins
// couldn't be told from one that came from elsewhere.
func TestTheEmptyPinsAreKept(t *testing.T) {
	const added = "add /spec/template/metadata/annotations map[configpin.io/pins:]"
	for name, test := range map[string]struct {
		old, new written
		want     []string
	}{
		"what was pinned isn't named any more": {on(a1, a1), on("", "plain"), []string{added}},
		"it wasn't any more before":            {on("", "plain").withPins(""), on("", "plain"), []string{added}},
		"it says so already":                   {on("", "plain").withPins(""), on("", "plain").withPins(""), nil},
		"it never was":                         {on("", "plain"), on("", "plain"), nil},
		"somebody says so who can't know": {
			on("", "plain"), on("", "plain").withPins("configmap/app=" + a1),
			[]string{"add /spec/template/metadata/annotations/configpin.io~1pins "},
		},
	} {
		t.Run(name, func(t *testing.T) {
			old := test.old.object(t)
			assert.Equal(t, test.want, operations(decide(pin.Request{New: test.new.object(t), Old: &old}, world(a1))))
		})
	}
}

// An undo of a workload that was never offered anything, of a source that is gone, gets no
// empty label.
func TestNoLabelIsEmpty(t *testing.T) {
	old := on("", a1).object(t)
	got := decide(pin.Request{Old: &old, New: on("", a2).object(t)}, with(world(a1), "app", pin.Fact{Role: pin.Absent}))
	assert.Equal(t, pin.ReasonRolledBack, got.Outcomes[0].Reason)
	assert.Empty(t, got.Patch)
}

// A workload of which nothing but a label is left of ours is put right, too, and one that
// is none of ours is left as it is.
func TestWhatIsOurs(t *testing.T) {
	label := raw(t, `, "labels": {"observed.configpin.io/configmap.app": "111111111111"}`, "", `{"volumes": [{"configMap": {"name": "app"}}]}`)
	assert.Equal(t, []string{"remove /metadata/labels/observed.configpin.io~1configmap.app <nil>"}, operations(decide(pin.Request{New: label}, world(a1))))
	assert.NotEmpty(t, wanted(pin.Request{New: label}, pin.Facts{}))

	byHand := raw(t, `, "labels": {"a": "b"}`, "", `{"volumes": [{"configMap": {"name": "`+a1+`"}}]}`)
	assert.Empty(t, decide(pin.Request{New: byHand}, world(a2)))
	assert.Empty(t, wanted(pin.Request{New: byHand}, pin.Facts{}))
}

// What is going, and what is a Job's, comes before every switch.
func TestWhatComesFirst(t *testing.T) {
	old := on(a1, a1).withKind("Job").object(t)
	applied := on("", "app").withKind("Job")
	going := applied.object(t)
	going.Terminating = true
	assert.Empty(t, decide(pin.Request{Old: &old, New: going}, world(a2)).Patch)
	assert.Empty(t, wanted(pin.Request{Old: &old, New: going}, pin.Facts{}))

	misspelt := applied.label("enabled", "yes").object(t)
	got := decide(pin.Request{Old: &old, New: misspelt}, world(a2))
	require.NotEmpty(t, got.Patch)
	assert.Equal(t, a1, got.Patch[0].Value)
}

// The refs of a Job are put back where they were, if they still are of the same source.
func TestAJobWhoseRefsWereExchanged(t *testing.T) {
	old := on(a1, a1, b1, "plain").withKind("Job").object(t)
	got := decide(pin.Request{Old: &old, New: on("", "app", "plain", "extra").withKind("Job").object(t)}, world(a2))
	var named []string
	for _, o := range got.Patch {
		if strings.HasSuffix(o.Path, "/name") {
			named = append(named, fmt.Sprint(o.Path, " ", o.Value))
		}
	}
	assert.Equal(t, []string{"/spec/template/spec/containers/0/envFrom/0/configMapRef/name " + a1}, named)
}

func TestADenialIsToldWithItsOutcomes(t *testing.T) {
	old := on(a2, a2).object(t)
	got := decide(pin.Request{Old: &old, New: on(a2, a1).object(t)}, world(a2, a1))
	require.NotEmpty(t, got.Denied)
	require.Len(t, got.Outcomes, 1)
	assert.Equal(t, pin.ReasonGone, got.Outcomes[0].Reason)
}

func TestWarningsOfSwitchesAreInOrder(t *testing.T) {
	got := decide(pin.Request{New: on("", "app").label("enabled", "1").label("rollout", "2").label("resume", "3").withExclude("x").object(t)}, world(a1))
	assert.Equal(t, []string{
		`label configpin.io/enabled: "1" is not one of its values: "true" or "false"`,
		`label configpin.io/rollout: "2" is not one of its values: "manual"`,
		`label configpin.io/resume: "3" is not one of its values: "true"`,
		`annotation configpin.io/exclude: "x" is not of the form configmap/NAME or secret/NAME`,
	}, got.Warnings)
}

// What is told, and what isn't, of writes that differ in one thing.
func TestWhatWarningsAreAbout(t *testing.T) {
	gone := func(optional bool) (pin.Facts, written) {
		w := on("", "app").withPins("configmap/app=" + a1)
		w.optional = optional
		return with(world(a1), "app", pin.Fact{Role: pin.Absent}), w
	}
	absent, neverPinned := gone(true)
	for name, test := range map[string]struct {
		old   *written
		new   written
		facts pin.Facts
		want  []string
	}{
		"metadata of a template that is held": {
			ptr(on(a2, a1)), on(a2, a1).withExclude("configmap/extra"), world(a2),
			[]string{"configmap/app: held at " + a1 + "; to end it, label the deployment configpin.io/resume=true"},
		},
		"another image beside a pin that stays":                     {ptr(on(a1, a1)), on(a1, a1).withImage("v2"), world(a1), nil},
		"another image beside a pin that was there before its keys": {ptr(on(a1, a1).withPins("-")), on(a1, a1).withPins("-").withImage("v2"), world(a1), nil},
		"one thing that is missing, twice":                          {nil, on("", "none", "none"), world(a1), []string{"configmap/none does not exist: its refs are left as they are"}},
		"a restored Job whose snapshot is there":                    {nil, on("", a1).withKind("Job"), world(a2), nil},
		"a restored Job whose snapshot is about to be":              {nil, on("", a2).withKind("Job"), world(a2, a2), nil},
		"a restored workload whose snapshot is about to be":         {nil, on("", a2), world(a2, a2), nil},
		"an optional source that is gone, and wasn't pinned":        {nil, neverPinned, absent, []string{"configmap/app does not exist: its refs are left as they are"}},
	} {
		t.Run(name, func(t *testing.T) {
			request := pin.Request{New: test.new.object(t)}
			if test.old != nil {
				old := test.old.object(t)
				request.Old = &old
			}
			assert.Equal(t, test.want, decide(request, test.facts).Warnings)
		})
	}
}

// Of Secrets it is told what becomes of a pin, and not which there are.
func TestWarningsAboutSecrets(t *testing.T) {
	db := refs.Target{Kind: wellknown.Secret, Name: "db"}
	one := refs.Target{Kind: wellknown.Secret, Name: "db-111111111111"}
	pinned := func(image string) workload.Object {
		return raw(t, enabled, `{"annotations": {"configpin.io/pins": "secret/db=db-111111111111"}}`, `{"containers": [{"name": "a", "image": "`+image+`", "envFrom": [{"secretRef": {"name": "db-111111111111"}}]}]}`)
	}
	old := pinned("v1")
	kept := pin.Facts{db: {Role: pin.Absent}, one: {Role: pin.Snapshot, Of: "db", Digest: "1"}}
	assert.Equal(t, []string{"secret/db does not exist: its pin db-111111111111 is kept"}, decide(pin.Request{Old: &old, New: pinned("v2")}, kept).Warnings)

	twice := raw(t, enabled, "", `{"containers": [{"name": "a", "env": [{"name": "X", "value": "1"}, {"name": "X", "valueFrom": {"secretKeyRef": {"name": "db", "key": "k"}}}]}]}`)
	assert.Empty(t, decide(pin.Request{New: twice}, pin.Facts{db: {Role: pin.Plain, Invalid: "yes"}}).Warnings)
	source := pin.Facts{db: {Role: pin.Source, Digest: "1", Current: one.Name}}
	assert.Equal(t, []string{"secret/db: env X is in container a more than once, so it is not pinned there"}, decide(pin.Request{New: twice}, source).Warnings)
}

// One ref that needs a source is enough to need it, and one that can be pinned to pin it,
// whichever comes first.
func TestWhatOneOfSeveralRefsIsEnoughFor(t *testing.T) {
	template := `{"annotations": {"configpin.io/pins": "configmap/app=` + a1 + `"}}`
	absent := with(world(a1), "app", pin.Fact{Role: pin.Absent})
	for _, optional := range []string{"true, false", "false, true"} {
		one, other, _ := strings.Cut(optional, ", ")
		spec := func(image, name string) string {
			return fmt.Sprintf(`{"containers": [{"name": "a", "image": %q, "envFrom": [{"configMapRef": {"name": %q, "optional": %s}}, {"configMapRef": {"name": %q, "optional": %s}}]}]}`, image, name, one, name, other)
		}
		old := raw(t, enabled, template, spec("v1", a1))
		got := decide(pin.Request{Old: &old, New: raw(t, enabled, template, spec("v2", "app"))}, absent)
		require.Len(t, got.Outcomes, 1)
		assert.Equal(t, a1, got.Outcomes[0].Name, "its Pods don't start without it")
	}
	firm := `{"name": "a", "envFrom": [{"configMapRef": {"name": "app"}}]}`
	repeated := `{"name": "b", "env": [{"name": "X"}, {"name": "X", "valueFrom": {"configMapKeyRef": {"name": "app", "key": "k"}}}]}`
	for _, containers := range []string{firm + "," + repeated, repeated + "," + firm} {
		got := decide(pin.Request{New: raw(t, enabled, "", `{"containers": [`+containers+`]}`)}, world(a1))
		require.Len(t, got.Outcomes, 1)
		assert.Equal(t, a1, got.Outcomes[0].Name)
	}
}

// A changed template is one that differs in more than names of snapshots and our keys.
func TestWhatADeployIs(t *testing.T) {
	old := on(a2, a1, "plain").withExclude("configmap/x")
	for name, test := range map[string]struct {
		new  written
		want pin.Reason
	}{
		"nothing else":                  {on("", "app", "plain").withExclude("configmap/x"), pin.ReasonHeld},
		"an annotation":                 {on("", "app", "plain").withExclude("configmap/y"), pin.ReasonDeployed},
		"no annotation":                 {on("", "app", "plain"), pin.ReasonDeployed},
		"something that isn't a source": {on("", "app", "none").withExclude("configmap/x"), pin.ReasonDeployed},
		"an image":                      {on("", "app", "plain").withExclude("configmap/x").withImage("v2"), pin.ReasonDeployed},
	} {
		before := old.object(t)
		got := decide(pin.Request{Old: &before, New: test.new.object(t)}, world(a2))
		require.NotEmpty(t, got.Outcomes, name)
		assert.Equal(t, test.want, got.Outcomes[0].Reason, name)
	}
}

// What a Secret was offered by another key is wanted where its digest doesn't tell.
func TestWantedOfSecrets(t *testing.T) {
	db, one := refs.Target{Kind: wellknown.Secret, Name: "db"}, refs.Target{Kind: wellknown.Secret, Name: "db-111111111111"}
	offered := refs.Target{Kind: wellknown.Secret, Name: "db-222222222222"}
	const label = `, "labels": {"configpin.io/enabled": "true", "observed.configpin.io/secret.db": "222222222222"}`
	pins := `{"annotations": {"configpin.io/pins": "secret/db=db-111111111111"}}`
	source := pin.Fact{Role: pin.Source, Digest: "3"}
	for name, test := range map[string]struct {
		metadata, template, named string
		facts                     pin.Facts
		want                      []refs.Target
	}{
		"by its pins":                 {label, pins, one.Name, pin.Facts{one: {Role: pin.Absent}, db: source}, []refs.Target{offered}},
		"by its snapshot":             {label, "", one.Name, pin.Facts{one: {Role: pin.Snapshot, Of: "db"}, db: source}, []refs.Target{offered}},
		"by its own name":             {label, "", db.Name, pin.Facts{db: source}, []refs.Target{offered}},
		"it is what the source holds": {label, pins, one.Name, pin.Facts{one: {Role: pin.Absent}, db: {Role: pin.Source, Digest: "2222222222223"}}, nil},
		"it wasn't offered anything":  {enabled, pins, one.Name, pin.Facts{one: {Role: pin.Absent}, db: source}, nil},
		"its source is gone":          {label, pins, one.Name, pin.Facts{one: {Role: pin.Absent}, db: {Role: pin.Absent}}, nil},
	} {
		object := raw(t, test.metadata, test.template, fmt.Sprintf(`{"volumes": [{"secret": {"secretName": %q}}]}`, test.named))
		assert.ElementsMatch(t, test.want, wanted(pin.Request{New: object}, test.facts), name)
	}
}

// Nothing is wanted where nothing is decided, but what was there before is put back.
func TestWhatIsNotWanted(t *testing.T) {
	assert.Empty(t, wanted(pin.Request{New: on(a1, a1).label("enabled", "yes").object(t)}, pin.Facts{}))
	old := on(a1, a1).withKind("Job").object(t)
	assert.NotEmpty(t, wanted(pin.Request{Old: &old, New: on("", "app").withKind("Job").label("enabled", "yes").object(t)}, pin.Facts{}))
	copied, err := workload.Lookup("batch", "Job").Read(`{"metadata": {"labels": {"configpin.io/enabled": "true"}, "ownerReferences":
		[{"apiVersion": "batch/v1", "kind": "CronJob", "controller": true}]}, "spec": {"template": {"spec": {"volumes": [{"configMap": {"name": "app"}}]}}}}`)
	require.NoError(t, err)
	assert.Empty(t, wanted(pin.Request{New: copied}, pin.Facts{}))
}

// What is kept of a kind that isn't served any more is what the template alone says: no
// label is made up, and a source that is named beside its snapshot isn't pinned.
func TestPinsOfAKindThatIsNotServed(t *testing.T) {
	const pins = `{"annotations": {"configpin.io/pins": "secret/db=db-111111111111"}}`
	object := raw(t, "", pins, `{"volumes": [{"secret": {"secretName": "db-111111111111"}}]}`)
	got := decide(pin.Request{Old: &object, New: object, NamespaceEnabled: true}, unserved(secret("db"), secret("db-111111111111")))
	assert.Equal(t, []string{"add /metadata/labels map[configpin.io/enabled:true]"}, operations(got))

	object = raw(t, `, "labels": {"configpin.io/enabled": "true", "observed.configpin.io/secret.db": "111111111111"}`, pins,
		`{"volumes": [{"secret": {"secretName": "db-111111111111"}}, {"secret": {"secretName": "db"}}]}`)
	got = decide(pin.Request{Old: &object, New: object}, unserved(secret("db"), secret("db-111111111111")))
	assert.Equal(t, []string{
		"add /spec/template/metadata/annotations/configpin.io~1pins ",
		"remove /metadata/labels/observed.configpin.io~1secret.db <nil>",
	}, operations(got))
}
