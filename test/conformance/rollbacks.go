package conformance

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/wellknown"
)

// rollbacks are undos to templates that aren't simply an older pin, and objects
// that come back in other ways.
var rollbacks = slices.Concat(ofEachKind, []scenario{
	{"an undo to before the opt-in that changes nothing else keeps a hold", undoBeforeOptInHeld},
	{"an undo to before the opt-in brings back the old image", undoImageBeforeOptIn},
	{"switches stay what they are when a rollout is undone", switchesStay},
	{"what a template excludes goes back with the template", excludeGoesBack},
	{"a workload that its namespace opts in is held like any other", heldByNamespace},
})

// ofEachKind are those that are played for each kind that rolls out.
var ofEachKind = eachKind(map[string]func(s *space, kind string){
	"an undo to before the opt-in is pinned to what the source holds":                    undoBeforeOptIn,
	"an undo to a template that names a snapshot and a source holds one, pins the other": undoMixed,
	"an undo brings back a source that is no longer used":                                undoUnused,
	"an exported workload, created elsewhere, gets what the source holds there":          exportedElsewhere,
	"an exported workload, created where no source is, is left as it is":                 exportedNowhere,
	"objects that are restored with new UIDs are as they were, ConfigMaps first":         restored(false),
	"objects that are restored with new UIDs are as they were, workloads first":          restored(true),
})

func eachKind(play map[string]func(s *space, kind string)) []scenario {
	var all []scenario
	for _, name := range slices.Sorted(maps.Keys(play)) {
		for _, kind := range rolling {
			all = append(all, scenario{name + ": " + kind, func(s *space) { play[name](s, kind) }})
		}
	}
	return all
}

// optedInLater returns a workload whose first revision is from before its opt-in,
// and whose second is pinned to blue.
func (s *space) optedInLater(kind string) *unstructured.Unstructured {
	s.t.Helper()
	s.source("app", "blue")
	web := plainWorkload(s.t, kind, "web", envFrom("app"), volume("app"))
	s.create(web.DeepCopy())
	s.rolledOut(web, 1)
	s.kubectl("label", resourceArgument(web), "configpin.io/enabled=true")
	s.rolledOut(web, 2)
	return web
}

func undoBeforeOptIn(s *space, kind string) {
	web := s.optedInLater(kind)
	first := s.revisions(web)[0]
	s.showing(web, "app", "blue")
	s.edit("app", "green")
	green := s.showing(web, "app", "green")
	s.rolledOut(web, 3)
	said := s.undo(web, "--to-revision="+first.text())
	assert.Contains(s.t, said.warnings(), "configmap/app: pinned to "+green)
	s.pass()
	assert.Equal(s.t, green, s.pin(web, "app"), "nobody knows what it held before")
	s.rolledOut(web, 3)
	assert.False(s.t, s.held(web, "app"))
}

// undoBeforeOptInHeld can't be told from a re-apply of the manifest.
func undoBeforeOptInHeld(s *space) {
	web := s.optedInLater("Deployment")
	blue := s.showing(web, "app", "blue")
	s.edit("app", "green")
	s.showing(web, "app", "green")
	s.rolledOut(web, 3)
	s.undo(web)
	said := s.undo(web, "--to-revision=1")
	assert.Contains(s.t, said.warnings(), "configmap/app: held at "+blue+"; to end it, label the deployment configpin.io/resume=true")
	s.pass()
	assert.True(s.t, s.held(web, "app"))
	s.rolledOut(web, 3)
}

func undoImageBeforeOptIn(s *space) {
	web := s.optedInLater("Deployment")
	s.kubectl("set", "image", "deployment/web", "app=example.com/app:2")
	s.rolledOut(web, 3)
	s.edit("app", "green")
	s.showing(web, "app", "green")
	s.rolledOut(web, 4)
	s.undo(web, "--to-revision=1")
	s.pass()
	s.rolledOut(web, 5)
	assert.Equal(s.t, image, templateOf(s.t, s.get(web)).Spec.Containers[0].Image)
	assert.Equal(s.t, "green", s.colourOf(web, "app"))
}

