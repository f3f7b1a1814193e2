package news_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/configpin/configpin/internal/news"
	"github.com/configpin/configpin/internal/pin"
	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/wellknown"
	"github.com/configpin/configpin/internal/workload"
)

// pinned is an opted-in workload that names a ConfigMap, was offered a suffix, and says so.
func pinned(t *testing.T, name, offered string) *workload.Object {
	t.Helper()
	pins, labels := "", `"configpin.io/enabled": "true"`
	if name != "app" {
		pins = "configmap/app=" + name
	}
	if offered != "" {
		labels += fmt.Sprintf(`, "observed.configpin.io/configmap.app": %q`, offered)
	}
	object, err := workload.Lookup("apps", "Deployment").Read(fmt.Sprintf(`{"metadata": {"name": "web", "labels": {%s}}, "spec": {"template": {
		"metadata": {"annotations": {"configpin.io/pins": %q}}, "spec": {"volumes": [{"configMap": {"name": %q}}]}}}}`, labels, pins, name))
	require.NoError(t, err)
	return &object
}

// bySource names its source itself, and has an entry of a pin.
func bySource(t *testing.T) *workload.Object {
	t.Helper()
	object := pinned(t, "app", "")
	object.Template.Annotations[wellknown.Pins] = "configmap/app=app-aaa"
	return object
}

func TestChanges(t *testing.T) {
	object := func(name, offered string) *workload.Object { return pinned(t, name, offered) }
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
			name:   "its names are put back, and its annotation is left",
			before: object("app-aaa", "aaa"), after: bySource(t), live: "aaa", reason: wellknown.ReasonUnpinned,
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
		{
			name:   "the label moves away from a pin that stays",
			before: object("app-aaa", "aaa"), after: object("app-aaa", "bbb"), live: "bbb", reason: wellknown.ReasonRollbackHeld,
			told: "configmap/app is held at app-aaa; to end it, label the deployment configpin.io/resume=true",
		},
		{
			name:   "a shorter label of the same content",
			before: object("app-ccc", "ccc"), after: object("app-aaabbb", "aaa"), live: "aaabbb", reason: wellknown.ReasonRolledForward,
			told: "configmap/app moved from app-ccc to app-aaabbb",
		},
		{
			name:   "it moves to another snapshot without a source",
			before: object("app-aaa", "aaa"), after: object("app-bbb", "bbb"), reason: wellknown.ReasonPinned,
			told: "configmap/app is pinned to app-bbb",
		},
		{name: "nothing changed", before: object("app-aaa", "aaa"), after: object("app-aaa", "aaa"), live: "aaa"},
	} {
		t.Run(test.name, func(t *testing.T) {
			changes := news.Changes(test.before, *test.after, func(_ refs.Target, suffix string) bool {
				return test.live != "" && strings.HasPrefix(test.live, suffix)
			})
			if test.reason == "" {
				assert.Empty(t, changes)
				return
			}
			require.Len(t, changes, 1)
			assert.Equal(t, test.reason, changes[0].Reason)
			assert.Equal(t, test.told, news.Tell(test.after.Kind, changes))
		})
	}
}

// Changes of several sources are in their order, and of nothing there is nothing to tell.
func TestChangesAreSorted(t *testing.T) {
	var pins, volumes []string
	for _, name := range []string{"d", "b", "e", "a", "c"} {
		pins = append(pins, "configmap/"+name+"="+name+"-1")
		volumes = append(volumes, fmt.Sprintf(`{"configMap": {"name": "%s-1"}}`, name))
	}
	object, err := workload.Lookup("apps", "Deployment").Read(fmt.Sprintf(`{"metadata": {"name": "web"}, "spec": {"template": {
		"metadata": {"annotations": {"configpin.io/pins": %q}}, "spec": {"volumes": [%s]}}}}`, strings.Join(pins, ","), strings.Join(volumes, ",")))
	require.NoError(t, err)
	var told []string
	for _, c := range news.Changes(nil, object, func(refs.Target, string) bool { return true }) {
		told = append(told, c.Source.Name)
	}
	assert.Equal(t, []string{"a", "b", "c", "d", "e"}, told)
	assert.Empty(t, news.Tell(object.Kind, nil))
}

// What is missing is what is named, pinned, and not there, and isn't made again.
func TestMissing(t *testing.T) {
	snapshot, source := refs.Target{Kind: "configmap", Name: "app-aaa"}, refs.Target{Kind: "configmap", Name: "app"}
	gone, there := pin.Fact{Role: pin.Absent}, pin.Fact{Role: pin.Snapshot, Of: "app", Digest: "aaa"}
	for name, test := range map[string]struct {
		object *workload.Object
		source pin.Fact
		named  pin.Fact
		want   []news.Gone
	}{
		"the source holds something else":    {pinned(t, "app-aaa", "bbb"), pin.Fact{Role: pin.Source, Digest: "bbb", Current: "app-bbb"}, gone, []news.Gone{{Snapshot: snapshot, Source: source, Followed: true}}},
		"the source has no snapshot":         {pinned(t, "app-aaa", "bbb"), pin.Fact{Role: pin.Source, Digest: "bbb"}, gone, []news.Gone{{Snapshot: snapshot, Source: source}}},
		"the current snapshot is made again": {pinned(t, "app-aaa", "bbb"), pin.Fact{Role: pin.Source, Digest: "bbb", Current: "app-aaa"}, gone, nil},
		"the source is gone, too":            {pinned(t, "app-aaa", "aaa"), gone, gone, []news.Gone{{Snapshot: snapshot, Source: source}}},
		"its snapshot is there":              {pinned(t, "app-aaa", "aaa"), gone, there, nil},
		"it names the source itself":         {bySource(t), gone, there, nil},
	} {
		c := pin.NewCase(pin.Request{New: *test.object, Old: test.object})
		facts := pin.Facts{source: test.source, snapshot: test.named}
		c.Learn(facts)
		assert.Equal(t, test.want, news.Missing(c.Decide(), facts), name)
	}
}
