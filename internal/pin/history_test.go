package pin_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/configpin/configpin/internal/pin"
	"github.com/configpin/configpin/internal/workload"
)

// TestAsksHistory: nothing is read for a request about which it would change nothing.
func TestAsksHistory(t *testing.T) {
	v2 := func(w written) written { return w.withImage("v2") }
	for _, test := range []struct {
		name     string
		old, new written
		live     string
		want     bool
	}{
		{"another image while the workload is behind", on(a1, a1), v2(on(a1, a1)), a2, true},
		{"another image while it isn't", on(a1, a1), v2(on(a1, a1)), a1, false},
		{"another image while it is held", on(a2, a1), v2(on(a2, a1)), a2, false},
		{"a touch", on(a1, a1), on(a1, a1), a2, false},
		{"a deploy", on(a1, a1), v2(on(a1, "app")), a2, false},
		{"another image, and a source that isn't pinned yet", on(a1, a1), v2(on(a1, a1, "extra")), a2, false},
		{"an undo to another snapshot", on(a2, a2), v2(on(a2, a1)), a3, false},
		{"an undo to another snapshot of one of two", on(a2, a2, b2), v2(on(a2, a1, b2)), a2, false},
		{"only deploys change the pin", on(a1, a1).label("rollout", "manual"), v2(on(a1, a1).label("rollout", "manual")), a2, false},
		{"it opts out", on(a1, a1), v2(on(a1, a1)).label("enabled", "false"), a2, false},
		{"it is excluded", on(a1, a1), v2(on(a1, a1)).withExclude("configmap/app"), a2, false},
		{"a CronJob has no history", on(a1, a1).withKind("CronJob"), v2(on(a1, a1)).withKind("CronJob"), a2, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			old := test.old.object(t)
			assert.Equal(t, test.want, pin.AsksHistory(pin.Request{Old: &old, New: test.new.object(t)}, world(test.live)))
		})
	}
	assert.False(t, pin.AsksHistory(pin.Request{New: on(a1, a1).object(t)}, world(a2)), "it is created")
}

func TestReturns(t *testing.T) {
	object, err := workload.Lookup("apps", "Deployment").Read(`{"metadata": {"name": "web"}, "spec": {"template": {
		"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": "v1", "resources": {}}]}}}}`)
	require.NoError(t, err)
	for name, test := range map[string]struct {
		kept string
		want bool
	}{
		"a ReplicaSet's": {
			`{"metadata": {"creationTimestamp": null, "labels": {"app": "web", "pod-template-hash": "x"}}, "spec": {"containers": [{"name": "web", "image": "v1"}]}}`, true,
		},
		"a ControllerRevision's": {
			`{"$patch": "replace", "metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"image": "v1", "name": "web", "resources": {}}]}}`, true,
		},
		"another image":  {`{"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": "v2"}]}}`, false},
		"another label":  {`{"metadata": {"labels": {"app": "other"}}, "spec": {"containers": [{"name": "web", "image": "v1"}]}}`, false},
		"no object":      {`[]`, false},
		"an empty one":   {`{}`, false},
		"no JSON at all": {`{`, false},
	} {
		assert.Equal(t, test.want, pin.Returns(object.Template, test.kept), name)
	}
}
