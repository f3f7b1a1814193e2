package pin_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/configpin/configpin/internal/pin"
	"github.com/configpin/configpin/internal/wellknown"
)

// TestWhatMayNotBeRead: a right that is missing in one namespace un-pins nothing, and
// keeps nothing else from being pinned.
func TestWhatMayNotBeRead(t *testing.T) {
	hidden := pin.Fact{Role: pin.Unserved, Hidden: true}
	const kept = "configmap/app can't be read by configpin: its pin " + a1 + " is kept"
	for _, test := range []struct {
		name     string
		old      *written
		new      written
		want     []string
		pins     string
		observed string
		warnings []string
	}{
		{
			name: "what is created is left alone, and the others are pinned",
			new:  on("", "app", "extra"), want: []string{"app", b1}, pins: "configmap/extra=" + b1,
			warnings: []string{"configmap/extra: pinned to " + b1},
		},
		{
			name: "a touch moves the others alone",
			old:  ptr(on(a2, a1, b2)), new: on(a2, a1, b2), want: []string{a1, b1}, pins: "configmap/app=" + a1 + ",configmap/extra=" + b1, observed: "222222222222",
			warnings: []string{"configmap/extra: pinned to " + b1},
		},
		{
			name: "a manifest that is applied again keeps the pin, and the hold",
			old:  ptr(on(a2, a1)), new: on("", "app").withPins("-"), want: []string{a1}, pins: "configmap/app=" + a1, observed: "222222222222",
			warnings: []string{kept},
		},
		{
			name: "a changed template keeps it as well",
			old:  ptr(on(a2, a1)), new: on("", "app", "app").withPins("-").withImage("v2"), want: []string{a1, a1}, pins: "configmap/app=" + a1, observed: "222222222222",
			warnings: []string{kept},
		},
		{
			name: "an undo passes",
			old:  ptr(on(a2, a2)), new: on(a2, a1), want: []string{a1}, pins: "configmap/app=" + a1, observed: "222222222222",
		},
		{
			name: "what the template excludes is its own matter",
			old:  ptr(on(a2, a1)), new: on("", "app").withPins("-").withExclude("configmap/app"), want: []string{"app"},
		},
		{
			name: "what was never offered isn't said to have been",
			old:  ptr(on("", a1)), new: on("", "app").withPins("-"), want: []string{a1}, pins: "configmap/app=" + a1,
			warnings: []string{kept},
		},
		{
			name: "what no ref was pinned to any more isn't brought back",
			old:  ptr(on(a2, "app").withPins("configmap/app=" + a1)), new: on("", "app").withPins("-"), want: []string{"app"},
		},
		{
			name: "variables whose names repeat stay as they are",
			old:  ptr(on(a2, a1)), new: written{labels: map[string]string{"enabled": "true"}, pins: "-", image: "v1", twice: []string{"app"}}, want: []string{"app"},
		},
		{
			name: "opting out puts the source's name back",
			old:  ptr(on(a2, a1)), new: on(a2, a1).label("enabled", "false"), want: []string{"app"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			facts := world(a2)
			for _, name := range []string{"app", a1, a2, a3} {
				facts[target(name)] = hidden
			}
			request := pin.Request{New: test.new.object(t)}
			if test.old != nil {
				old := test.old.object(t)
				request.Old = &old
			}
			got := decide(request, facts)
			require.Empty(t, got.Denied)
			assert.Equal(t, test.warnings, got.Warnings)
			object := after(t, test.new, got)
			assert.Equal(t, test.want, named(object))
			assert.Equal(t, test.pins, object.Template.Annotations[wellknown.Pins])
			assert.Equal(t, test.observed, object.Labels[observed("app")])
			if test.observed == "" {
				assert.NotContains(t, object.Labels, observed("app"))
			}
			again := request
			again.New = object
			assert.Empty(t, decide(again, facts).Patch, "our own answer is left as it is")
		})
	}
}
