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

// TestRepeatedVariables: what two variables of one name refer to is left as it is,
// whatever else of the template is pinned.
func TestRepeatedVariables(t *testing.T) {
	const told = "configmap/app: env X is in container web more than once, so it is not pinned there"
	twice := func(w written, names ...string) written { w.twice = names; return w }
	for _, test := range []struct {
		name     string
		old      *written
		new      written
		live     string
		refs     []string // afterwards: those of the variables come first
		pins     string
		warnings []string
	}{
		{
			name: "a new workload", new: twice(on("", "app"), "app"), live: a1,
			refs: []string{"app", a1}, pins: "configmap/app=" + a1,
			warnings: []string{"configmap/app: pinned to " + a1, told},
		},
		{
			name: "a new workload that names it nowhere else", new: twice(on(""), "app", "plain"), live: a1,
			refs: []string{"app", "plain"}, pins: "-", warnings: []string{told},
		},
		{
			name: "a touch, when the source changed", live: a2,
			old: ptr(twice(on(a1, a1), "app")), new: twice(on(a1, a1), "app"),
			refs: []string{"app", a2}, pins: "configmap/app=" + a2,
			warnings: []string{"configmap/app: pinned to " + a2},
		},
		{
			name: "one that is pinned, from before: an upgrade rolls nothing", live: a1,
			old: ptr(twice(on(a1, a1), a1)), new: twice(on(a1, a1), a1),
			refs: []string{a1, a1}, pins: "configmap/app=" + a1,
		},
		{
			name: "one that is pinned and held: so does a hold", live: a2,
			old: ptr(twice(on(a2).withPins("configmap/app="+a1), a1)), new: twice(on(a2).withPins("configmap/app="+a1), a1),
			refs: []string{a1}, pins: "configmap/app=" + a1,
		},
		{
			name: "one that is pinned names its source again when that changes", live: a2,
			old: ptr(twice(on(a1, a1), a1)), new: twice(on(a1, a1), a1),
			refs: []string{"app", a2}, pins: "configmap/app=" + a2,
			warnings: []string{"configmap/app: pinned to " + a2},
		},
		{
			name: "one that alone is pinned names its source again when that changes", live: a2,
			old: ptr(twice(on(a1).withPins("configmap/app="+a1), a1)), new: twice(on(a1).withPins("configmap/app="+a1), a1),
			refs: []string{"app"}, pins: "",
			warnings: []string{"configmap/app is not pinned any more"},
		},
		{
			name: "an undo to where it was pinned is kept", live: a2,
			old: ptr(twice(on(a2, a2), "app")), new: twice(on(a2, a1), a1),
			refs: []string{a1, a1}, pins: "configmap/app=" + a1,
			warnings: []string{"configmap/app: held at " + a1 + "; to end it, label the deployment configpin.io/resume=true"},
		},
		{
			name: "excluded: nothing to tell", live: a1,
			new:  twice(on(""), "app").withExclude("configmap/app"),
			refs: []string{"app"}, pins: "-",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			request := pin.Request{New: test.new.object(t)}
			if test.old != nil {
				old := test.old.object(t)
				request.Old = &old
			}
			got := decide(request, world(test.live))
			assert.Empty(t, got.Denied)
			assert.Equal(t, test.warnings, got.Warnings)
			stored, err := request.New.Kind.Read(apply(t, test.new.json(), got))
			require.NoError(t, err)
			var names []string
			for _, ref := range refs.Walk(stored.Template.Spec) {
				names = append(names, ref.Name)
			}
			assert.Equal(t, test.refs, names)
			pins, written := stored.Template.Annotations[wellknown.Pins]
			if !written {
				pins = "-"
			}
			assert.Equal(t, test.pins, pins)
			assert.Empty(t, decide(pin.Request{New: stored, Old: &stored}, world(test.live)).Patch, "and stays so")
		})
	}
}