func undoMixed(s *space, kind string) {
	s.source("app", "blue")
	s.create(configMap("extra", map[string]string{colour: "grey"}))
	web := s.deploy(kind, "web", envFrom("app"), volume("extra"))
	blue := s.showing(web, "app", "blue")
	first := s.rolledOut(web, 1)[0]
	s.kubectl("annotate", "configmap/extra", wellknown.Versioned+"=true")
	s.showing(web, "extra", "grey")
	s.rolledOut(web, 2)
	s.edit("extra", "white")
	white := s.showing(web, "extra", "white")
	s.rolledOut(web, 3)
	s.edit("app", "green")
	s.showing(web, "app", "green")
	s.rolledOut(web, 4)
	s.undo(web, "--to-revision="+first.text())
	s.pass()
	assert.Equal(s.t, blue, s.pin(web, "app"))
	assert.True(s.t, s.held(web, "app"))
	assert.Equal(s.t, white, s.pin(web, "extra"), "what it held then isn't known")
	assert.False(s.t, s.held(web, "extra"))
	s.rolledOut(web, 4) // blue and white is what the third was
}

func undoUnused(s *space, kind string) {
	s.source("app", "blue")
	s.source("extra", "grey")
	s.apply(optedIn(s.t, kind, "web", envFrom("app"), volume("extra")))
	web := optedIn(s.t, kind, "web", envFrom("app"))
	grey := s.showing(web, "extra", "grey")
	s.rolledOut(web, 1)
	s.apply(web)
	s.rolledOut(web, 2)
	s.edit("extra", "white")
	s.pass()
	require.Empty(s.t, s.pin(web, "extra"))
	said := s.undo(web)
	assert.Contains(s.t, said.warnings(), "configmap/extra: held at "+grey+"; to end it, label the "+kindArgument(web)+" configpin.io/resume=true")
	s.pass()
	assert.Equal(s.t, grey, s.pin(web, "extra"))
	assert.True(s.t, s.held(web, "extra"))
	assert.False(s.t, s.held(web, "app"))
	s.rolledOut(web, 2)
	s.edit("extra", "black")
	s.showing(web, "extra", "black")
}

// exported is a stored object as people export it.
func (s *space) exported(object *unstructured.Unstructured) *unstructured.Unstructured {
	s.t.Helper()
	said := s.kubectl("get", kindArgument(object), object.GetName(), "--output=json")
	made := &unstructured.Unstructured{}
	require.NoError(s.t, json.Unmarshal([]byte(said.out), made))
	made.SetNamespace("")
	made.SetUID("")
	made.SetResourceVersion("")
	made.SetOwnerReferences(nil)
	delete(made.Object, "status")
	return made
}

func exportedElsewhere(s *space, kind string) {
	w := s.rollBack(kind, clientSide)
	there := s.twin()
	there.source("app", "red")
	there.create(s.exported(w.web))
	assert.Equal(s.t, "red", there.colourOf(w.web, "app"))
	there.pass()
	assert.Equal(s.t, "red", there.colourOf(w.web, "app"))
	assert.False(s.t, there.held(w.web, "app"))
	assert.Zero(s.t, there.rollouts(w.web))
	there.verify()
}

func exportedNowhere(s *space, kind string) {
	w := s.rollBack(kind, clientSide)
	there := s.twin()
	there.absent["configmap/"+w.blue] = true
	said := there.apply(s.exported(w.web))
	assert.Equal(s.t, []string{"configmap/app does not exist: its refs are left as they are"}, said.warnings())
	there.pass()
	assert.Zero(s.t, there.rollouts(w.web))
	there.verify()
}

// restored deletes everything and creates it again, in the one order or the other.
func restored(workloadsFirst bool) func(*space, string) {
	return func(s *space, kind string) { s.restores(kind, workloadsFirst) }
}

func (s *space) restores(kind string, workloadsFirst bool) {
	s.t.Helper()
	w := s.rollBack(kind, clientSide)
	var backup []*unstructured.Unstructured
	for _, name := range []string{"app", w.blue, w.green} {
		kept := &unstructured.Unstructured{}
		kept.SetGroupVersionKind(configMapKind)
		kept.SetName(name)
		backup = append(backup, s.exported(kept))
	}
	backup = append(backup, s.exported(w.web))
	if workloadsFirst {
		slices.Reverse(backup)
	}
	s.remove(w.web.DeepCopy())
	s.remove(configMap("app", nil))
	s.removeSnapshot(w.blue)
	s.removeSnapshot(w.green)
	s.gone(w.web)
	for _, object := range backup {
		object.SetNamespace(s.name)
		err := s.api.Create(s.t.Context(), object)
		// Where the source comes first, the versioner may be quicker: the content is
		// the same, so the name is.
		require.NoError(s.t, client.IgnoreAlreadyExists(err))
	}
	s.pass()
	assert.Equal(s.t, w.blue, s.pin(w.web, "app"))
	assert.True(s.t, s.held(w.web, "app"))
	assert.Zero(s.t, s.rollouts(w.web))
	s.rolledOut(w.web, 1)
	s.edit("app", "red")
	s.showing(w.web, "app", "red")
}

