package pin_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/configpin/configpin/internal/pin"
	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/wellknown"
	"github.com/configpin/configpin/internal/workload"
)

func TestOptingOut(t *testing.T) {
	old := on(a1, a1).object(t)
	for name, test := range map[string]struct {
		new   written
		facts pin.Facts
		want  string
	}{
		"by taking the label away": {new: written{pins: "configmap/app=" + a1, refs: []string{a1}, image: "v1", labels: map[string]string{observed("app"): "111111111111"}}, facts: world(a2), want: "app"},
		"by the value false":       {new: on(a1, a1).label("enabled", "false"), facts: world(a2), want: "app"},
		"with a source that is gone, whose pin is all that is left": {
			new: on(a1, a1).label("enabled", "false"), facts: with(world(a2), "app", pin.Fact{Role: pin.Absent}), want: a1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := decide(pin.Request{Old: &old, New: test.new.object(t)}, test.facts)
			object, err := old.Kind.Read(apply(t, test.new.json(), got))
			require.NoError(t, err)
			assert.Equal(t, test.want, refs.Walk(object.Template.Spec)[0].Name)
			assert.NotContains(t, object.Labels, observed("app"))
			assert.NotContains(t, object.Template.Annotations, wellknown.Pins)
		})
	}
}

func TestWhatIsLeftAlone(t *testing.T) {
	terminating := on(a1, "app").object(t)
	terminating.Terminating = true
	copied, err := workload.Lookup("batch", "Job").Read(`{"metadata":{"name":"x","labels":{"configpin.io/enabled":"true"},
		"ownerReferences":[{"apiVersion":"batch/v1","kind":"CronJob","name":"report","controller":true}]},
		"spec":{"template":{"spec":{"volumes":[{"configMap":{"name":"app"}}]}}}}`)
	require.NoError(t, err)
	for name, test := range map[string]struct {
		new      workload.Object
		warnings []string
	}{
		"a terminating object": {new: terminating},
		"a copy of another workload": {
			new:      copied,
			warnings: []string{"label configpin.io/enabled pins no copy of a template: label cronjob/report itself"},
		},
		"one that never opted in": {new: written{pins: "-", refs: []string{"app"}}.object(t)},
		"refs to what isn't versioned": {
			new: on("", "plain").object(t),
		},
		"refs to nothing": {
			new:      on("", "none").object(t),
			warnings: []string{"configmap/none does not exist: its refs are left as they are"},
		},
		"optional refs to nothing": {
			new: written{labels: map[string]string{"enabled": "true"}, pins: "-", refs: []string{"none"}, optional: true}.object(t),
		},
		"a switch without a value": {
			new:      on("", "app").label("enabled", "").object(t),
			warnings: []string{`label configpin.io/enabled: "" is not one of its values: "true" or "false"`},
		},
		"a switch that nobody understands": {
			new:      on("", "app").label("enabled", "yes").object(t),
			warnings: []string{`label configpin.io/enabled: "yes" is not one of its values: "true" or "false"`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			facts := world(a1)
			got := decide(pin.Request{New: test.new}, facts)
			assert.Empty(t, got.Patch)
			assert.Empty(t, got.Denied)
			assert.Equal(t, test.warnings, got.Warnings)
		})
	}
}

func TestWrongValues(t *testing.T) {
	new := on("", "plain").label("rollout", "auto").label("resume", "yes").withExclude("app,configmap/x").object(t)
	facts := with(world(a1), "plain", pin.Fact{Role: pin.Plain, Invalid: "yes"})
	got := decide(pin.Request{New: new}, facts)
	assert.Equal(t, []string{
		`label configpin.io/rollout: "auto" is not one of its values: "manual"`,
		`label configpin.io/resume: "yes" is not one of its values: "true"`,
		`annotation configpin.io/exclude: "app" is not of the form configmap/NAME or secret/NAME`,
		`configmap/plain: annotation configpin.io/versioned is "yes", not "true" or "false"`,
	}, got.Warnings)
	assert.Empty(t, got.Patch)
}

func TestOptingInTellsWhyNothingIsPinned(t *testing.T) {
	old, new := written{pins: "-", refs: []string{"plain", "none"}}, written{pins: "-", refs: []string{"plain", "none"}}
	new.labels = map[string]string{"enabled": "true"}
	before, after := old.object(t), new.object(t)
	facts := with(world(a1), "plain", pin.Fact{Role: pin.Plain, Invalid: "yes"})
	assert.Equal(t, []string{
		`configmap/plain: annotation configpin.io/versioned is "yes", not "true" or "false"`,
		"configmap/none does not exist: its refs are left as they are",
	}, decide(pin.Request{Old: &before, New: after}, facts).Warnings)
	assert.Empty(t, decide(pin.Request{Old: &after, New: after}, facts).Warnings, "it was told")
}

func TestANamespaceOptsIn(t *testing.T) {
	new := written{pins: "-", refs: []string{"app"}, bare: true}
	got := decide(pin.Request{New: new.object(t), NamespaceEnabled: true}, world(a1))
	object, err := workload.Lookup("apps", "Deployment").Read(apply(t, new.json(), got))
	require.NoError(t, err)
	assert.Equal(t, "true", object.Labels[wellknown.Enabled])
	assert.Equal(t, "configmap/app="+a1, object.Template.Annotations[wellknown.Pins])

	out := new
	out.labels = map[string]string{"enabled": "false"}
	assert.Empty(t, decide(pin.Request{New: out.object(t), NamespaceEnabled: true}, world(a1)).Patch)
}