// TestAnExportedManifestConverges: applied again and again, it rolls a workload out
// no more than it would if its names and labels were those of now.
func TestAnExportedManifestConverges(t *testing.T) {
	for name, test := range map[string]struct {
		exported written
		want     string
	}{
		"to what the source holds":                      {on(a1, a1), a3},
		"to its hold, where that is what was exported":  {on(a2, a1), a1},
		"to its hold, where the labels were taken away": {on("", a1), a1},
	} {
		t.Run(name, func(t *testing.T) {
			facts := world(a3)
			stored := on(a3, a3).object(t)
			var names []string
			for range 3 {
				applied := test.exported.label("applied", "true")
				if _, labelled := applied.labels[observed("app")]; !labelled { // apply leaves what it doesn't know
					applied = applied.label(observed("app"), stored.Labels[observed("app")])
				}
				before := stored
				got := decide(pin.Request{New: applied.object(t), Old: &before}, facts)
				require.Empty(t, got.Denied)
				document := apply(t, applied.json(), got)
				var err error
				stored, err = before.Kind.Read(document)
				require.NoError(t, err)
				touch := decide(pin.Request{New: stored, Old: &stored}, facts)
				assert.Empty(t, touch.Patch, "a touch moves it on")
				names = append(names, refs.Walk(stored.Template.Spec)[0].Name)
			}
			assert.Equal(t, []string{test.want, test.want, test.want}, names)
		})
	}
}

// TestNamedBesideASnapshot: neither name is taken for the other's where the template
// excludes the source, or nobody versions it; so applying it again changes nothing.
func TestNamedBesideASnapshot(t *testing.T) {
	both := on("", "app", a1).withPins("-")
	for name, test := range map[string]struct {
		new      written
		facts    pin.Facts
		warnings []string
	}{
		"it isn't versioned": {both, with(world(a1), "app", pin.Fact{Role: pin.Plain}), []string{
			"configmap/app: it is named beside a snapshot of it, and not versioned, so neither is changed",
		}},
		"it is excluded": {both.withExclude("configmap/app"), world(a1), nil},
		"it is excluded, with the label of its time": {both.withExclude("configmap/app").label(observed("app"), snapshot.Suffix(a1)), world(a1), nil},
	} {
		for _, old := range []written{both, on(a1, a1), on("", "app")} {
			before := old.object(t)
			got := decide(pin.Request{New: test.new.object(t), Old: &before}, test.facts)
			object := after(t, test.new, got)
			assert.Equal(t, []string{"app", a1}, named(object), name)
			assert.Empty(t, object.Template.Annotations[wellknown.Pins], "%s: a policy refuses templates that begin to name a pinned source", name)
			if len(old.refs) == 1 { // what is there already isn't told again
				assert.Subset(t, got.Warnings, test.warnings, name)
			}
		}
	}
}

// TestNamedBesideASnapshotWhereNobodyCanTell: then the workload keeps its pin, whatever
// else is named.
func TestNamedBesideASnapshotWhereNobodyCanTell(t *testing.T) {
	plain := with(world(a2), "app", pin.Fact{Role: pin.Plain})
	for name, test := range map[string]struct {
		new   written
		facts pin.Facts
	}{
		"whether it is opted in":          {on("", "app", a2).label("enabled", "True"), plain},
		"whether the source is versioned": {on("", "app", a2), with(world(a2), "app", pin.Fact{Role: pin.Plain, Invalid: "True"})},
	} {
		old := on(a2, a2).object(t)
		request := pin.Request{New: test.new.object(t), Old: &old}
		object := after(t, test.new, decide(request, test.facts))
		assert.Equal(t, []string{a2, a2}, named(object), name)
		assert.Equal(t, "configmap/app="+a2, object.Template.Annotations[wellknown.Pins], name)
		again := pin.Request{New: object, Old: &old}
		assert.Empty(t, decide(again, test.facts).Patch, name)
	}
}

// TestAKindThatIsNotServedAnyMore: its names are no part of what a deploy changes.
func TestAKindThatIsNotServedAnyMore(t *testing.T) {
	read := func(app, db, pins string) (string, workload.Object) {
		text := fmt.Sprintf(`{"metadata": {"name": "web", "labels": {"configpin.io/enabled": "true", %q: "222222222222"}}, "spec": {"template": {
			"metadata": {"annotations": {"configpin.io/pins": %q}},
			"spec": {"containers": [{"name": "web", "envFrom": [{"configMapRef": {"name": %q}}, {"secretRef": {"name": %q}}]}]}}}}`,
			observed("app"), pins, app, db)
		object, err := workload.Lookup("apps", "Deployment").Read(text)
		require.NoError(t, err)
		return text, object
	}
	pins := "configmap/app=" + a1 + ",secret/db=" + d1
	facts := world(a2)
	for _, name := range []string{"db", d1} {
		facts[secret(name)] = pin.Fact{Role: pin.Unserved}
	}
	_, held := read(a1, d1, pins)
	text, applied := read("app", "db", pins)
	got := decide(pin.Request{New: applied, Old: &held}, facts)
	require.Len(t, got.Outcomes, 1)
	assert.Equal(t, pin.ReasonHeld, got.Outcomes[0].Reason)
	stored, err := applied.Kind.Read(apply(t, text, got))
	require.NoError(t, err)
	assert.Equal(t, a1, refs.Walk(stored.Template.Spec)[0].Name)
}

