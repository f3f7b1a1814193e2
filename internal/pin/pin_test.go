package pin_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/configpin/configpin/internal/pin"
	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/wellknown"
	"github.com/configpin/configpin/internal/workload"
)

func TestAnUndoLeavesOtherSourcesAlone(t *testing.T) {
	seen := snapshot.ObservedLabel(wellknown.ConfigMap, "extra")
	old := on(a2, a2, b2).label(seen, snapshot.Suffix(b2)).object(t)
	request := pin.Request{Old: &old, New: on(a2, a1, b2).label(seen, snapshot.Suffix(b2)).object(t)}
	got := decide(request, world(a2))
	assert.Empty(t, got.Patch, "not one byte: extra moved to b1, and is picked up by the next touch")
	assert.Equal(t, pin.ReasonUndone, got.Outcomes[1].Reason)
}

func TestAnUndoChangesNotOneByte(t *testing.T) {
	old := on(a2, a2).object(t)
	got := decide(pin.Request{Old: &old, New: on(a2, a1).object(t)}, world(a2))
	assert.Empty(t, got.Patch)
}

func TestSeveralSnapshotsAsBeforeAreLeftAlone(t *testing.T) {
	both := on(a2, a1, a2).withPins("configmap/app=" + a1)
	old := both.object(t)
	got := decide(pin.Request{Old: &old, New: both.object(t)}, world(a2))
	assert.Empty(t, got.Denied)
	assert.Empty(t, got.Patch)
	assert.Empty(t, got.Warnings, "nothing was written that has to do with it")

	edited := both.label(observed("app"), snapshot.Suffix(a1))
	got = decide(pin.Request{Old: &old, New: edited.object(t)}, world(a2))
	assert.Empty(t, got.Denied, "somebody wrote a label that only admission writes")
	require.Len(t, got.Patch, 1)
	assert.Equal(t, "/metadata/labels/observed.configpin.io~1configmap.app", got.Patch[0].Path)
	assert.Equal(t, snapshot.Suffix(a2), got.Patch[0].Value)

	changed := both.withImage("v2")
	got = decide(pin.Request{Old: &old, New: changed.object(t)}, world(a2))
	assert.Empty(t, got.Patch)
	assert.Equal(t, []string{"configmap/app: several snapshots are named, so none is changed: name one, or app itself"}, got.Warnings)
}

func TestWhatIsLeftAloneAndNamesItsSourceIsNotCalledPinned(t *testing.T) {
	old := on(a1, a1, a1).object(t)
	request := pin.Request{Old: &old, New: on(a1, a1, "app").withExclude("configmap/app").object(t)}
	decision := decide(request, world(a1))
	require.Len(t, decision.Patch, 2, "the refs stay as they are, and our keys go")
	assert.Equal(t, "/spec/template/metadata/annotations/configpin.io~1pins", decision.Patch[0].Path)
	assert.Empty(t, decision.Patch[0].Value)
	assert.Equal(t, "/metadata/labels/observed.configpin.io~1configmap.app", decision.Patch[1].Path)
}

func TestAnExcludedSourceIsNoUndo(t *testing.T) {
	old := on(a1, a1, b1).withExclude("configmap/extra").object(t)
	request := pin.Request{Old: &old, New: on(a1, a1, b2).withExclude("configmap/extra").object(t)}
	got := decide(request, world(a2))
	assert.Equal(t, pin.ReasonTouched, got.Outcomes[0].Reason)
	assert.Equal(t, a2, got.Outcomes[0].Name)
}

func TestWanted(t *testing.T) {
	old := on(a2, a2).object(t)
	request := pin.Request{Old: &old, New: on(a2, a1, "plain").object(t)}
	assert.Equal(t, []refs.Target{target("app"), target(a1), target(a2), target("plain")}, wanted(request, nil))
	assert.Empty(t, wanted(request, world(a2)))

	unknown := pin.Request{New: on("", a1).withPins("-").object(t)}
	assert.Equal(t, []refs.Target{target("app")}, wanted(unknown, pin.Facts{target(a1): {Role: pin.Snapshot, Of: "app"}}),
		"what a snapshot is of is wanted next")
}

func TestWarningsFit(t *testing.T) {
	long := strings.Repeat("x", 240)
	facts := pin.Facts{
		target(long):          {Role: pin.Source, Current: long + "-aaaaaaaaaaaa", Digest: "a"},
		target(long + "none"): {Role: pin.Absent},
	}
	got := decide(pin.Request{New: on("", long, long+"none").object(t)}, facts)
	require.Len(t, got.Warnings, 2)
	for _, warning := range got.Warnings {
		assert.LessOrEqual(t, len(warning), 120, warning)
		t.Log(warning)
	}
}

func ExampleCase() {
	deployment := workload.Lookup("apps", "Deployment")
	object, _ := deployment.Read(`{
		"metadata": {"name": "web", "labels": {"configpin.io/enabled": "true"}},
		"spec": {"template": {"metadata": {}, "spec": {"containers": [{"name": "web", "envFrom": [{"configMapRef": {"name": "app"}}]}]}}}}`)
	facts := pin.Facts{
		{Kind: wellknown.ConfigMap, Name: "app"}: {Role: pin.Source, Current: "app-3f0c2a9b81de", Digest: "3f0c…"},
	}
	decision := decide(pin.Request{New: object}, facts)
	fmt.Println(decision.Warnings[0])
	fmt.Println(decision.Patch[0].Path, decision.Patch[0].Value)
	// Output:
	// configmap/app: pinned to app-3f0c2a9b81de
	// /spec/template/spec/containers/0/envFrom/0/configMapRef/name app-3f0c2a9b81de
}

func TestPinsThatNobodyCanHaveWritten(t *testing.T) {
	for name, entry := range map[string]string{
		"a snapshot with a path for a name":                 "configmap/app=../shop/app-1",
		"a source with a path for a name":                   "configmap/shop/app=app-1",
		"a source that is a folder":                         "configmap/..=app-1",
		"a snapshot with a suffix that is no label's value": "configmap/app=" + strings.Repeat("a", 64),
		"a snapshot that is its source":                     "configmap/app=app",
		"a snapshot without a name":                         "configmap/app=",
	} {
		assert.Empty(t, pin.ParsePins(entry), name)
	}
	assert.Len(t, pin.ParsePins("configmap/app="+a1+",configmap/..=x"), 1, "the others count")
}
