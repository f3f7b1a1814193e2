package pin_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/configpin/configpin/internal/pin"
	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/wellknown"
	"github.com/configpin/configpin/internal/workload"
)

// drawn is a request and its facts, from a world small enough that every
// combination of rules comes up.
type drawn struct {
	new, old written
	request  pin.Request
	facts    pin.Facts
	returned bool
}

func (d drawn) decide() pin.Decision { return d.about(d.request, d.facts) }

// about is the decision about another request, in place of the one that was drawn.
func (d drawn) about(r pin.Request, facts pin.Facts) pin.Decision {
	c := known(r, facts)
	if d.returned {
		c.Remember([]string{revision(r.New)})
	}
	return c.Decide()
}

func requests() *rapid.Generator[drawn] {
	names := rapid.SampledFrom([]string{"app", a1, a2, a3, "extra", b1, b2, "plain", "none"})
	object := rapid.Custom(func(t *rapid.T) written {
		w := on("", rapid.SliceOfN(names, 0, 4).Draw(t, "refs")...)
		for _, label := range []struct {
			key    string
			values []string
		}{
			{"enabled", []string{"true", "true", "true", "false", "True", ""}},
			{"rollout", []string{"", "", "manual", "Manual"}},
			{"resume", []string{"", "", "", "true"}},
			{observed("app"), []string{"", "111111111111", "222222222222", "333333333333", "222222222222222222222222"}},
			{observed("extra"), []string{"", "111111111111", "222222222222"}},
		} {
			if value := rapid.SampledFrom(label.values).Draw(t, label.key); value != "" {
				w.labels[label.key] = value
			} else {
				delete(w.labels, label.key)
			}
		}
		if rapid.Bool().Draw(t, "stripped") {
			w.pins = "-"
		}
		w.exclude = rapid.SampledFrom([]string{"", "", "", "configmap/app", "nonsense"}).Draw(t, "exclude")
		w.optional = rapid.Bool().Draw(t, "optional")
		w.twice = rapid.SliceOfN(names, 0, 2).Draw(t, "twice")
		w.image = rapid.SampledFrom([]string{"v1", "v2"}).Draw(t, "image")
		w.bare = w.pins == "-" && w.exclude == "" && rapid.Bool().Draw(t, "bare")
		return w
	})
	return rapid.Custom(func(t *rapid.T) drawn {
		kind := rapid.SampledFrom([]string{"Deployment", "Deployment", "CronJob", "Job"}).Draw(t, "kind")
		d := drawn{new: object.Draw(t, "new"), old: object.Draw(t, "old")}
		d.new.kind, d.old.kind = kind, kind
		if kind == "Job" {
			d.new.twice, d.old.twice = nil, nil // its template can't change, and so not where its refs are
		}
		d.request.New = d.new.object(t)
		returned := false
		if rapid.Bool().Draw(t, "update") {
			old := d.old.object(t)
			d.request.Old = &old
			returned = rapid.Bool().Draw(t, "returned")
		}
		d.facts = world(rapid.SampledFrom([]string{a1, a2, a3}).Draw(t, "live"))
		switch rapid.IntRange(0, 6).Draw(t, "app") {
		case 0:
			with(d.facts, "app", pin.Fact{Role: pin.Absent})
		case 1:
			with(d.facts, "app", pin.Fact{Role: pin.Plain})
		case 2:
			with(d.facts, "app", pin.Fact{Role: pin.Source, Problem: "exceeded quota"})
		case 3:
			with(d.facts, "app", pin.Fact{Role: pin.Plain, Invalid: "True"})
		}
		if gone := rapid.SampledFrom([]string{"", a1, a2}).Draw(t, "gone"); gone != "" {
			with(d.facts, gone, pin.Fact{Role: pin.Absent})
		}
		d.returned = returned && asksHistory(d.request, d.facts)
		return d
	})
}

// made adds to facts what applying a decision makes.
func made(d drawn, decision pin.Decision) pin.Facts {
	facts := pin.Facts{}
	for target, fact := range d.facts {
		facts[target] = fact
	}
	for _, outcome := range decision.Outcomes {
		live := d.facts[outcome.Source].Current
		if outcome.Name == live {
			facts[target(live)] = pin.Fact{Role: pin.Snapshot, Of: outcome.Source.Name, Digest: d.facts[outcome.Source].Digest}
		}
	}
	return facts
}

func TestDecideTwiceIsDecideOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := requests().Draw(t, "request")
		first := d.decide()
		if first.Denied != "" {
			return
		}
		document := apply(t, d.new.json(), first)
		again := d.request
		var err error
		again.New, err = d.request.New.Kind.Read(document)
		require.NoError(t, err)
		second := d.about(again, made(d, first))
		assert.Empty(t, second.Denied)
		assert.Empty(t, second.Patch, "first %+v", first.Outcomes)
	})
}

