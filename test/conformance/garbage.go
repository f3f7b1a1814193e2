package conformance

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/configpin/configpin/internal/wellknown"
)

// garbage is about snapshots that nothing names.
var garbage = []scenario{
	{"what rollout undo can reach survives, and what it can't goes", reachable},
	{"what nobody undoes to survives while it runs, and goes with it", runningElsewhere},
	{"a source that is deleted while it is in use, and comes back", sourceGoes},
	{"a source that is deleted for good", sourceIsGone},
	{"a source that isn't versioned any more", sourceRetires},
	{"a full quota is made room in", quotaIsMadeRoomIn},
	markLosing,
	{"a namespace is deleted with all its snapshots, and nothing holds it up", namespaceGoes},
}

// markLosing is played with Secrets, too.
var markLosing = scenario{"what is marked as unused loses the mark before a workload that pins it is stored", markGoes}

// collectTime is how long it takes at most until what nothing names is gone: it
// has to be marked for a minute and a half, and seen for as long.
const collectTime = 6 * time.Minute

// forgetful makes a source of which no unused snapshot is retained.
func (s *space) forgetful(name, value string) {
	s.t.Helper()
	source := versioned(configMap(name, map[string]string{colour: value}))
	source.Annotations[wellknown.HistoryLimit] = "0"
	s.create(source)
}

// colours is a workload whose source held one colour after another, each rolled
// out.
type colours struct {
	source    string
	web       *unstructured.Unstructured
	snapshots map[string]string // by colour
}

// through makes a source and a workload that uses it, and rolls out one colour
// after another.
func (s *space) through(kind, name string, change func(*unstructured.Unstructured), values ...string) colours {
	s.t.Helper()
	c := colours{name, optedIn(s.t, kind, name, envFrom(name)), map[string]string{}}
	if change != nil {
		change(c.web)
	}
	s.forgetful(name, values[0])
	s.apply(c.web)
	for i, value := range values {
		if i > 0 {
			s.edit(name, value)
		}
		c.snapshots[value] = s.showing(c.web, name, value)
		s.newestIs(c.web, c.snapshots[value])
	}
	return c
}

// newestIs waits until a workload's controller has made a revision of what it
// names, and all its Pods are of that.
func (s *space) newestIs(web *unstructured.Unstructured, name string) {
	s.t.Helper()
	if web.GetKind() == "CronJob" {
		return
	}
	s.eventually(web.GetName()+" runs "+name, func() (string, bool) {
		found := s.revisions(web)
		if len(found) == 0 {
			return "no revision", false
		}
		newest := describe(refsOf(found[len(found)-1].template.Spec))
		return newest, newest == s.sourceKind()+"/"+name
	})
	s.complete(web)
}

// of are the snapshots of some colours.
func (c colours) of(values ...string) []string {
	var names []string
	for _, value := range values {
		names = append(names, c.snapshots[value])
	}
	return names
}

// collected waits until snapshots are gone, and those that were unused from now
// on: by then everything that was unused before is.
func (s *space) collected(names ...string) {
	s.t.Helper()
	s.sentinels++
	sentinel := fmt.Sprint("sentinel-", s.sentinels)
	s.forgetful(sentinel, "blue")
	s.eventually("the sentinel is kept", func() (string, bool) { return "", s.current(sentinel) != "" })
	blue := s.current(sentinel)
	s.edit(sentinel, "green")
	s.within(collectTime, "unused snapshots are gone", func() (string, bool) {
		left := s.thereOf(append(names, blue))
		return strings.Join(left, ", "), len(left) == 0
	})
}

// bounded checks that nothing unused is left.
func (s *space) bounded() {
	s.t.Helper()
	violations, err := s.oracle.Bounded(s.t.Context(), s.name, 0)
	require.NoError(s.t, err)
	assert.Empty(s.t, violations)
}

// thereOf are those snapshots that are there.
func (s *space) thereOf(names []string) []string {
	s.t.Helper()
	all := s.configMaps()
	var there []string
	for _, name := range names {
		if all.named[name] != nil {
			there = append(there, name)
		}
	}
	return there
}

// survives checks that snapshots are there, and not marked.
func (s *space) survives(names ...string) {
	s.t.Helper()
	all := s.configMaps()
	for _, name := range names {
		if assert.Contains(s.t, all.named, name) {
			assert.NotContains(s.t, all.named[name].Annotations, wellknown.UnusedSince, name)
		}
	}
}

func setField(s *space, value any, fields ...string) func(*unstructured.Unstructured) {
	return func(w *unstructured.Unstructured) {
		require.NoError(s.t, unstructured.SetNestedField(w.Object, value, fields...))
	}
}

func historyOf(s *space, limit int64) func(*unstructured.Unstructured) {
	return setField(s, limit, "spec", "revisionHistoryLimit")
}