func TestOptingOutTellsOnceOfASource(t *testing.T) {
	old := on(a1, a1, a1).object(t)
	new := on(a1, a1, a1).label("enabled", "false").object(t)
	got := decide(pin.Request{Old: &old, New: new}, with(world(a1), "app", pin.Fact{Role: pin.Absent}))
	assert.Equal(t, []string{"configmap/app does not exist: its pin " + a1 + " is kept"}, got.Warnings)
}

func TestWordsOfOthersInWarnings(t *testing.T) {
	problem := "policy \x1b[31mno\x1b[0m\r\n\tsays\u202e: \xff" + strings.Repeat("ä", 200)
	facts := with(world(a2), "app", pin.Fact{Role: pin.Source, Problem: problem})
	got := decide(pin.Request{New: on("", "app").object(t)}, facts)
	require.Len(t, got.Warnings, 1)
	assert.True(t, strings.HasPrefix(got.Warnings[0], "configmap/app: no snapshot can be made, so it is not pinned: policy [31mno [0m says : "), got.Warnings[0])
	assert.LessOrEqual(t, len(got.Warnings[0]), 120)
	assert.Equal(t, got.Warnings[0], strings.ToValidUTF8(got.Warnings[0], "?"), "no character is cut in two")
}

// TestKeysAreNeverCut: whoever is told to write a label has to be told which.
func TestKeysAreNeverCut(t *testing.T) {
	long := strings.Repeat("x", 200)
	first, second := long+"-111111111111", long+"-222222222222"
	facts := pin.Facts{
		target(long):   {Role: pin.Source, Current: second, Digest: digest(a2)},
		target(first):  {Role: pin.Snapshot, Of: long, Digest: digest(a1)},
		target(second): {Role: pin.Snapshot, Of: long, Digest: digest(a2)},
	}
	old := on("", second).label(observed(long), snapshot.Suffix(second)).object(t)
	got := decide(pin.Request{Old: &old, New: on("", first).label(observed(long), snapshot.Suffix(second)).object(t)}, facts)
	require.Len(t, got.Warnings, 1)
	assert.Contains(t, got.Warnings[0], "label the deployment configpin.io/resume=true")
	assert.LessOrEqual(t, len(got.Warnings[0]), 120)
}

// BenchmarkDecideWithManySources is a template as large as it can be: its time must
// not grow with the product of sources and refs.
func BenchmarkDecideWithManySources(b *testing.B) {
	for name, hidden := range map[string]bool{"read": false, "hidden": true} {
		b.Run(name, func(b *testing.B) { decideWithManySources(b, hidden) })
	}
}

func decideWithManySources(b *testing.B, hidden bool) {
	b.Helper()
	const sources, times = 490, 35
	facts := pin.Facts{}
	var applied, names []string
	for i := range sources {
		source := fmt.Sprintf("source-%d", i)
		name := source + "-111111111111"
		facts[target(source)] = pin.Fact{Role: pin.Source, Current: name, Digest: digest(a1)}
		facts[target(name)] = pin.Fact{Role: pin.Snapshot, Of: source, Digest: digest(a1)}
		if hidden {
			facts[target(source)], facts[target(name)] = pin.Fact{Role: pin.Unserved, Hidden: true}, pin.Fact{Role: pin.Unserved, Hidden: true}
		}
		for range times {
			applied, names = append(applied, source), append(names, name)
		}
	}
	old := on("", names...).object(b)
	request := pin.Request{New: on("", applied...).object(b), Old: &old}
	for b.Loop() {
		decide(request, facts)
	}
}