// TestTouchesSettle: a workload that is behind is right after one touch.
func TestTouchesSettle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := requests().Draw(t, "request")
		touch := pin.Request{New: d.request.New, Old: &d.request.New}
		first := decide(touch, d.facts)
		if first.Denied != "" {
			return
		}
		stored, err := touch.New.Kind.Read(apply(t, d.new.json(), first))
		require.NoError(t, err)
		assert.Empty(t, decide(pin.Request{New: stored, Old: &stored}, made(d, first)).Patch)
	})
}

// TestNoHoldThatNobodyAskedFor: the API server may call twice for one request, and a
// source may change in between. Who asked for no hold gets none, not even against what
// the source holds by then.
func TestNoHoldThatNobodyAskedFor(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := requests().Draw(t, "request")
		first := d.decide()
		if first.Denied != "" || d.request.Old == nil || d.request.New.Kind.Frozen {
			return
		}
		again, facts := d.request, made(d, first)
		var err error
		again.New, err = d.request.New.Kind.Read(apply(t, d.new.json(), first))
		require.NoError(t, err)
		live := rapid.SampledFrom([]string{a1, a2, a3}).Draw(t, "live again")
		facts[target("app")] = world(live)[target("app")]
		asked := holds(first)
		for _, outcome := range first.Outcomes {
			if outcome.Live == "" || d.returned || outcome.Reason == pin.ReasonRolledBack && outcome.In != outcome.Live {
				asked[outcome.Source] = true
			}
		}
		if label := d.old.labels[observed("app")]; label != "" && strings.HasPrefix(digest(live), label) {
			asked[target("app")] = true // it was held against that before
		}
		for source := range holds(d.about(again, facts)) {
			assert.Contains(t, asked, source, "first %+v, then %+v", first.Outcomes, d.about(again, facts).Outcomes)
		}
	})
}

// holds are the sources that a decision leaves held, but for those that the template
// wants left alone.
func holds(decision pin.Decision) map[refs.Target]bool {
	held := map[refs.Target]bool{}
	for _, outcome := range decision.Outcomes {
		if outcome.Held && outcome.Reason != pin.ReasonExcluded && outcome.Reason != pin.ReasonAmbiguous {
			held[outcome.Source] = true
		}
	}
	return held
}

// TestAnUndoDoesNotDependOnATouch: it leaves a workload pinned and held alike, whether
// or not the workload had caught up with its sources just before.
func TestAnUndoDoesNotDependOnATouch(t *testing.T) {
	apps, extras := rapid.SampledFrom([]string{a1, a2, a3}), rapid.SampledFrom([]string{b1, b2})
	rapid.Check(t, func(t *rapid.T) {
		facts := world(apps.Draw(t, "live"))
		behind := on("", apps.Draw(t, "pinned"), extras.Draw(t, "pinned too")).withImage("v2")
		behind.labels[observed("app")] = snapshot.Suffix(behind.refs[0]) // what follows was offered what it has
		behind.labels[observed("extra")] = snapshot.Suffix(behind.refs[1])
		before := behind.object(t)
		touch := decide(pin.Request{New: before, Old: &before}, facts)
		stored, err := before.Kind.Read(apply(t, behind.json(), touch))
		require.NoError(t, err)

		undone := on("", rapid.OneOf(apps, rapid.Just("app")).Draw(t, "undone"), rapid.OneOf(extras, rapid.Just("extra")).Draw(t, "undone too"))
		undone.image = rapid.SampledFrom([]string{"v1", "v2"}).Draw(t, "image")
		if undone.image == behind.image && slices.Equal(undone.refs, behind.refs) {
			return // kubectl undoes nothing to the template that is there
		}
		result := func(old workload.Object) map[string]string {
			undone.labels = old.Labels // an undo leaves them
			c := known(pin.Request{New: undone.object(t), Old: &old}, facts)
			if c.AsksHistory() {
				c.Remember([]string{revision(c.Request().New)})
			}
			after := map[string]string{}
			for _, o := range c.Decide().Outcomes {
				after[o.Source.Name] = fmt.Sprintf("%s, held: %t", o.Name, o.Held)
			}
			return after
		}
		late, soon := result(stored), result(before)
		assert.Equal(t, late, soon)
	})
}

// TestSyncsSettle: whatever manifest a GitOps tool applies again and again over whatever
// is there, the template stays in the end. (But for those that say two things:
// that name a snapshot and give up every hold, or a source beside a snapshot of it.)
func TestSyncsSettle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := requests().Draw(t, "request")
		all := append(slices.Clone(d.new.refs), d.new.twice...)
		app, extra := slices.Contains(all, "app"), slices.Contains(all, "extra")
		mixed := slices.ContainsFunc(all, func(name string) bool {
			return app && strings.HasPrefix(name, "app-") || extra && strings.HasPrefix(name, "extra-")
		})
		pinned := slices.ContainsFunc(all, func(name string) bool { return strings.Contains(name, "-") })
		if d.request.Old == nil || mixed && versioned(d.facts) || pinned && d.new.labels["resume"] != "" {
			return
		}
		stored, facts := *d.request.Old, d.facts
		var templates []workload.Template
		for range 4 {
			manifest := d.new
			for key, value := range stored.Labels { // apply leaves those that it doesn't know
				if _, said := manifest.labels[strings.TrimPrefix(key, wellknown.Domain+"/")]; strings.HasPrefix(key, wellknown.ObservedPrefix) && !said {
					manifest = manifest.label(key, value)
				}
			}
			before := stored
			d.request.New, d.request.Old = manifest.object(t), &before
			got := decide(d.request, facts)
			if got.Denied != "" {
				return
			}
			var err error
			stored, err = before.Kind.Read(apply(t, manifest.json(), got))
			require.NoError(t, err)
			facts = made(drawn{facts: facts}, got)
			templates = append(templates, stored.Template)
		}
		assert.Equal(t, templates[2], templates[3])
	})
}