func reachable(s *space) {
	none := s.through("Deployment", "none", historyOf(s, 0), "blue", "green")
	one := s.through("Deployment", "one", historyOf(s, 1), "blue", "green", "red")
	ten := s.through("Deployment", "ten", historyOf(s, 10), "blue", "green", "red")
	zero := s.through("Deployment", "zero", nil, "blue", "green")
	s.kubectl("scale", "deployment/zero", "--replicas=0")
	paused := s.through("Deployment", "paused", historyOf(s, 0), "blue")
	s.kubectl("rollout", "pause", "deployment/paused")
	s.edit("paused", "green")
	s.showing(paused.web, "paused", "green")
	set := s.through("StatefulSet", "set", nil, "blue", "green")
	short := s.through("StatefulSet", "short", historyOf(s, 0), "blue", "green")
	daemon := s.through("DaemonSet", "daemon", nil, "blue", "green")
	cron := s.through("CronJob", "cron", setField(s, true, "spec", "suspend"), "blue")
	s.kubectl("label", "cronjob/cron", wellknown.Rollout+"="+wellknown.RolloutManual)
	s.edit("cron", "green")
	s.eventually("green is kept", func() (string, bool) {
		return "", s.current("cron") != "" && s.current("cron") != cron.snapshots["blue"]
	})
	held := s.through("Deployment", "held", nil, "blue", "green")
	s.undo(held.web)
	s.newestIs(held.web, held.snapshots["blue"])

	s.collected(slices.Concat(none.of("blue"), one.of("blue"), short.of("blue"))...)
	s.bounded()
	s.survives(none.snapshots["green"], one.snapshots["green"], one.snapshots["red"], paused.snapshots["blue"], cron.snapshots["blue"])
	for _, all := range []colours{ten, zero, set, daemon, held} {
		s.survives(slices.Collect(maps.Values(all.snapshots))...)
	}
	if !s.secrets {
		s.event("one", wellknown.ReasonCollected, "Deleted snapshots that nothing names: 1; left: 2")
	}
	for _, back := range []colours{one, ten, zero, set, daemon} {
		s.undo(back.web)
		assert.NotEmpty(s.t, s.colourOf(back.web, back.source), "%s goes back to what is there", back.source)
	}
}

// runningElsewhere: what names a snapshot need not be a workload that is served.
func runningElsewhere(s *space) {
	if s.ReferenceKind.Empty() {
		s.t.Skip("the versioner wasn't told of a kind of custom resources")
	}
	kept := map[string]string{}
	for _, name := range []string{"job", "orphan", "bare", "custom", "unnamed"} {
		s.forgetful(name, "blue")
		s.eventually(name+" is kept", func() (string, bool) { return "", s.current(name) != "" })
		kept[name] = s.current(name)
	}
	s.deploy("Job", "job", envFrom("job"))
	s.eventually("the Job has finished", func() (string, bool) {
		jobs := list[batchv1.JobList](s).Items
		return "it runs", len(jobs) == 1 && jobs[0].Status.CompletionTime != nil
	})
	pod := s.orphanPod(kept["orphan"])
	bare := s.bareReplicaSet(kept["bare"])
	custom := s.custom(kept["custom"])
	for name := range kept {
		s.edit(name, "green")
	}
	s.collected(kept["unnamed"])
	s.survives(kept["job"], kept["orphan"], kept["bare"], kept["custom"])

	s.remove(pod)
	s.remove(bare)
	s.remove(custom)
	s.collected(kept["orphan"], kept["bare"], kept["custom"])
	s.bounded()
	s.survives(kept["job"])
}

// orphanPod is a Pod whose ReplicaSet is gone.
func (s *space) orphanPod(name string) *corev1.Pod {
	s.t.Helper()
	set := s.bareReplicaSet(name)
	var pod *corev1.Pod
	s.eventually("the ReplicaSet has a Pod", func() (string, bool) {
		for _, made := range list[corev1.PodList](s).Items {
			if metav1.IsControlledBy(&made, set) {
				pod = &made
			}
		}
		return "none", pod != nil
	})
	s.kubectl("delete", "replicaset/"+set.Name, "--cascade=orphan")
	s.eventually("the Pod is nobody's", func() (string, bool) {
		err := s.api.Get(s.t.Context(), client.ObjectKeyFromObject(pod), pod)
		return "it is somebody's", err == nil && len(pod.OwnerReferences) == 0
	})
	return pod
}

// bareReplicaSet is one that no Deployment made.
func (s *space) bareReplicaSet(name string) *appsv1.ReplicaSet {
	s.t.Helper()
	labels := map[string]string{app: name}
	replicas := int32(1)
	set := &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "bare-"},
		Spec: appsv1.ReplicaSetSpec{
			Replicas: &replicas,
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: image}}},
			},
		},
	}
	envFrom(name)(&set.Spec.Template.Spec)
	s.create(set)
	return set
}

// custom is an object of the kind that the versioner was told of.
func (s *space) custom(name string) *unstructured.Unstructured {
	s.t.Helper()
	object := &unstructured.Unstructured{Object: map[string]any{
		"metadata": map[string]any{"name": "custom"},
		"spec":     map[string]any{"anything": map[string]any{"config": name}},
	}}
	object.SetGroupVersionKind(s.ReferenceKind)
	s.create(object)
	return object
}

