package pin_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/configpin/configpin/internal/pin"
	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/wellknown"
	"github.com/configpin/configpin/internal/workload"
)

// pinnedObject names a ConfigMap, was offered a suffix, and says so.
func pinnedObject(t *testing.T, name, offered string) *workload.Object {
	t.Helper()
	pins, labels := "", ""
	if name != "app" {
		pins = "configmap/app=" + name
	}
	if offered != "" {
		labels = fmt.Sprintf(`"observed.configpin.io/configmap.app": %q`, offered)
	}
	object, err := workload.Lookup("apps", "Deployment").Read(fmt.Sprintf(`{"metadata": {"name": "web", "labels": {%s}}, "spec": {"template": {
		"metadata": {"annotations": {"configpin.io/pins": %q}}, "spec": {"volumes": [{"configMap": {"name": %q}}]}}}}`, labels, pins, name))
	require.NoError(t, err)
	return &object
}

func TestChanges(t *testing.T) {
	object := func(name, offered string) *workload.Object { return pinnedObject(t, name, offered) }
	for _, test := range []struct {
		name          string
		before, after *workload.Object
		live          string
		reason, told  string
	}{
		{
			name:  "a new workload is pinned",
			after: object("app-aaa", "aaa"), live: "aaa", reason: wellknown.ReasonPinned, told: "configmap/app is pinned to app-aaa",
		},
		{
			name:  "a new workload that was held where it comes from is held",
			after: object("app-aaa", "bbb"), live: "bbb", reason: wellknown.ReasonRollbackHeld,
			told: "configmap/app is held at app-aaa; to end it, label the deployment configpin.io/resume=true",
		},
		{name: "a new workload that isn't pinned is nothing to tell", after: object("app", "")},
		{
			name:   "a workload is pinned",
			before: object("app", ""), after: object("app-aaa", "aaa"), live: "aaa", reason: wellknown.ReasonPinned, told: "configmap/app is pinned to app-aaa",
		},
		{
			name:   "it moves on",
			before: object("app-aaa", "aaa"), after: object("app-bbb", "bbb"), live: "bbb", reason: wellknown.ReasonRolledForward,
			told: "configmap/app moved from app-aaa to app-bbb",
		},
		{
			name:   "it is rolled back, whether admission was there or not",
			before: object("app-bbb", "bbb"), after: object("app-aaa", "bbb"), live: "bbb", reason: wellknown.ReasonRollbackHeld,
			told: "configmap/app is held at app-aaa; to end it, label the deployment configpin.io/resume=true",
		},
		{
			name:   "it is rolled back further",
			before: object("app-bbb", "ccc"), after: object("app-aaa", "ccc"), live: "ccc", reason: wellknown.ReasonRollbackHeld,
			told: "configmap/app is held at app-aaa; to end it, label the deployment configpin.io/resume=true",
		},
		{name: "a hold is no news twice", before: object("app-aaa", "bbb"), after: object("app-aaa", "ccc"), live: "ccc"},
		{
			name:   "the source changes under a hold, and ends it",
			before: object("app-aaa", "bbb"), after: object("app-ccc", "ccc"), live: "ccc", reason: wellknown.ReasonHoldReleased,
			told: "configmap/app is held no more: pinned to app-ccc",
		},
		{
			name:   "the source comes back to what is held",
			before: object("app-aaa", "bbb"), after: object("app-aaa", "aaa"), live: "aaa", reason: wellknown.ReasonHoldReleased,
			told: "configmap/app is held no more: pinned to app-aaa",
		},
		{
			name:   "it is un-pinned",
			before: object("app-aaa", "aaa"), after: object("app", ""), live: "aaa", reason: wellknown.ReasonUnpinned,
			told: "configmap/app is not pinned any more",
		},
		{
			name:   "without a source there is nothing to be held from",
			before: object("app-bbb", "bbb"), after: object("app-aaa", "bbb"), reason: wellknown.ReasonPinned,
			told: "configmap/app is pinned to app-aaa",
		},
		{
			name:   "what is undone while it is behind moves on, and isn't held",
			before: object("app-bbb", "bbb"), after: object("app-aaa", "bbb"), live: "ccc", reason: wellknown.ReasonPinned,
			told: "configmap/app is pinned to app-aaa",
		},
		{name: "without a source a hold is no hold", before: object("app-aaa", "bbb"), after: object("app-aaa", "aaa")},
		{name: "a longer suffix of the same digest is the same content", before: object("app-aaa", "aaa"), after: object("app-aaa", "aaabbb"), live: "aaabbb"},
		{name: "nothing changed", before: object("app-aaa", "aaa"), after: object("app-aaa", "aaa"), live: "aaa"},
	} {
		t.Run(test.name, func(t *testing.T) {
			changes := pin.Changes(test.before, *test.after, func(_ refs.Target, suffix string) bool {
				return test.live != "" && strings.HasPrefix(test.live, suffix)
			})
			if test.reason == "" {
				assert.Empty(t, changes)
				return
			}
			require.Len(t, changes, 1)
			assert.Equal(t, test.reason, changes[0].Reason)
			assert.Equal(t, test.told, pin.Tell(test.after.Kind, changes))
		})
	}
}

func TestMissing(t *testing.T) {
	object := pinnedObject(t, "app-aaa", "bbb")
	object.Labels[wellknown.Enabled] = wellknown.True
	missing := func(current string) []pin.Gone {
		facts := pin.Facts{
			{Kind: "configmap", Name: "app"}:     {Role: pin.Source, Digest: "bbb", Current: current},
			{Kind: "configmap", Name: "app-aaa"}: {Role: pin.Absent},
		}
		return pin.Missing(decide(pin.Request{New: *object, Old: object}, facts), facts)
	}
	snapshot, source := refs.Target{Kind: "configmap", Name: "app-aaa"}, refs.Target{Kind: "configmap", Name: "app"}
	assert.Equal(t, []pin.Gone{{Snapshot: snapshot, Source: source, Followed: true}}, missing("app-bbb"))
	assert.Equal(t, []pin.Gone{{Snapshot: snapshot, Source: source}}, missing(""))
	assert.Empty(t, missing("app-aaa"), "the current snapshot is made again")
}
