package pin_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/configpin/configpin/internal/pin"
	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/wellknown"
	"github.com/configpin/configpin/internal/workload"
)

// after is what a decision makes of a written workload.
func after(t require.TestingT, w written, decision pin.Decision) workload.Object {
	object, err := w.object(t).Kind.Read(apply(t, w.json(), decision))
	require.NoError(t, err)
	return object
}

// named are the names of an object's refs.
func named(o workload.Object) []string {
	var names []string
	for _, ref := range refs.Walk(o.Template.Spec) {
		names = append(names, ref.Name)
	}
	return names
}

// TestASwitchThatNobodyUnderstandsChangesNothing: a person who misspells it, in the
// manifest that is applied, says neither that the workload is pinned nor that it isn't.
func TestASwitchThatNobodyUnderstandsChangesNothing(t *testing.T) {
	const said = `label configpin.io/enabled: "True" is not one of its values: "true" or "false"`
	manifest := func(image string, names ...string) written {
		return on("", names...).withPins("-").withImage(image).label("enabled", "True")
	}
	for _, test := range []struct {
		name     string
		old, new written
		facts    pin.Facts
		want     []string
		pins     string
		observed string
		resume   string
	}{
		{
			name: "a manifest that is applied again names the source", old: on(a1, a1), new: manifest("v1", "app"),
			facts: world(a2), want: []string{a1}, pins: "configmap/app=" + a1, observed: a1,
		},
		{
			name: "a hold isn't lost", old: on(a2, a1), new: manifest("v1", "app"),
			facts: world(a2), want: []string{a1}, pins: "configmap/app=" + a1, observed: a2,
		},
		{
			name: "a changed template keeps the pins as well", old: on(a2, a1), new: manifest("v2", "app"),
			facts: world(a2), want: []string{a1}, pins: "configmap/app=" + a1, observed: a2,
		},
		{
			name: "a source that was never pinned is left alone", old: on(a1, a1), new: manifest("v1", "app", "extra"),
			facts: world(a2), want: []string{a1, "extra"}, pins: "configmap/app=" + a1, observed: a1,
		},
		{
			name: "a ref that is taken out is gone", old: on(a1, a1), new: manifest("v1", "plain"),
			facts: world(a2), want: []string{"plain"},
		},
		{
			name: "a source that changes moves nothing", old: on(a1, a1).label("enabled", "True"), new: on(a1, a1).label("enabled", "True"),
			facts: world(a2), want: []string{a1}, pins: "configmap/app=" + a1, observed: a1,
		},
		{
			name: "an undo is a person's word, and held", old: on(a2, a2), new: on(a2, a1).label("enabled", "True"),
			facts: world(a2), want: []string{a1}, pins: "configmap/app=" + a1, observed: a2,
		},
		{
			name: "so is a manifest that was exported", old: on(a2, a2), new: on(a1, a1).label("enabled", "True"),
			facts: world(a3), want: []string{a1}, pins: "configmap/app=" + a1, observed: a1,
		},
		{
			name: "a resume that waits swallows no undo", old: on(a2, a2).label("resume", "true"), new: on(a2, a1).label("enabled", "True").label("resume", "true"),
			facts: world(a3), want: []string{a1}, pins: "configmap/app=" + a1, observed: a3, resume: "true",
		},
		{
			name: "a source that is gone keeps its pin", old: on(a1, a1), new: manifest("v1", "app"),
			facts: with(world(a2), "app", pin.Fact{Role: pin.Absent}), want: []string{a1}, pins: "configmap/app=" + a1, observed: a1,
		},
		{
			name: "what the template excludes is its own matter", old: on(a1, a1), new: manifest("v1", "app").withExclude("configmap/app"),
			facts: world(a2), want: []string{"app"},
		},
		{
			name: "resume waits until the other one is understood", old: on(a2, a1), new: on(a2, a1).label("enabled", "True").label("resume", "true"),
			facts: world(a2), want: []string{a1}, pins: "configmap/app=" + a1, observed: a2, resume: "true",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			old := test.old.object(t)
			got := decide(pin.Request{Old: &old, New: test.new.object(t)}, test.facts)
			require.Empty(t, got.Denied)
			assert.Contains(t, got.Warnings, said)
			object := after(t, test.new, got)
			assert.Equal(t, test.want, named(object))
			assert.Equal(t, test.pins, object.Template.Annotations[wellknown.Pins])
			assert.Equal(t, strings.TrimPrefix(test.observed, "app-"), object.Labels[observed("app")])
			assert.Equal(t, "True", object.Labels[wellknown.Enabled], "it is the person's to correct")
			assert.Equal(t, test.resume, object.Labels[wellknown.Resume])
		})
	}
}

