package conformance

import (
	"strings"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/configpin/configpin/internal/wellknown"
)

// switches are about what people write to have it otherwise.
var switches = []scenario{
	{"opting in a running Deployment rolls it once", optIn},
	{"annotating a source that is in use rolls its workloads once", annotateSource},
	{"a namespace opts in what is written in it, and a workload's own label wins", namespaceOptsIn},
	{"taking the label away puts the names of sources back", optOut("configpin.io/enabled-")},
	{"opting out puts the names of sources back", optOut("configpin.io/enabled=false", "--overwrite")},
	{"a rollout that is undone to before the opt-out stays as it is", undoAfterOptOut},
	{"what a template excludes is left alone", exclude},
	{"with rollout=manual, only a deploy changes the pins", manual},
	{"resume gives up a hold", resume},
	{"a switch that nobody understands un-pins nothing and ends no hold", misspelt},
	{"a source of which nobody knows whether it is versioned keeps its pins", misspeltSource},
	{"resume is consumed of a workload that is opted out", resumeOptedOut},
	{"a ref to nothing is left alone, and pinned when its source appears", refToNothing},
	{"a source that isn't one any more keeps its pins and moves nothing", noSourceAnyMore},
	{"a source that loses its annotation to a whole-object write says who is pinned to it", losesAnnotation},
}

func optIn(s *space) {
	s.source("app", "blue")
	web := plainWorkload(s.t, "Deployment", "web", envFrom("app"))
	s.create(web.DeepCopy())
	s.rolledOut(web, 1)
	s.kubectl("label", "deployment/web", "configpin.io/enabled=true")
	assert.Equal(s.t, "blue", s.colourOf(web, "app"))
	s.pass()
	assert.Equal(s.t, 1, s.rollouts(web))
	s.rolledOut(web, 2)
}

func annotateSource(s *space) {
	s.create(configMap("app", map[string]string{colour: "blue"}))
	web := s.deploy("Deployment", "web", envFrom("app"))
	s.rolledOut(web, 1)
	assert.Equal(s.t, "configmap/app", describe(refsOf(templateOf(s.t, s.get(web)).Spec)))
	s.kubectl("annotate", "configmap/app", "configpin.io/versioned=true")
	s.showing(web, "app", "blue")
	s.pass()
	assert.Equal(s.t, 1, s.rollouts(web))
	s.rolledOut(web, 2)
}

func namespaceOptsIn(s *space) {
	s.namespaceEnabled()
	s.source("app", "blue")
	web := plainWorkload(s.t, "Deployment", "web", envFrom("app"))
	s.create(web.DeepCopy())
	assert.Equal(s.t, "blue", s.colourOf(web, "app"))
	assert.Equal(s.t, wellknown.True, s.get(web).GetLabels()[wellknown.Enabled], "the workload is stamped")

	other := plainWorkload(s.t, "Deployment", "other", envFrom("app"))
	other.SetLabels(map[string]string{wellknown.Enabled: wellknown.False})
	s.create(other.DeepCopy())
	assert.Equal(s.t, "configmap/app", describe(refsOf(templateOf(s.t, s.get(other)).Spec)))

	s.edit("app", "green")
	s.showing(web, "app", "green")
	assert.Equal(s.t, "configmap/app", describe(refsOf(templateOf(s.t, s.get(other)).Spec)))
}

// namespaceEnabled opts in what is written in the namespace. The API server learns
// of a namespace's labels by a watch, so this waits until it knows.
func (s *space) namespaceEnabled() {
	s.t.Helper()
	s.kubectl("label", "namespace", s.name, "configpin.io/enabled=true")
	asked := manifest(s.t, plainWorkload(s.t, "Deployment", "asked"))
	s.eventually("a workload of the namespace would be opted in", func() (string, bool) {
		answer, err := s.tryKubectl(asked, "create", "--filename=-", "--dry-run=server", "--output=yaml")
		return answer.out, err == nil && strings.Contains(answer.out, wellknown.Enabled)
	})
}

func optOut(args ...string) func(*space) {
	return func(s *space) {
		s.source("app", "blue")
		web := s.deploy("Deployment", "web", envFrom("app"), volume("app"))
		s.showing(web, "app", "blue")
		written := optedIn(s.t, "Deployment", "web", envFrom("app"), volume("app"))
		s.kubectl(append([]string{"label", "deployment/web"}, args...)...)
		stored := s.get(web)
		s.sameButNames(written, stored)
		assert.Equal(s.t, "configmap/app configmap/app", describe(refsOf(templateOf(s.t, stored).Spec)))
		assert.NotContains(s.t, templateOf(s.t, stored).Annotations, wellknown.Pins)
		for key := range stored.GetLabels() {
			assert.False(s.t, strings.HasPrefix(key, wellknown.ObservedPrefix), key)
		}
		s.edit("app", "green")
		s.pass()
		assert.Equal(s.t, 1, s.rollouts(web))
	}
}

