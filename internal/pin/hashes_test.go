package pin_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/configpin/configpin/internal/pin"
	"github.com/configpin/configpin/internal/wellknown"
	"github.com/configpin/configpin/internal/workload"
)

// TestHashesOfConfigAreNoOtherTemplate: they change whenever the config does, and say
// nothing of the template itself.
func TestHashesOfConfigAreNoOtherTemplate(t *testing.T) {
	annotated := func(seen, name string, labels map[string]string, annotations string) workload.Object {
		w := on(seen, name)
		if name == "app" {
			w.pins = "-"
		} else {
			annotations = `"configpin.io/pins":"configmap/app=` + name + `"` + separated(annotations)
		}
		for key, value := range labels {
			w = w.label(key, value)
		}
		object := w.object(t)
		object.Template.Metadata = `{"annotations":{` + annotations + `},"labels":{"app":"web"}}`
		if name != "app" {
			object.Template.Annotations = map[string]string{wellknown.Pins: "configmap/app=" + name}
		}
		return object
	}
	manual := map[string]string{"rollout": "manual"}
	one, two := `"checksum/config":"1"`, `"checksum/config":"2"`
	for _, test := range []struct {
		name          string
		labels        map[string]string
		seen, old     string // what it was offered, and is pinned to
		before, after string // annotations; the source holds a2
		want          string
		reason        pin.Reason
	}{
		{"the same upgrade keeps a hold", nil, a2, a1, one, two, a1, pin.ReasonHeld},
		{"a hash that comes keeps a hold", nil, a2, a1, `"a":"b"`, `"a":"b",` + two, a1, pin.ReasonHeld},
		{"a hash that goes keeps a hold", nil, a2, a1, one, ``, a1, pin.ReasonHeld},
		{"a hash of which the flag says so keeps a hold", nil, a2, a1, `"example.com/hash":"1"`, `"example.com/hash":"2"`, a1, pin.ReasonHeld},
		{"another annotation ends a hold", nil, a2, a1, one, one + `,"a":"b"`, a2, pin.ReasonDeployed},
		{"another annotation ends a hold, beside a hash", nil, a2, a1, one, two + `,"a":"b"`, a2, pin.ReasonDeployed},
		{"a source that moved is followed", nil, a1, a1, one, two, a2, pin.ReasonReapplied},
		{"manual: another hash is a deploy", manual, a1, a1, one, two, a2, pin.ReasonDeployed},
		{"manual: a hash that comes is a deploy", manual, a1, a1, ``, two, a2, pin.ReasonDeployed},
		{"manual: the same hash is none", manual, a1, a1, one, one, a1, pin.ReasonManual},
		{"manual: the same upgrade keeps a hold", manual, a2, a1, one, two, a1, pin.ReasonManual},
	} {
		t.Run(test.name, func(t *testing.T) {
			old := annotated(test.seen, test.old, test.labels, test.before)
			request := pin.Request{
				Old: &old, New: annotated(test.seen, "app", test.labels, test.after),
				Hashes: wellknown.Hashes{"example.com/*"},
			}
			got := decide(request, world(a2))
			require.Len(t, got.Outcomes, 1)
			assert.Equal(t, test.want, got.Outcomes[0].Name)
			assert.Equal(t, test.reason, got.Outcomes[0].Reason)
		})
	}
}

// separated is what comes after another entry.
func separated(entries string) string {
	if entries == "" {
		return ""
	}
	return "," + entries
}

// TestAHashIsWorthAskingHistory: an undo that brings back nothing but a hash is to bring
// nothing newer.
func TestAHashIsWorthAskingHistory(t *testing.T) {
	old, again := on(a1, a1).object(t), on(a1, a1).object(t)
	assert.False(t, asksHistory(pin.Request{Old: &old, New: again}, world(a2)))
	again.Template.Metadata = `{"annotations":{"checksum/config":"1","configpin.io/pins":"configmap/app=` + a1 + `"},"labels":{"app":"web"}}`
	assert.True(t, asksHistory(pin.Request{Old: &old, New: again}, world(a2)))
}