// TestRolloutThatNobodyUnderstands: where the values that it could have would be
// answered alike, so is this one; where not, the pins stay.
func TestRolloutThatNobodyUnderstands(t *testing.T) {
	old := on(a1, a1).label("rollout", "manual").object(t)
	for name, test := range map[string]struct {
		new  written
		want string
	}{
		"a touch":                   {on(a1, a1), a1},
		"a manifest applied again":  {on("", "app"), a1},
		"a changed template":        {on("", "app").withImage("v2"), a2},
		"what was never pinned yet": {on(a1, a1, "extra"), a1},
	} {
		new := test.new.label("rollout", "Manual")
		got := decide(pin.Request{Old: &old, New: new.object(t)}, world(a2))
		assert.Equal(t, test.want, named(after(t, new, got))[0], name)
		assert.Contains(t, got.Warnings, `label configpin.io/rollout: "Manual" is not one of its values: "manual"`, name)
	}
}

// TestResumeThatNobodyUnderstands ends no hold.
func TestResumeThatNobodyUnderstands(t *testing.T) {
	old, new := on(a2, a1).object(t), on(a2, a1).label("resume", "yes")
	got := decide(pin.Request{Old: &old, New: new.object(t)}, world(a2))
	assert.Equal(t, []string{a1}, named(after(t, new, got)))
	assert.Contains(t, got.Warnings, `label configpin.io/resume: "yes" is not one of its values: "true"`)
}

// TestASourceOfWhichNobodyKnowsWhetherItIsVersioned: who misspells the annotation of
// a source doesn't un-pin its workloads.
func TestASourceOfWhichNobodyKnowsWhetherItIsVersioned(t *testing.T) {
	facts := with(world(a2), "app", pin.Fact{Role: pin.Plain, Invalid: "True"})
	for name, test := range map[string]struct {
		old, new written
		want     string
	}{
		"a manifest applied again": {on(a1, a1), on("", "app").withPins("-"), a1},
		"a changed template":       {on(a1, a1), on("", "app").withPins("-").withImage("v2"), a1},
		"a touch":                  {on(a1, a1), on(a1, a1), a1},
		"an undo":                  {on(a2, a2), on(a2, a1), a1},
		"never pinned":             {on("", "app"), on("", "app"), "app"},
	} {
		old := test.old.object(t)
		got := decide(pin.Request{Old: &old, New: test.new.object(t)}, facts)
		require.Empty(t, got.Denied, name)
		assert.Equal(t, []string{test.want}, named(after(t, test.new, got)), name)
		assert.NotContains(t, got.Warnings, "configmap/app is not pinned any more", name)
	}
	old, new := on(a1, a1).object(t), on("", "app").withPins("-")
	assert.Equal(t, []string{`configmap/app: annotation configpin.io/versioned is "True", not "true" or "false"`},
		decide(pin.Request{Old: &old, New: new.object(t)}, facts).Warnings)
}

