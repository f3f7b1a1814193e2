package inspect_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/configpin/configpin/internal/inspect"
	"github.com/configpin/configpin/internal/pin"
	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/wellknown"
)

func TestProspects(t *testing.T) {
	t.Parallel()
	app := source("app", "two")
	known := []snapshot.Object{app, kept(source("app", "one"), 1), kept(app, 2)}
	one, two := nameOf("app", "one"), nameOf("app", "two")
	manual := pinned("one", "one")
	manual.labels[wellknown.Rollout] = wellknown.RolloutManual
	type row struct {
		to     string
		rolls  bool
		reason pin.Reason
	}
	for _, test := range []struct {
		name    string
		written deployment
		want    map[inspect.Occasion]row
	}{
		{"current", pinned("two", "two"), map[inspect.Occasion]row{
			inspect.Apply:   {two, false, pin.ReasonReapplied},
			inspect.Deploy:  {two, true, pin.ReasonDeployed},
			inspect.Restart: {two, true, pin.ReasonTouched},
			inspect.Edit:    {"", true, pin.ReasonTouched},
		}},
		{"held", pinned("one", "two"), map[inspect.Occasion]row{
			inspect.Apply:   {one, false, pin.ReasonHeld},
			inspect.Deploy:  {two, true, pin.ReasonDeployed},
			inspect.Restart: {one, true, pin.ReasonHeld},
			inspect.Edit:    {"", true, pin.ReasonTouched},
			inspect.Resume:  {two, true, pin.ReasonResumed},
		}},
		{"manual", manual, map[inspect.Occasion]row{
			inspect.Apply:   {one, false, pin.ReasonManual},
			inspect.Deploy:  {two, true, pin.ReasonDeployed},
			inspect.Restart: {one, true, pin.ReasonManual},
			inspect.Edit:    {one, false, pin.ReasonManual},
		}},
		{"not opted in", deployment{names: []string{"app"}, labels: map[string]string{wellknown.Enabled: "false"}}, map[inspect.Occasion]row{
			inspect.OptIn: {two, true, pin.ReasonReapplied},
		}},
		{"a Job", deployment{kind: "Job", names: []string{one}, pins: "configmap/app=" + one}, map[inspect.Occasion]row{
			inspect.Apply: {one, false, pin.ReasonFrozen},
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := map[inspect.Occasion]row{}
			for _, p := range test.written.subject(t).Prospects(index(known...)) {
				assert.Empty(t, p.Denied)
				assert.Len(t, p.Results, 1)
				got[p.Occasion] = row{p.Results[0].To, p.Rolls, p.Results[0].Reason}
				assert.NotEmpty(t, inspect.Because[p.Results[0].Reason])
			}
			assert.Equal(t, test.want, got)
		})
	}
}

// A source can be called anything, also what sounds like a snapshot that is still to be made.
func TestResumed(t *testing.T) {
	t.Parallel()
	app, one := source("app", "two"), nameOf("app", "one")
	all := []snapshot.Object{app, kept(source("app", "one"), 1), kept(app, 2)}
	manual := pinned("one", "one")
	manual.labels[wellknown.Rollout] = wellknown.RolloutManual
	for name, test := range map[string]struct {
		written deployment
		known   []snapshot.Object
		to      string
		reason  pin.Reason
	}{
		"it is held":                             {pinned("one", "two"), all, nameOf("app", "two"), pin.ReasonResumed},
		"only deploys move it":                   {manual, all, nameOf("app", "two"), pin.ReasonResumed},
		"it is behind":                           {pinned("one", "one"), all, nameOf("app", "two"), pin.ReasonResumed},
		"its snapshot is gone":                   {pinned("one", "two"), []snapshot.Object{app, kept(app, 2)}, nameOf("app", "two"), pin.ReasonResumed},
		"it is where it should be":               {pinned("two", "two"), all, "", ""},
		"it follows a source that isn't there":   {pinned("one", "one"), []snapshot.Object{kept(source("app", "one"), 1)}, "", ""},
		"it is held, and its source isn't there": {pinned("one", "two"), []snapshot.Object{kept(source("app", "one"), 1)}, one, pin.ReasonUnavailable},
		"it was never offered anything":          {deployment{names: []string{one}, pins: "configmap/app=" + one}, []snapshot.Object{kept(source("app", "one"), 1)}, "", ""},
		"it was opted out":                       {deployment{names: []string{"app"}, labels: map[string]string{wellknown.Enabled: "false"}}, all, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var want []inspect.Result
			if test.to != "" {
				want = []inspect.Result{{Source: "configmap/app", From: one, To: test.to, Reason: test.reason}}
			}
			assert.Equal(t, want, test.written.subject(t).Resumed(index(test.known...)))
		})
	}
	known := index(all...)
	known.Hide(refs.Target{Kind: wellknown.ConfigMap, Name: "app"}, "you may not read it")
	assert.Empty(t, pinned("one", "two").subject(t).Resumed(known), "nobody can tell")

	secret := source("db", "one")
	secret.Kind, secret.Key = wellknown.Secret, newKey(t, "k")
	known = index(secret)
	known.OwnKey = true
	assert.Equal(t, []inspect.Result{{Source: "secret/db", From: "db", Reason: pin.ReasonResumed, New: true}}, deployment{secret: "db"}.subject(t).Resumed(known))
}

func TestProspectsOfASourceThatIsCalledNew(t *testing.T) {
	t.Parallel()
	subject := deployment{names: []string{"app-new"}, exclude: "configmap/app-new"}.subject(t)
	for _, p := range subject.Prospects(index(source("app-new", "one"))) {
		for _, result := range p.Results {
			assert.Equal(t, "app-new", result.To)
			assert.False(t, result.New)
		}
	}
	assert.Equal(t, "app-new", inspect.Called("app-new"))
}