// versioned says whether all sources are.
func versioned(facts pin.Facts) bool { return facts[target("app")].Role != pin.Plain }

var allowedPath = regexp.MustCompile(`^(/spec/template|/spec/jobTemplate/spec/template)/` +
	`(spec/containers/\d+/envFrom/\d+/configMapRef/name|spec/containers/\d+/env/\d+/valueFrom/configMapKeyRef/name|metadata(/annotations(/configpin\.io~1pins)?)?)$` +
	`|^/metadata/labels(/(observed\.)?configpin\.io~1[a-z.]+)?$`)

func TestPatchTouchesNothingElse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := requests().Draw(t, "request")
		decision := d.decide()
		for _, operation := range decision.Patch {
			assert.Regexp(t, allowedPath, operation.Path)
		}
		assert.JSONEq(t, withoutOurs(t, d.new.json()), withoutOurs(t, apply(t, d.new.json(), decision)))
	})
}

// withoutOurs blanks what admission may change: names of refs, and our keys.
func withoutOurs(t require.TestingT, document string) string {
	var object map[string]any
	require.NoError(t, json.Unmarshal([]byte(document), &object))
	blank(object, "")
	out, err := json.Marshal(object)
	require.NoError(t, err)
	return string(out)
}

func blank(value any, at string) (empty bool) {
	switch value := value.(type) {
	case map[string]any:
		for key, inner := range value {
			switch {
			case key == wellknown.Pins, key == wellknown.Resume, key == wellknown.Enabled, strings.HasPrefix(key, wellknown.ObservedPrefix):
				delete(value, key)
			case (at == "configMapRef" || at == "configMapKeyRef") && key == "name":
				value[key] = ""
			case key == "future":
			default:
				if blank(inner, key) && (key == "annotations" || key == "metadata" || key == "labels") {
					delete(value, key)
				}
			}
		}
		return len(value) == 0
	case []any:
		for _, inner := range value {
			blank(inner, at)
		}
	}
	return false
}

// TestNeverUnpinnedByAccident: what was pinned is un-pinned only where the
// person says so: by opting out, excluding, or not versioning any more.
func TestNeverUnpinnedByAccident(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := requests().Draw(t, "request")
		if d.request.Old == nil {
			return
		}
		switch d.request.New.Labels[wellknown.Enabled] {
		case wellknown.True:
		case "True": // nobody understands it: what admission pinned stays
			if _, ours := d.request.Old.Template.Annotations[wellknown.Pins]; !ours {
				return
			}
		default:
			return
		}
		pinned := map[refs.Target]bool{}
		for _, ref := range refs.Walk(d.request.Old.Template.Spec) {
			if fact := d.facts[ref.Target]; fact.Role == pin.Snapshot {
				pinned[target(fact.Of)] = true
			}
		}
		for _, outcome := range d.decide().Outcomes {
			switch outcome.Reason {
			case pin.ReasonExcluded, pin.ReasonNotVersioned, pin.ReasonDropped, pin.ReasonRepeated:
			case pin.ReasonSeenAgain: // or it was dropped by that answer
			default:
				assert.True(t, outcome.Pinned() || !pinned[outcome.Source], "%+v", outcome)
			}
		}
	})
}

func FuzzParsePins(f *testing.F) {
	f.Add("configmap/app=app-1,secret/db=db-2")
	f.Fuzz(func(t *testing.T, value string) {
		pins := pin.ParsePins(value)
		assert.Equal(t, pins, pin.ParsePins(pin.FormatPins(pins)))
	})
}

func FuzzDecide(f *testing.F) {
	f.Add(on(a2, a2).json(), on(a1, a1).json())
	f.Add(on("", "app", "plain").json(), written{}.json())
	f.Fuzz(func(t *testing.T, new, old string) {
		if !json.Valid([]byte(new)) || !json.Valid([]byte(old)) {
			return
		}
		kind := workload.Lookup("apps", "Deployment")
		newObject, err := kind.Read(new)
		if err != nil {
			return
		}
		oldObject, err := kind.Read(old)
		if err != nil {
			return
		}
		decision := decide(pin.Request{New: newObject, Old: &oldObject}, world(a2))
		for _, operation := range decision.Patch {
			assert.Regexp(t, allowedPathAnywhere, operation.Path)
		}
	})
}

var allowedPathAnywhere = regexp.MustCompile(`^/spec/template/(spec/.*/(name|secretName)|metadata(/annotations(/configpin\.io~1pins)?)?)$|^/metadata/labels`)