// TestNothingPatchesTheTemplateOfAFrozenObject: the API server refuses a Job whose
// template isn't the old one, and with it the person's request.
func TestNothingPatchesTheTemplateOfAFrozenObject(t *testing.T) {
	bare := func(names ...string) written { return on("", names...).withPins("-").withKind("Job") }
	unlabelled := func(w written) written { w.labels = nil; return w }
	for name, test := range map[string]struct {
		old, new written
		enabled  bool
	}{
		"it names a snapshot, and is labelled":             {old: unlabelled(bare(a1)), new: bare(a1)},
		"it names a snapshot, in a namespace that opts in": {old: unlabelled(bare(a1)), new: unlabelled(bare(a1)), enabled: true},
		"it names a source, and is labelled":               {old: unlabelled(bare("app")), new: bare("app")},
		"it names a source, in a namespace that opts in":   {old: unlabelled(bare("app")), new: unlabelled(bare("app")), enabled: true},
		"its manifest names the source":                    {old: bare(a1), new: bare("app")},
		"a switch is misspelt":                             {old: bare(a1), new: bare(a1).label("enabled", "True")},
		"pins are written to it":                           {old: bare(a1), new: bare(a1).withPins("configmap/app=" + a1)},
		"pins are written to it by who opts out":           {old: bare(a1), new: bare(a1).withPins("configmap/app="+a1).label("enabled", "false")},
	} {
		for live, facts := range map[string]pin.Facts{"current": world(a1), "behind": world(a2), "unserved": unserved(target("app"), target(a1))} {
			old := test.old.object(t)
			request := pin.Request{Old: &old, New: test.new.object(t), NamespaceEnabled: test.enabled}
			got := decide(request, facts)
			assert.Empty(t, got.Denied)
			object := after(t, test.new, got)
			if live == "unserved" && name == "its manifest names the source" {
				continue // nobody knows any more what it is a snapshot of
			}
			assert.Equal(t, old.Template.Spec, object.Template.Spec, "%s, %s", name, live)
			assert.Equal(t, old.Template.Annotations[wellknown.Pins], object.Template.Annotations[wellknown.Pins], "%s, %s", name, live)
			_, had := old.Template.Annotations[wellknown.Pins]
			_, has := object.Template.Annotations[wellknown.Pins]
			assert.Equal(t, had, has, "%s, %s", name, live)
		}
	}
}

// TestFrozenTemplatesAreNeverChanged: whatever is written over whatever, an answer
// about a frozen template only brings back what was there.
func TestFrozenTemplatesAreNeverChanged(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := requests().Draw(t, "request")
		d.old.kind = "Job"
		labels := d.new.labels
		d.new = d.old
		d.new.labels = labels
		old := d.old.object(t)
		request := pin.Request{Old: &old, New: d.new.object(t), NamespaceEnabled: rapid.Bool().Draw(t, "namespace")}
		for _, operation := range decide(request, d.facts).Patch {
			assert.NotContains(t, operation.Path, "/template")
		}
	})
}

// TestResumeIsConsumedOfWhatIsOptedOut: stored, it would end a hold that somebody
// makes much later.
func TestResumeIsConsumedOfWhatIsOptedOut(t *testing.T) {
	for _, new := range []written{
		{labels: map[string]string{"enabled": "false", "resume": "true"}, pins: "-", refs: []string{"app"}},
		{labels: map[string]string{"resume": "true"}, pins: "-", refs: []string{"app"}},
	} {
		for name, old := range map[string]*written{"created": nil, "updated": {labels: map[string]string{"enabled": "false"}, pins: "-", refs: []string{"app"}}} {
			request := pin.Request{New: new.object(t)}
			if old != nil {
				before := old.object(t)
				request.Old = &before
			}
			got := decide(request, nil)
			object := after(t, new, got)
			assert.NotContains(t, object.Labels, wellknown.Resume, name)
			assert.Equal(t, []string{"app"}, named(object), name)
			assert.Empty(t, got.Warnings, name)
		}
	}
}