// undoAfterOptOut: such a template is pinned, too, but by nobody's mistake.
func undoAfterOptOut(s *space) {
	s.source("app", "blue")
	web := s.deploy("Deployment", "web", envFrom("app"))
	s.rolledOut(web, 1)
	s.kubectl("label", "deployment/web", "configpin.io/enabled-")
	s.rolledOut(web, 2)
	s.edit("app", "green")
	s.undo(web)
	assert.Equal(s.t, "blue", s.colourOf(web, "app"))
	s.kubectl("annotate", "deployment/web", "team=shop")
	s.pass()
	assert.Equal(s.t, "blue", s.colourOf(web, "app"))
}

func exclude(s *space) {
	s.source("app", "blue")
	s.source("extra", "grey")
	web := optedIn(s.t, "Deployment", "web", envFrom("app"), envFrom("extra"))
	annotate(s, web, wellknown.Exclude, "configmap/app")
	s.apply(web)
	grey := s.showing(web, "extra", "grey")
	assert.Equal(s.t, "configmap/app configmap/"+grey, describe(refsOf(templateOf(s.t, s.get(web)).Spec)))
	s.edit("app", "green")
	s.edit("extra", "white")
	white := s.showing(web, "extra", "white")
	assert.Equal(s.t, "configmap/app configmap/"+white, describe(refsOf(templateOf(s.t, s.get(web)).Spec)))

	unstructured.RemoveNestedField(web.Object, "spec", "template", "metadata", "annotations")
	s.apply(web)
	assert.Equal(s.t, "green", s.colourOf(web, "app"), "excluded no more")
	annotate(s, web, wellknown.Exclude, "configmap/app")
	said := s.apply(web)
	assert.Equal(s.t, []string{"configmap/app is not pinned any more"}, said.warnings())
	assert.Equal(s.t, "configmap/app configmap/"+white, describe(refsOf(templateOf(s.t, s.get(web)).Spec)))
	s.pass()
	assert.Equal(s.t, 3, s.rollouts(web))
}

func manual(s *space) {
	s.source("app", "blue")
	web := optedIn(s.t, "Deployment", "web", envFrom("app"))
	web.SetLabels(map[string]string{wellknown.Enabled: wellknown.True, wellknown.Rollout: wellknown.RolloutManual})
	s.apply(web)
	s.showing(web, "app", "blue")
	s.edit("app", "green")
	s.pass()
	assert.Equal(s.t, "blue", s.colourOf(web, "app"))
	s.apply(web)
	s.kubectl("rollout", "restart", "deployment/web")
	assert.Equal(s.t, "blue", s.colourOf(web, "app"), "neither is a deploy")
	annotate(s, web, "release", "2")
	s.apply(web)
	assert.Equal(s.t, "green", s.colourOf(web, "app"))
}

func resume(s *space) {
	s.source("app", "blue")
	web := s.deploy("Deployment", "web", envFrom("app"))
	s.rolledOut(web, 1)
	s.edit("app", "green")
	green := s.showing(web, "app", "green")
	s.rolledOut(web, 2)
	s.undo(web)
	require.Equal(s.t, "blue", s.colourOf(web, "app"))
	s.rolledOut(web, 2)
	said := s.kubectl("label", "deployment/web", "configpin.io/resume=true")
	assert.Equal(s.t, []string{"configmap/app: pinned to " + green}, said.warnings())
	assert.Equal(s.t, green, s.pin(web, "app"))
	assert.NotContains(s.t, s.get(web).GetLabels(), wellknown.Resume)
	s.rolledOut(web, 2)
	s.pass()
	assert.Equal(s.t, 3, s.rollouts(web))
}

const notAValue = `label configpin.io/enabled: "True" is not one of its values: "true" or "false"`

// misspelling is the manifest of a workload whose switch nobody understands.
func misspelling(web *unstructured.Unstructured) *unstructured.Unstructured {
	written := web.DeepCopy()
	written.SetLabels(map[string]string{wellknown.Enabled: "True"})
	return written
}

