package pin_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/configpin/configpin/internal/pin"
	"github.com/configpin/configpin/internal/snapshot"
)

// TestSituations has requests in which what is known is about to be taken for something
// else: each differs in one thing from one that is decided otherwise.
func TestSituations(t *testing.T) {
	absent := pin.Fact{Role: pin.Absent}
	refused := pin.Fact{Role: pin.Source, Digest: digest(a1), Problem: "exceeded quota"}
	gone := func(names ...string) pin.Facts {
		facts := world(a2)
		for _, name := range names {
			facts[target(name)] = absent
		}
		return facts
	}
	seen := func(suffix string, w written) written { return w.label(observed("app"), suffix) }
	for name, test := range map[string]struct {
		old    *written
		new    written
		facts  pin.Facts
		in     string
		want   string
		seen   string // the label
		reason pin.Reason
	}{
		"a snapshot that is gone is of the source that OLD says": {
			ptr(on(a2, a2)), on(a2, a2).withPins("-"), gone(a2), a2, a2, "222222222222", pin.ReasonTouched,
		},
		"a source that is gone is one, since something is pinned for it": {
			ptr(on("", a1).withPins("-")), on("", "app"), gone("app"), "app", a1, "", pin.ReasonUnavailable,
		},
		"a Job's variables that repeat": {
			ptr(func() written {
				w := on(a1).withPins("configmap/app=" + a1).withKind("Job")
				w.twice = []string{a1}
				return w
			}()),
			func() written {
				w := on(a1).withPins("configmap/app=" + a1).withKind("Job")
				w.twice = []string{a2}
				return w
			}(),
			world(a2), a2, a1, "111111111111", pin.ReasonFrozen,
		},
		"a deploy while an optional source can't be kept": {
			ptr(on(a2, a2).withOptional()), on("", "app").withOptional().withImage("v2"), with(world(a2), "app", refused),
			"app", a2, "222222222222", pin.ReasonUnavailable,
		},
		"a hold whose label is written away": {
			ptr(on(a2, a1)), on("", a1), world(a2), a1, a1, "222222222222", pin.ReasonHeld,
		},
		"the source's name beside its pin": {
			ptr(on(a1, a1, a1)), on(a1, a1, "app"), world(a2), "app", a2, "222222222222", pin.ReasonReapplied,
		},
		"the excluded source's name beside its pin": {
			ptr(on(a1, a1)), on(a1, a1, "app").withExclude("configmap/app"), world(a2), a1, a1, "111111111111", pin.ReasonExcluded,
		},
		"the excluded source's name beside a pin that nobody said": {
			ptr(on(a1, a1)), on(a1, a1, "app").withPins("-").withExclude("configmap/app"), world(a2), a1, a1, "111111111111", pin.ReasonExcluded,
		},
		"several snapshots, of which the pins say the second": {
			ptr(on(a1, a1, a2).withPins("configmap/app=" + a2)), on(a1, a1, a2).withPins("configmap/app=" + a2), world(a2), a2, a2, "111111111111", pin.ReasonAmbiguous,
		},
		"one snapshot after several, which isn't the one that counted": {
			ptr(on(a2, a1, a2).withPins("configmap/app=" + a2)), on(a2, a1), world(a2), a1, a1, "222222222222", pin.ReasonRolledBack,
		},
		"a restored workload, without a source to be held from": {
			nil, on(a2, a1), gone("app", a1, a2), a1, a1, "222222222222", pin.ReasonUnavailable,
		},
		"our own answer, by a longer label of a snapshot that is about to be made": {
			ptr(on(a1, a1)), seen(digest(a2)[:24], on(a2, a2)), gone(a2), a2, a2, digest(a2)[:24], pin.ReasonSeenAgain,
		},
		"a label of live beside a snapshot that is gone": {
			ptr(on(a1, a1)), on(a2, a1), gone(a1), a1, a2, "222222222222", pin.ReasonTouched,
		},
		"what looks let go of, and is needed": {
			ptr(on(a1, a1)), on("", "app").withPins(""), gone("app"), "app", a1, "111111111111", pin.ReasonUnavailable,
		},
		"what looks let go of, and wasn't pinned": {
			ptr(on("", "app").withPins("configmap/app=" + a1).withOptional()), on("", "app").withPins("").withOptional(), gone("app"), "app", "app", "", pin.ReasonUnavailable,
		},
		"what looks let go of, and is named": {
			ptr(on(a1, a1).withOptional()), on("", a1).withPins("").withOptional(), gone("app"), a1, a1, "111111111111", pin.ReasonUnavailable,
		},
		"what looks let go of, by who knows of no pins": {
			ptr(on(a1, a1).withOptional()), on("", "app").withOptional(), gone("app"), "app", a1, "111111111111", pin.ReasonUnavailable,
		},
		"what looks let go of, by who says that it is pinned": {
			ptr(on(a1, a1).withOptional()), on("", "app").withPins("configmap/app=" + a1).withOptional(), gone("app"), "app", a1, "111111111111", pin.ReasonUnavailable,
		},
		"what looks let go of, and was offered something": {
			ptr(on(a1, a1).withOptional()), on(a2, "app").withPins("").withOptional(), gone("app"), "app", a1, "111111111111", pin.ReasonUnavailable,
		},
	} {
		t.Run(name, func(t *testing.T) {
			request := pin.Request{New: test.new.object(t)}
			if test.old != nil {
				old := test.old.object(t)
				request.Old = &old
			}
			got := decide(request, test.facts)
			require.Empty(t, got.Denied)
			require.Len(t, got.Outcomes, 1)
			o := got.Outcomes[0]
			assert.Equal(t, []any{test.in, test.want, test.seen, test.reason}, []any{o.In, o.Name, o.Observed, o.Reason})
		})
	}
}

