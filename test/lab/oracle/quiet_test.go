package oracle

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestLoud(t *testing.T) {
	t.Parallel()
	touch, lease := asked(versionerUser, "patch", "deployments", "web"), asked(versionerUser, "update", "leases", "configpin-versioner")
	before := map[string][]Entry{space: {touch}}
	assert.Empty(t, loud(before, map[string][]Entry{space: {touch, asked(person, "create", configMaps, "app")}, system: {lease}}))
	assert.Equal(t, []Violation{{"I12", space, "deployments web", "patch by " + versionerUser}},
		loud(before, map[string][]Entry{space: {touch, touch}, system: {lease}}))
}

func TestEndOfSeriesIsNotLoud(t *testing.T) {
	t.Parallel()
	event := func(verb string, later time.Duration) Entry {
		e := asked(versionerUser, verb, "events", "web.1")
		e.At = e.At.Add(later)
		return e
	}
	held, again := event("create", 0), event("patch", time.Minute)
	before := map[string][]Entry{space: {held, again}}
	for _, row := range []struct {
		name  string
		after []Entry
		want  int
	}{
		{"the end of the series", []Entry{event("patch", time.Minute+seriesEnd)}, 0},
		{"the end of the series of an Event that is gone", []Entry{event("patch", time.Minute+seriesEnd), event("create", time.Minute+seriesEnd)}, 0},
		{"a repetition", []Entry{event("patch", seriesEnd)}, 1},
		{"another Event", []Entry{asked(versionerUser, "create", "events", "web.2")}, 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			assert.Len(t, loud(before, map[string][]Entry{space: append([]Entry{held, again}, row.after...)}), row.want)
		})
	}
}

func TestElsewhere(t *testing.T) {
	t.Parallel()
	watched := func(namespace string) bool { return namespace == space }
	fine := map[string][]Entry{
		space:     {asked(webhookUser, "create", configMaps, blue)},
		system:    {{User: versionerUser, Verb: "update", Resource: "leases", Namespace: system}, {User: versionerUser, Verb: "create", Resource: "events"}},
		"default": {asked(person, "create", configMaps, "app")},
	}
	assert.Empty(t, elsewhere(fine, watched))
	assert.Equal(t, []Violation{
		{"I8", system, "configmaps app", "create by " + webhookUser + ": nobody asked for it there"},
		{"I8", "default", "events a", "create by " + versionerUser + ": nobody asked for it there"},
	}, elsewhere(map[string][]Entry{
		system:    {asked(webhookUser, "create", configMaps, "app")},
		"default": {asked(versionerUser, "create", "events", "a")},
	}, watched))
}