func misspelt(s *space) {
	s.source("app", "blue")
	web := optedIn(s.t, "Deployment", "web", envFrom("app"))
	s.apply(web)
	s.becomesGreen(web)
	s.undo(web)
	s.rolledOut(web, 2)
	wrong := misspelling(web)
	said := s.apply(wrong)
	assert.Equal(s.t, []string{notAValue}, said.warnings())
	s.replace(wrong)
	s.kubectl("rollout", "restart", "deployment/web")
	s.edit("app", "red")
	s.pass()
	assert.Equal(s.t, "blue", s.colourOf(web, "app"))
	assert.Equal(s.t, "True", s.get(web).GetLabels()[wellknown.Enabled])
	assert.Equal(s.t, 3, s.rollouts(web), "the restart")
	s.edit("app", "green")
	s.pass()
	s.apply(web)
	s.pass()
	assert.Equal(s.t, "blue", s.colourOf(web, "app"), "it is held as it was")
	assert.True(s.t, s.held(web, "app"))
}

func misspeltSource(s *space) {
	s.source("app", "blue")
	web := optedIn(s.t, "Deployment", "web", envFrom("app"))
	s.apply(web)
	s.showing(web, "app", "blue")
	s.kubectl("annotate", "configmap/app", wellknown.Versioned+"=True", "--overwrite")
	said := s.apply(web)
	assert.Equal(s.t, []string{`configmap/app: annotation configpin.io/versioned is "True", not "true" or "false"`}, said.warnings())
	assert.Equal(s.t, "blue", s.colourOf(web, "app"))
	s.kubectl("annotate", "configmap/app", wellknown.Versioned+"=true", "--overwrite")
	s.edit("app", "green")
	s.showing(web, "app", "green")
	s.pass()
	assert.Equal(s.t, 1, s.rollouts(web))
}

func resumeOptedOut(s *space) {
	s.source("app", "blue")
	web := s.deploy("Deployment", "web", envFrom("app"))
	s.showing(web, "app", "blue")
	s.kubectl("label", "deployment/web", "configpin.io/enabled=false", "configpin.io/resume=true", "--overwrite")
	assert.NotContains(s.t, s.get(web).GetLabels(), wellknown.Resume)
	s.kubectl("label", "deployment/web", "configpin.io/resume=true")
	assert.NotContains(s.t, s.get(web).GetLabels(), wellknown.Resume)
}

func refToNothing(s *space) {
	web := optedIn(s.t, "Deployment", "web", envFrom("later"))
	said := s.apply(web)
	assert.Equal(s.t, []string{"configmap/later does not exist: its refs are left as they are"}, said.warnings())
	assert.Equal(s.t, "configmap/later", describe(refsOf(templateOf(s.t, s.get(web)).Spec)))
	s.pass()
	assert.Zero(s.t, s.rollouts(web))
	s.source("later", "blue")
	s.showing(web, "later", "blue")
	s.pass()
	assert.Equal(s.t, 1, s.rollouts(web))
}

func noSourceAnyMore(s *space) {
	s.source("app", "blue")
	web := optedIn(s.t, "Deployment", "web", envFrom("app"))
	s.apply(web)
	s.showing(web, "app", "blue")
	s.unkept["app"] = true
	s.kubectl("annotate", "configmap/app", "configpin.io/versioned-")
	s.edit("app", "green")
	s.pass()
	assert.Equal(s.t, "blue", s.colourOf(web, "app"), "nobody wrote the workload")
	assert.Zero(s.t, s.rollouts(web))
	assert.Len(s.t, s.snapshots(), 1)
	said := s.apply(web)
	assert.Equal(s.t, []string{"configmap/app is not pinned any more"}, said.warnings())
	assert.Equal(s.t, "configmap/app", describe(refsOf(templateOf(s.t, s.get(web)).Spec)))
}

func losesAnnotation(s *space) {
	s.source("app", "blue")
	web := s.deploy("Deployment", "web", envFrom("app"))
	s.deploy("CronJob", "report", envFrom("app"))
	s.showing(web, "app", "blue")
	s.unkept["app"] = true
	whole := configMap("app", map[string]string{colour: "green"})
	whole.SetNamespace(s.name)
	s.update(whole)
	s.event("app", wellknown.ReasonNotVersioned, "It is not versioned any more, so what changes rolls out to nobody. "+
		"Workloads that stay pinned to what it held: 2. To go on, annotate it configpin.io/versioned=true")
	s.pass()
	assert.Equal(s.t, "blue", s.colourOf(web, "app"))
	s.kubectl("annotate", s.sourceKind()+"/app", "configpin.io/versioned=true")
	s.showing(web, "app", "green")
	delete(s.unkept, "app")
}
