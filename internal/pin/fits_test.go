package pin_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gomodules.xyz/jsonpatch/v2"

	"github.com/configpin/configpin/internal/pin"
	"github.com/configpin/configpin/internal/wellknown"
	"github.com/configpin/configpin/internal/workload"
)

// TestFits: whichever way the pins are written, they count to the byte, beside what the
// template has.
func TestFits(t *testing.T) {
	const room = 256 << 10 // of the API server
	pins := strings.Repeat("p", 100)
	alone := map[string]any{wellknown.Pins: pins}
	for name, test := range map[string]struct {
		had  string // pins
		path string // below the template
		op   string
		to   any
		adds int // bytes
	}{
		"pins beside other annotations": {path: "/metadata/annotations/configpin.io~1pins", op: "add", to: pins, adds: len(wellknown.Pins) + 100},
		"pins in the place of others":   {had: "configmap/a=a-1", path: "/metadata/annotations/configpin.io~1pins", op: "replace", to: pins, adds: 100 - len("configmap/a=a-1")},
		"the only annotation":           {path: "/metadata/annotations", op: "add", to: alone, adds: len(wellknown.Pins) + 100},
		"all metadata":                  {path: "/metadata", op: "add", to: map[string]any{"annotations": alone}, adds: len(wellknown.Pins) + 100},
		"pins that go":                  {had: pins, path: "/metadata/annotations/configpin.io~1pins", op: "remove", to: "left over"},
		"metadata without annotations":  {path: "/metadata", op: "add", to: map[string]any{}},
		"other annotations":             {had: pins, path: "/metadata/annotations", op: "add", to: map[string]any{"a": "b"}},
		"the name of a ref":             {path: "/spec/containers/0/envFrom/0/configMapRef/name", op: "replace", to: "app-111111111111"},
	} {
		t.Run(name, func(t *testing.T) {
			has := len("note")
			if test.had != "" {
				has += len(wellknown.Pins) + len(test.had)
			}
			fits := func(note int) error {
				object := annotated(t, strings.Repeat("n", note), test.had)
				return pin.Fits(object, []jsonpatch.Operation{jsonpatch.NewOperation(test.op, object.Kind.Pointer()+test.path, test.to)})
			}
			require.NoError(t, fits(room-has-test.adds))
			assert.EqualError(t, fits(room-has-test.adds+1), "its template's annotations have 262145 bytes with its pins, more than 262144")
		})
	}
}

// annotated is a Deployment of which the template has a note, and pins if there are any.
func annotated(t *testing.T, note, pins string) workload.Object {
	t.Helper()
	annotations := fmt.Sprintf(`"note": %q`, note)
	if pins != "" {
		annotations += fmt.Sprintf(`, %q: %q`, wellknown.Pins, pins)
	}
	object, err := workload.Lookup("apps", "Deployment").Read(fmt.Sprintf(
		`{"metadata": {"name": "web"}, "spec": {"template": {"metadata": {"annotations": {%s}}, "spec": {}}}}`, annotations))
	require.NoError(t, err)
	return object
}