// gone waits until nothing is left of a workload.
func (s *space) gone(of *unstructured.Unstructured) {
	s.t.Helper()
	s.eventually("the Pods of "+of.GetName()+" are gone", func() (string, bool) {
		pods := list[corev1.PodList](s, client.MatchingLabels{app: of.GetName()}).Items
		return pretty(s, len(pods)), len(pods) == 0
	})
}

func switchesStay(s *space) {
	s.source("app", "blue")
	web := s.deploy("Deployment", "web", envFrom("app"))
	s.becomesGreen(web)
	s.kubectl("label", "deployment/web", "configpin.io/rollout=manual")
	s.undo(web)
	assert.Equal(s.t, wellknown.RolloutManual, s.get(web).GetLabels()[wellknown.Rollout], "set before the undo")
	assert.True(s.t, s.held(web, "app"))
	s.edit("app", "red")
	s.pass()
	assert.Equal(s.t, "blue", s.colourOf(web, "app"))
	s.kubectl("label", "deployment/web", "configpin.io/rollout-")
	s.showing(web, "app", "red")
	s.rolledOut(web, 3)

	s.undo(web)
	assert.NotContains(s.t, s.get(web).GetLabels(), wellknown.Rollout, "taken away before the undo")
	s.kubectl("label", "deployment/web", "configpin.io/enabled=false", "--overwrite")
	s.undo(web)
	assert.Equal(s.t, wellknown.False, s.get(web).GetLabels()[wellknown.Enabled])
	assert.Empty(s.t, s.snapshotsNamed(web, "app"), "an undo doesn't opt in")
	assert.Len(s.t, ourLabels(s.get(web)), 1, "nor does it bring our keys back")
}

func excludeGoesBack(s *space) {
	s.source("app", "blue")
	web := optedIn(s.t, "Deployment", "web", envFrom("app"))
	s.apply(web)
	blue := s.showing(web, "app", "blue")
	s.rolledOut(web, 1)
	annotate(s, web, wellknown.Exclude, "configmap/app")
	s.apply(web)
	assert.Equal(s.t, "configmap/app", describe(refsOf(templateOf(s.t, s.get(web)).Spec)))
	s.rolledOut(web, 2)
	s.undo(web)
	s.pass()
	assert.Equal(s.t, blue, s.pin(web, "app"))
	assert.NotContains(s.t, templateOf(s.t, s.get(web)).Annotations, wellknown.Exclude)
	s.undo(web)
	s.pass()
	assert.Equal(s.t, "configmap/app", describe(refsOf(templateOf(s.t, s.get(web)).Spec)))
	s.rolledOut(web, 2)
}

func heldByNamespace(s *space) {
	s.namespaceEnabled()
	s.source("app", "blue")
	web := plainWorkload(s.t, "Deployment", "web", envFrom("app"))
	s.apply(web)
	blue := s.showing(web, "app", "blue")
	s.becomesGreen(web)
	s.undo(web)
	s.apply(web)
	s.replace(web)
	s.pass()
	assert.Equal(s.t, blue, s.pin(web, "app"), "a replace takes the stamp off, and admission puts it on again")
	assert.True(s.t, s.held(web, "app"))
	assert.Equal(s.t, wellknown.True, s.get(web).GetLabels()[wellknown.Enabled])
	s.rolledOut(web, 2)
}

// held says whether a workload stays on another content than a source's own,
// although it was offered that.
func (s *space) held(of *unstructured.Unstructured, source string) bool {
	s.t.Helper()
	name, current := s.pin(of, source), s.current(source)
	offered := s.get(of).GetLabels()[snapshot.ObservedLabel(wellknown.Kind(s.sourceKind()), source)]
	abbreviates := strings.HasPrefix(offered, snapshot.Suffix(current)) // it may be longer
	return name != "" && current != "" && name != current && abbreviates
}