// TestFrozenObjectsOfOthers: of a Job that was never ours nothing is asked, and nothing told;
// of one that was, everything is, although it opts out.
func TestFrozenObjectsOfOthers(t *testing.T) {
	job := func(w written) workload.Object { return w.withKind("Job").object(t) }
	plain := job(written{pins: "-", refs: []string{"none"}})
	others := pin.Request{New: plain, Old: &plain}
	assert.Empty(t, wanted(others, nil))
	assert.Equal(t, pin.Decision{}, decide(others, with(world(a2), "none", pin.Fact{Role: pin.Absent})))
	pinned, out := job(on(a1, a1)), job(on("", "app").withPins("-").label("enabled", "false"))
	assert.Contains(t, wanted(pin.Request{New: out, Old: &pinned}, nil), target("app"))
}

// TestReleasedIsConsumed: the label that has a workload opted out as if it carried none
// isn't left on it, in namespaces that opt in neither.
func TestReleasedIsConsumed(t *testing.T) {
	pinned := written{labels: map[string]string{"observed": a1}, pins: "configmap/app=" + a1, refs: []string{a1}}
	for name, test := range map[string]struct {
		new  written
		want []string
	}{
		"pinned":           {pinned, []string{"app"}},
		"with resume":      {pinned.label("resume", "true"), []string{"app"}},
		"nothing is there": {written{labels: map[string]string{}, pins: "-", refs: []string{"app"}}, []string{"app"}},
		"a Job":            {pinned.withKind("Job"), []string{a1}},
	} {
		for _, before := range []bool{false, true} { // whether an earlier write left the label
			for _, namespace := range []bool{false, true} {
				new := test.new.label("enabled", wellknown.Released).label("rollout", "released")
				old := test.new.object(t)
				if before {
					old = new.object(t)
				}
				request := pin.Request{New: new.object(t), Old: &old, NamespaceEnabled: namespace}
				got := decide(request, world(a2))
				object := after(t, new, got)
				assert.NotContains(t, object.Labels, wellknown.Enabled, name)
				assert.Contains(t, object.Labels, wellknown.Rollout, name)
				assert.NotContains(t, object.Labels, wellknown.Resume, name)
				assert.Equal(t, test.want, named(object), name)
				assert.Empty(t, got.Warnings, name)
			}
		}
	}
}

// TestALabelOnCopiesIsToldOf: a CronJob whose jobTemplate has the label, and not it
// itself, pins nothing.
func TestALabelOnCopiesIsToldOf(t *testing.T) {
	job := func(labels, annotations string) workload.Object {
		object, err := workload.Lookup("batch", "Job").Read(`{"metadata":{"name":"report-1","labels":{` + labels + `},
			"ownerReferences":[{"apiVersion":"batch/v1","kind":"CronJob","name":"report","controller":true}]},
			"spec":{"template":{"metadata":{"annotations":{` + annotations + `}},"spec":{"volumes":[{"configMap":{"name":"app"}}]}}}}`)
		require.NoError(t, err)
		return object
	}
	labelled := job(`"configpin.io/enabled":"true"`, "")
	got := decide(pin.Request{New: labelled}, world(a1))
	assert.Equal(t, []string{"label configpin.io/enabled pins no copy of a template: label cronjob/report itself"}, got.Warnings)
	assert.Empty(t, got.Patch)
	for name, request := range map[string]pin.Request{
		"it was told when it was created":    {New: labelled, Old: &labelled},
		"the CronJob is pinned":              {New: job(`"configpin.io/enabled":"true"`, `"configpin.io/pins":"configmap/app=`+a1+`"`)},
		"the label says no":                  {New: job(`"configpin.io/enabled":"false"`, "")},
		"the namespace opts in, not a label": {New: job("", ""), NamespaceEnabled: true},
	} {
		assert.Equal(t, pin.Decision{}, decide(request, world(a1)), name)
	}
}
