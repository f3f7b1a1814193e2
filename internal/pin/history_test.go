package pin_test

import (
	"cmp"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/configpin/configpin/internal/pin"
)

// TestAsksHistory: nothing is read for a request about which it would change nothing.
func TestAsksHistory(t *testing.T) {
	v2 := func(w written) written { return w.withImage("v2") }
	for _, test := range []struct {
		name     string
		old, new written
		live     string // empty: the source is gone
		want     bool
	}{
		{"another image while the workload is behind", on(a1, a1), v2(on(a1, a1)), a2, true},
		{"another image while it isn't", on(a1, a1), v2(on(a1, a1)), a1, false},
		{"another image while it is held", on(a2, a1), v2(on(a2, a1)), a2, false},
		{"a touch", on(a1, a1), on(a1, a1), a2, false},
		{"a deploy", on(a1, a1), v2(on(a1, "app")), a2, false},
		{"another image, and a source that isn't pinned yet", on(a1, a1), v2(on(a1, a1, "extra")), a2, true},
		{"an undo to another snapshot", on(a2, a2), v2(on(a2, a1)), a3, false},
		{"an undo to another snapshot of one of two", on(a2, a2, b2), v2(on(a2, a1, b2)), a2, true},
		{"an undo to another snapshot, while another is held", on(a2, a1, b1), v2(on(a2, a1, b2)), a2, false},
		{"only deploys change the pin", on(a1, a1).label("rollout", "manual"), v2(on(a1, a1).label("rollout", "manual")), a2, false},
		{"it opts out", on(a1, a1), v2(on(a1, a1)).label("enabled", "false"), a2, false},
		{"it is excluded", on(a1, a1), v2(on(a1, a1)).withExclude("configmap/app"), a2, false},
		{"only what is pinned is told otherwise", on(a1, a1), on(a1, a1).withPins("configmap/app=" + a1 + ",configmap/none=none-1"), a2, false},
		{"nobody understands whether it is opted in", on(a1, a1).label("enabled", "True"), v2(on(a1, a1)).label("enabled", "True"), a2, false},
		{"another image, and a source that is excluded", on(a1, a1), v2(on(a1, a1, "extra").withPins("configmap/app=" + a1).withExclude("configmap/extra")), a2, true},
		{"another image, and several snapshots as before", on(a1, a1, a3), v2(on(a1, a1, a3)), a2, false},
		{"another image while holds are given up", on(a1, a1), v2(on(a1, a1)).label("resume", "true"), a2, false},
		{"an exported manifest with another image", on(a2, a2), v2(on(a1, a1)), a3, false},
		{"another image while the source is gone", on(a1, a1), v2(on(a1, a1)), "", false},
		{"a CronJob has no history", on(a1, a1).withKind("CronJob"), v2(on(a1, a1)).withKind("CronJob"), a2, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			old, facts := test.old.object(t), world(cmp.Or(test.live, a2))
			if test.live == "" {
				facts[target("app")] = pin.Fact{Role: pin.Absent}
			}
			assert.Equal(t, test.want, asksHistory(pin.Request{Old: &old, New: test.new.object(t)}, facts))
		})
	}
	assert.False(t, asksHistory(pin.Request{New: on(a1, a1).object(t)}, world(a2)), "it is created")
	old, going, copied := on(a1, a1).object(t), v2(on(a1, a1)).object(t), v2(on(a1, a1)).object(t)
	going.Terminating, copied.CopyOf = true, "CronJob report"
	assert.False(t, asksHistory(pin.Request{Old: &old, New: going}, world(a2)), "it is being deleted")
	assert.False(t, asksHistory(pin.Request{Old: &old, New: copied}, world(a2)), "its template is another's")
}
