package conformance

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/configpin/configpin/internal/wellknown"
)

// visible is about what people see of each decision: the warning that kubectl
// prints, the annotation in the audit log, and the Event on the workload, word for
// word.
var visible = []scenario{
	{"every decision is visible", everyDecision},
	{"a snapshot that is gone for good is told of", snapshotMissing},
	{"a snapshot that is gone together with its source is told of", snapshotAndSourceMissing},
	{"two sources of one workload are told of in one Event", twoSourcesTold},
	{"of many workloads that move together one Event tells", manyTold},
	{"an Event of an undo without a source calls it no hold", undoWithoutSourceTold},
}

func everyDecision(s *space) {
	s.needAuditLog()
	s.source("app", "blue")
	web := optedIn(s.t, "Deployment", "web", envFrom("app"))
	said := s.apply(web)
	blue := s.pin(web, "app")
	assert.Equal(s.t, []string{"configmap/app: pinned to " + blue}, said.warnings())
	s.event("web", wellknown.ReasonPinned, "configmap/app is pinned to "+blue)
	s.audited("configmap/app=" + blue + " (Created)")
	s.rolledOut(web, 1)

	s.edit("app", "green")
	green := s.showing(web, "app", "green")
	s.event("web", wellknown.ReasonRolledForward, "configmap/app moved from "+blue+" to "+green)
	s.audited("configmap/app=" + green + " (Touched)")
	s.rolledOut(web, 2)

	held := "configmap/app: held at " + blue + "; to end it, label the deployment configpin.io/resume=true"
	assert.Contains(s.t, s.undo(web).warnings(), held)
	s.event("web", wellknown.ReasonRollbackHeld, "configmap/app is held at "+blue+"; to end it, label the deployment configpin.io/resume=true")
	s.audited("configmap/app=" + blue + " (RolledBack)")

	assert.Equal(s.t, []string{held}, s.apply(web).warnings())
	s.audited("configmap/app=" + blue + " (Held)")

	said = s.kubectl("label", "deployment/web", "configpin.io/resume=true")
	assert.Equal(s.t, []string{"configmap/app: pinned to " + green}, said.warnings())
	s.event("web", wellknown.ReasonHoldReleased, "configmap/app is held no more: pinned to "+green)
	s.audited("configmap/app=" + green + " (Resumed)")

	annotate(s, web, wellknown.Exclude, "configmap/app")
	assert.Equal(s.t, []string{"configmap/app is not pinned any more"}, s.apply(web).warnings())
	s.event("web", wellknown.ReasonUnpinned, "configmap/app is not pinned any more")
	s.audited("configmap/app=app (Excluded)")
}

// audited waits for a decision about web in the audit log.
func (s *space) audited(decision string) {
	s.t.Helper()
	s.eventually("the audit log has "+decision, func() (string, bool) {
		found := s.decisions()
		return strings.Join(found, "\n"), slices.Contains(found, decision)
	})
}

func (s *space) decisions() []string {
	s.t.Helper()
	var found []string
	s.eachAudited(func(event audited) {
		if event.ObjectRef.Name == "web" {
			found = append(found, event.Annotations["workload.configpin.io/decision"])
		}
	})
	return found
}

func snapshotMissing(s *space) {
	w := s.rollBack("Deployment", clientSide)
	s.absent["configmap/"+w.blue] = true
	s.removeSnapshot(w.blue)
	s.event("web", wellknown.ReasonSnapshotMissing, "A snapshot that it names is gone, so new Pods can't start: configmap/"+w.blue+
		"; to use what the source holds now, label the deployment configpin.io/resume=true")
	s.pass()
	assert.Equal(s.t, w.blue, s.pin(w.web, "app"), "nobody but a person can tell what to do")
	s.kubectl("label", "deployment/web", "configpin.io/resume=true")
	assert.Equal(s.t, w.green, s.pin(w.web, "app"))
}

func snapshotAndSourceMissing(s *space) {
	w := s.rollBack("Deployment", clientSide)
	s.absent["configmap/app"], s.absent["configmap/"+w.blue] = true, true
	kept := s.readConfigMap(w.blue)
	s.remove(configMap("app", nil))
	s.removeSnapshot(w.blue)
	s.event("web", wellknown.ReasonSnapshotMissing, "A snapshot that it names is gone, so new Pods can't start: configmap/"+w.blue+
		"; create configmap/app again with that content, and annotate it configpin.io/versioned=true")
	s.create(versioned(configMap("app", kept.Data)))
	s.eventually("the snapshot is there again", func() (string, bool) {
		_, there := s.snapshots()[w.blue]
		return "it is gone", there
	})
	s.pass()
	assert.Equal(s.t, w.blue, s.pin(w.web, "app"))
}

func twoSourcesTold(s *space) {
	s.source("app", "blue")
	s.source("extra", "grey")
	web := s.deploy("Deployment", "web", envFrom("app"), volume("extra"))
	blue, grey := s.pin(web, "app"), s.pin(web, "extra")
	s.event("web", wellknown.ReasonPinned, "configmap/app is pinned to "+blue+", configmap/extra is pinned to "+grey)
	s.rolledOut(web, 1)
	s.editTogether(map[string]string{"app": "green", "extra": "white"})
	green, white := s.showing(web, "app", "green"), s.showing(web, "extra", "white")
	s.event("web", wellknown.ReasonRolledForward, "configmap/app moved from "+blue+" to "+green+", configmap/extra moved from "+grey+" to "+white)
	s.rolledOut(web, 2)
	s.undo(web)
	s.event("web", wellknown.ReasonRollbackHeld, "configmap/app is held at "+blue+", configmap/extra is held at "+grey+
		"; to end it, label the deployment configpin.io/resume=true")
}

// manyTold has more workloads move than are told of one by one.
func manyTold(s *space) {
	const many, alone = 25, 20
	s.source("app", "blue")
	var all []*unstructured.Unstructured
	for i := range many {
		web := optedIn(s.t, "Deployment", fmt.Sprint("web-", i), envFrom("app"))
		require.NoError(s.t, unstructured.SetNestedField(web.Object, int64(0), "spec", "replicas"))
		all = append(all, web)
	}
	s.applyAll(all)
	blue := s.showing(all[0], "app", "blue")
	s.event("app", wellknown.ReasonWorkloadsPinned, fmt.Sprintf("%d workloads were pinned to %s", many, blue))
	s.edit("app", "green")
	for _, web := range all {
		s.showing(web, "app", "green")
	}
	s.event("app", wellknown.ReasonWorkloadsMoved, fmt.Sprintf("%d workloads moved to %s", many, s.pin(all[0], "app")))
	told := map[string]int{}
	for _, event := range list[eventsv1.EventList](s).Items {
		told[event.Reason]++
	}
	for reason, want := range map[string]int{
		wellknown.ReasonPinned: alone, wellknown.ReasonWorkloadsPinned: 1,
		wellknown.ReasonRolledForward: alone, wellknown.ReasonWorkloadsMoved: 1,
	} {
		assert.Equal(s.t, want, told[reason], reason)
	}
}

func undoWithoutSourceTold(s *space) {
	w := s.rollBack("Deployment", clientSide)
	s.absent["configmap/app"] = true
	s.remove(configMap("app", nil))
	s.undo(w.web)
	s.event("web", wellknown.ReasonPinned, "configmap/app is pinned to "+w.green)
}