func sourceGoes(s *space) {
	web := s.through("Deployment", "web", historyOf(s, 0), "blue", "green")
	blue, green := web.snapshots["blue"], web.snapshots["green"]
	s.remove(configMap("web", nil))
	s.forgetful("other", "blue")
	s.eventually("blue is kept", func() (string, bool) { return "", s.current("other") != "" })
	gone := s.current("other")
	s.edit("other", "green")
	s.collected(gone, blue)
	s.survives(green)

	s.forgetful("web", "green")
	s.eventually("what it holds is kept", func() (string, bool) { return s.current("web"), s.current("web") == green })
	s.pass()
	assert.Equal(s.t, green, s.pin(web.web, "web"))
	s.edit("web", "red")
	s.showing(web.web, "web", "red")
}

// sourceIsGone: of sources that say nothing of a limit, so that ten are retained, or one of
// a Secret, as long as they are there.
func sourceIsGone(s *space) {
	s.source("gone", "blue")
	s.source("retired", "blue")
	s.source("used", "blue")
	kept := map[string]string{}
	for _, name := range []string{"gone", "retired", "used"} {
		s.eventually(name+" is kept", func() (string, bool) { return "", s.current(name) != "" })
		kept[name] = s.current(name)
		s.edit(name, "green")
		s.eventually("green of "+name+" is kept", func() (string, bool) { return "", s.current(name) != "" && s.current(name) != kept[name] })
	}
	last, retired := s.current("gone"), s.current("retired")
	web := s.deploy("Deployment", "web", envFrom("used"))
	green := s.showing(web, "used", "green")
	s.remove(configMap("gone", nil))
	s.remove(configMap("used", nil))
	s.kubectl("annotate", s.sourceKind()+"/retired", wellknown.Versioned+"-")
	s.collected(kept["gone"], last, kept["used"])
	s.survives(green, retired)
}

func sourceRetires(s *space) {
	web := s.through("Deployment", "web", historyOf(s, 0), "blue", "green")
	s.kubectl("annotate", "configmap/web", wellknown.Versioned+"-")
	s.collected(web.of("blue")...)
	s.survives(web.snapshots["green"])
	s.kubectl("annotate", "configmap/web", wellknown.Versioned+"=true")
	s.edit("web", "blue")
	assert.Equal(s.t, web.snapshots["blue"], s.showing(web.web, "web", "blue"), "the same content has the same name")
}

func markGoes(s *space) {
	web := s.through("Deployment", "web", nil, "blue", "green", "red")
	s.undo(web.web)
	green := web.snapshots["green"]
	backup := s.exported(web.web)
	s.remove(web.web.DeepCopy())
	s.gone(web.web)
	s.eventually("what nothing names is marked", func() (string, bool) {
		mark := s.readConfigMap(green).Annotations[wellknown.UnusedSince]
		return mark, mark != ""
	})
	s.create(backup)
	assert.Empty(s.t, s.readConfigMap(green).Annotations[wellknown.UnusedSince])
	assert.Equal(s.t, green, s.pin(web.web, "web"))
	s.collected(web.of("blue")...)
	s.survives(green)
}

func quotaIsMadeRoomIn(s *space) {
	web := s.through("Deployment", "web", historyOf(s, 0), "blue", "green")
	s.fill()
	s.unkept["web"] = true
	s.edit("web", "red")
	s.within(collectTime, "there is room for red", func() (string, bool) {
		return s.colourOf(web.web, "web"), s.colourOf(web.web, "web") == "red"
	})
	delete(s.unkept, "web")
}

// namespaceGoes looks at another namespace than its own, which has to be there
// in the end.
func namespaceGoes(s *space) {
	s.needAuditLog()
	other := s.twin()
	for i := range 5 {
		other.through("Deployment", fmt.Sprint("web-", i), historyOf(s, 0), "blue", "green")
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: other.name}}
	require.NoError(s.t, s.api.Delete(s.t.Context(), namespace))
	s.eventually("the namespace is gone", func() (string, bool) {
		err := s.api.Get(s.t.Context(), client.ObjectKeyFromObject(namespace), namespace)
		return pretty(s, namespace.Status), apierrors.IsNotFound(err)
	})
	s.pass()
	failures := other.failures()
	assert.LessOrEqual(s.t, len(failures), 10, "requests of ours that failed, for five sources:\n%s", strings.Join(failures, "\n"))
}

// failures are the requests of configpin about this namespace that failed, but for
// conflicts and for what isn't there.
func (s *space) failures() []string {
	s.t.Helper()
	var found []string
	s.eachAudited(func(event audited) {
		code := event.ResponseStatus.Code
		if strings.HasPrefix(event.User.Username, ourUsers) && code >= http.StatusBadRequest && code != http.StatusNotFound && code != http.StatusConflict {
			found = append(found, fmt.Sprintf("%s %s %s %s: %d", event.User.Username, event.Verb, event.ObjectRef.Resource, event.ObjectRef.Name, code))
		}
	})
	return found
}

// ourUsers is how the names of configpin's service accounts begin.
const ourUsers = "system:serviceaccount:configpin-system:"