func TestWhatIsNoHold(t *testing.T) {
	old := on(a1, a2).object(t)
	facts := with(world(a1), "app", pin.Fact{Role: pin.Source, Digest: digest(a1), Problem: "exceeded quota"})
	got := decide(pin.Request{Old: &old, New: old}, facts)
	require.Len(t, got.Outcomes, 1)
	assert.False(t, got.Outcomes[0].Held, "there is nothing to be held from that could be pinned")
}

func TestAnotherSnapshotBesideThePinIsDenied(t *testing.T) {
	old := on(a1, a1).object(t)
	got := decide(pin.Request{Old: &old, New: on(a1, a1, a2).object(t)}, world(a2))
	assert.Contains(t, got.Denied, "refers to 2 snapshots of configmap/app")
}

// Opting out puts back every name that is known to be of a source, and tells of no other.
func TestWhatOptingOutPutsBack(t *testing.T) {
	object := raw(t, `, "labels": {"configpin.io/enabled": "false"}`, `{"annotations": {"configpin.io/pins": "configmap/extra=`+b1+`"}}`,
		`{"volumes": [{"configMap": {"name": "`+a1+`"}}, {"configMap": {"name": "none"}}, {"configMap": {"name": "`+b1+`"}}]}`)
	got := decide(pin.Request{New: object}, world(a1))
	assert.Empty(t, got.Warnings)
	assert.Equal(t, []string{
		"replace /spec/template/spec/volumes/0/configMap/name app",
		"replace /spec/template/spec/volumes/2/configMap/name extra",
		"remove /spec/template/metadata/annotations/configpin.io~1pins <nil>",
	}, operations(got))

	never := raw(t, `, "labels": {"configpin.io/enabled": "false"}`, "", `{"volumes": [{"configMap": {"name": "`+a1+`"}}]}`)
	assert.Empty(t, decide(pin.Request{New: never}, world(a1)).Patch, "it was never opted in")
}

// Labels are made of what there is to say.
func TestLabelsThatAreMade(t *testing.T) {
	template := func(name string) string {
		return `{"annotations": {"configpin.io/pins": "configmap/app=` + name + `"}}`
	}
	old := raw(t, "", template(a1), `{"volumes": [{"configMap": {"name": "`+a1+`"}}]}`)
	undone := raw(t, "", template(a2), `{"volumes": [{"configMap": {"name": "`+a2+`"}}]}`)
	got := decide(pin.Request{Old: &old, New: undone, NamespaceEnabled: true}, with(world(a1), "app", pin.Fact{Role: pin.Absent}))
	assert.Equal(t, []string{"add /metadata/labels map[configpin.io/enabled:true]"}, operations(got))
}

// Who lets go of a source says that it was pinned, although nobody said so before; and who
// excludes one doesn't.
func TestTheEmptyPinsOfWhatIsLetGo(t *testing.T) {
	old := on(a1, a1).withPins("-").withOptional().object(t)
	got := decide(pin.Request{Old: &old, New: on(a1, "app").withOptional().withImage("v2").object(t)}, with(world(a1), "app", pin.Fact{Role: pin.Absent}))
	assert.Equal(t, pin.ReasonDropped, got.Outcomes[0].Reason)
	assert.Equal(t, []string{
		"add /spec/template/metadata/annotations map[configpin.io/pins:]",
		"remove /metadata/labels/observed.configpin.io~1configmap.app <nil>",
	}, operations(got))
	assert.Empty(t, decide(pin.Request{New: on("", "app").withExclude("configmap/app").object(t)}, world(a1)).Patch)
}

// What a Job named for one source isn't put where another is named.
func TestAJobWhoseSourcesWereExchanged(t *testing.T) {
	old := on(a1, a1, b1).withKind("Job").object(t)
	for _, o := range decide(pin.Request{Old: &old, New: on("", "extra", "app").withKind("Job").object(t)}, world(a2)).Patch {
		assert.NotContains(t, o.Path, "/spec/template/spec/")
	}
}

// An optional source of which nothing is known is kept like any other.
func TestAnOptionalSourceThatIsNotKnown(t *testing.T) {
	old := on(a1, a1).withOptional().object(t)
	got := decide(pin.Request{Old: &old, New: on(a1, a1).withOptional().withImage("v2").object(t)}, with(world(a1), "app", pin.Fact{Role: pin.Source, Digest: digest(a2)}))
	assert.Equal(t, []string{"configmap/app does not exist: its pin " + a1 + " is kept"}, got.Warnings)
	assert.Equal(t, snapshot.Suffix(a1), got.Outcomes[0].Observed)
}
