package inspect_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/configpin/configpin/internal/inspect"
	"github.com/configpin/configpin/internal/workload"
)

// entry is one of managedFields: of who owns the pins of a Deployment, or of who doesn't.
func entry(time string, pins bool) string {
	field := "f:replicas"
	if pins {
		field = "f:configpin.io/pins"
	}
	return fmt.Sprintf(`{"manager": "somebody", "time": %q, "fieldsV1": {"f:spec": {"f:template": {"f:metadata": {"f:annotations": {%q: {}}}}}}}`, time, field)
}

// The pins are as old as the oldest write of those who own them: whoever owns them wrote
// them then or earlier.
func TestPinnedBy(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		fields string
		want   time.Time
	}{
		"the earlier comes first":  {"[" + entry("2026-11-28T12:00:00Z", true) + "," + entry("2026-11-29T12:00:00Z", true) + "]", noon},
		"the earlier comes last":   {"[" + entry("2026-11-29T12:00:00Z", true) + "," + entry("2026-11-28T12:00:00Z", true) + "]", noon},
		"others own other fields":  {"[" + entry("2026-11-20T12:00:00Z", false) + "," + entry("2026-11-28T12:00:00Z", true) + "]", noon},
		"nobody can read a time":   {"[" + entry("yesterday", true) + "," + entry("2026-11-28T12:00:00Z", true) + "]", noon},
		"nobody can read the last": {"[" + entry("2026-11-28T12:00:00Z", true) + "," + entry("tomorrow", true) + "]", noon},
		"nobody owns them":         {"[" + entry("2026-11-20T12:00:00Z", false) + "]", time.Time{}},
		"nothing is said":          {"", time.Time{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := workload.Object{Kind: workload.Lookup("apps", "Deployment"), ManagedFields: test.fields}
			assert.Equal(t, test.want, inspect.PinnedBy(o))
		})
	}
}

// Only holds have a beginning, and each its own.
func TestSinceIsOfHolds(t *testing.T) {
	t.Parallel()
	told := time.Date(2026, 11, 28, 13, 0, 0, 0, time.UTC)
	o := workload.Object{
		Kind:          workload.Lookup("apps", "Deployment"),
		ManagedFields: "[" + entry("2026-11-28T14:00:00Z", true) + "]",
	}
	all := []inspect.Ref{
		{Source: "configmap/a", Pinned: "a-1", State: inspect.Current},
		{Source: "configmap/b", Pinned: "b-1", State: inspect.Held},
		{Source: "configmap/c", Pinned: "c-2", State: inspect.Held},
	}
	inspect.Since(all, map[string]time.Time{"configmap/a a-1": told, "configmap/b b-1": told, "configmap/c c-1": told}, o)
	assert.Zero(t, all[0].HeldSince)
	assert.False(t, all[0].HeldBefore)
	assert.Equal(t, told, all[1].HeldSince)
	assert.False(t, all[1].HeldBefore)
	assert.Equal(t, time.Date(2026, 11, 28, 14, 0, 0, 0, time.UTC), all[2].HeldSince, "what was told was of another hold")
	assert.True(t, all[2].HeldBefore)
}

func TestHoldsTold(t *testing.T) {
	t.Parallel()
	for message, want := range map[string][]string{
		"configmap/a is held at a-1":                                        {"configmap/a a-1"},
		"configmap/a is held at a-1, secret/b is held at b-2; to end it, x": {"configmap/a a-1", "secret/b b-2"},
		"configmap/a moved from a-1 to a-2, secret/b is held at b-2":        {"secret/b b-2"},
		"something else": nil,
	} {
		assert.Equal(t, want, inspect.HoldsTold(message), message)
	}
}
