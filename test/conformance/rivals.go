package conformance

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/util/retry"

	"github.com/configpin/configpin/internal/wellknown"
)

// others are about those who change workloads too.
var others = []scenario{
	{"a webhook that turns tags into digests doesn't make a re-apply a deploy", tagsToDigests(clientSide)},
	{"a webhook that turns tags into digests doesn't make a re-apply a deploy: server-side", tagsToDigests(serverSide)},
	{"a webhook that rewrites an atomic list doesn't make a re-apply a deploy", rewritesList(clientSide)},
	{"a webhook that rewrites an atomic list doesn't make a re-apply a deploy: server-side", rewritesList(serverSide)},
	{"what a webhook after ours adds is pinned too", addsVolume},
	{"a workload that a webhook after ours opts in is repaired", labelsLate},
	{"a webhook that takes back what we pin is told of, and not fought", reverts},
	{"a webhook that takes back what is pinned is refused, and told of", revertsPinned},
	{"policies that stamp who wrote what don't keep it from rolling out", stamped},
	{"an operator that sends the names of sources all the time moves nothing", operatorInsists},
}

// changeTemplate changes the template of a Deployment.
func changeTemplate(change func(*corev1.PodTemplateSpec)) func(*admissionv1.AdmissionRequest, *unstructured.Unstructured) {
	return func(_ *admissionv1.AdmissionRequest, object *unstructured.Unstructured) {
		content, _, _ := unstructured.NestedMap(object.Object, "spec", "template") // a Deployment has one
		var template corev1.PodTemplateSpec
		if runtime.DefaultUnstructuredConverter.FromUnstructured(content, &template) != nil {
			return
		}
		change(&template)
		changed, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&template)
		if err == nil {
			_ = unstructured.SetNestedMap(object.Object, changed, "spec", "template")
		}
	}
}

func tagsToDigests(tool deployer) func(*space) {
	return staysHeld(tool, func(template *corev1.PodTemplateSpec) {
		for i := range template.Spec.Containers {
			c := &template.Spec.Containers[i]
			if name, tag, tagged := strings.Cut(c.Image, ":"); tagged && !strings.Contains(name, "@") {
				c.Image = fmt.Sprintf("%s@sha256:%x", name, sha256.Sum256([]byte(tag)))
			}
		}
	})
}

// rewritesList adds to a list that is one value to a server-side apply.
func rewritesList(tool deployer) func(*space) {
	return staysHeld(tool, func(template *corev1.PodTemplateSpec) {
		for i := range template.Spec.Containers {
			if c := &template.Spec.Containers[i]; len(c.Args) == 0 {
				c.Args = []string{"--mesh"}
			}
		}
		if len(template.Spec.Tolerations) == 0 {
			template.Spec.Tolerations = []corev1.Toleration{{Key: "mesh", Operator: corev1.TolerationOpExists}}
		}
	})
}

// staysHeld re-applies a manifest that another webhook changes each time.
func staysHeld(tool deployer, change func(*corev1.PodTemplateSpec)) func(*space) {
	return func(s *space) {
		rival := &rivalWebhook{order: beforeOurs, change: changeTemplate(change)}
		rival.install(s)
		w := s.rollBack("Deployment", tool)
		before := w.look()
		w.deploy()
		s.pass()
		assert.Equal(s.t, before, w.look())
		assert.True(s.t, before.held)

		newImage(w)
		s.pass()
		assert.Equal(s.t, "green", s.colourOf(w.web, "app"), "a deploy is one all the same")
	}
}

func addsVolume(s *space) {
	rival := &rivalWebhook{order: afterOurs, change: changeTemplate(func(template *corev1.PodTemplateSpec) {
		if len(template.Spec.Volumes) == 0 {
			volume("extra")(&template.Spec)
		}
	})}
	s.source("app", "blue")
	s.source("extra", "grey")
	rival.install(s)
	web := optedIn(s.t, "Deployment", "web", envFrom("app"))
	s.apply(web)
	assert.Equal(s.t, "blue", s.colourOf(web, "app"))
	assert.Equal(s.t, "grey", s.colourOf(web, "extra"), "we are called again after it")
	s.rolledOut(web, 1)
	s.edit("extra", "white")
	s.showing(web, "extra", "white")
	s.rolledOut(web, 2)
	s.undo(web)
	s.apply(web)
	s.pass()
	assert.Equal(s.t, "grey", s.colourOf(web, "extra"))
	assert.True(s.t, s.held(web, "extra"))
	s.rolledOut(web, 2)
}

func labelsLate(s *space) {
	s.source("app", "blue")
	rival := &rivalWebhook{order: afterOurs, change: func(_ *admissionv1.AdmissionRequest, object *unstructured.Unstructured) {
		labels := object.GetLabels()
		if labels == nil {
			labels = map[string]string{}
		}
		labels[wellknown.Enabled] = wellknown.True
		object.SetLabels(labels)
	}}
	rival.install(s)
	web := plainWorkload(s.t, "Deployment", "web", envFrom("app"))
	s.apply(web)
	s.showing(web, "app", "blue")
	s.pass()
	assert.Equal(s.t, 1, s.rollouts(web), "the repair is one rollout")
	s.apply(web)
	s.pass()
	assert.Equal(s.t, 1, s.rollouts(web))
}

// nameSource makes a template name a source, whatever it named of it.
func nameSource(source string) func(*corev1.PodTemplateSpec) {
	return func(template *corev1.PodTemplateSpec) {
		for _, r := range refsIn(&template.Spec) {
			if strings.HasPrefix(*r.at, source+"-") {
				*r.at = source
			}
		}
	}
}

// maxRivalCalls are far more than a few touches and what controllers write
// need, and far fewer than touches without a pause would make.
const maxRivalCalls = 40

func reverts(s *space) {
	s.source("app", "blue")
	var calls atomic.Int64
	takeBack := changeTemplate(nameSource("app"))
	rival := &rivalWebhook{order: afterOurs, reinvoked: true, change: func(request *admissionv1.AdmissionRequest, object *unstructured.Unstructured) {
		if object.GetName() == "web" {
			calls.Add(1)
		}
		takeBack(request, object)
	}}
	remove := rival.install(s)
	web := optedIn(s.t, "Deployment", "web", envFrom("app"))
	s.apply(web)
	assert.Equal(s.t, "configmap/app", describe(refsOf(templateOf(s.t, s.get(web)).Spec)))
	s.event("web", wellknown.ReasonPinConflict,
		"It is behind its sources, and something is in the way of pinning it: another webhook or a MutatingAdmissionPolicy changes back what admission answers (kubectl get mutatingwebhookconfigurations)")
	s.complete(web)
	before := s.get(web).GetResourceVersion()
	for range 3 {
		s.pass()
	}
	assert.Equal(s.t, before, s.get(web).GetResourceVersion(), "a touch in vain stores nothing")
	assert.Less(s.t, calls.Load(), int64(maxRivalCalls))
	remove()
	s.eventually("web is pinned", func() (string, bool) {
		names := describe(refsOf(templateOf(s.t, s.get(web)).Spec))
		return names, names != "configmap/app"
	})
	assert.Equal(s.t, "blue", s.colourOf(web, "app"))
}

func revertsPinned(s *space) {
	s.source("app", "blue")
	web := optedIn(s.t, "Deployment", "web", envFrom("app"))
	s.apply(web)
	s.showing(web, "app", "blue")
	s.rolledOut(web, 1)
	rival := &rivalWebhook{order: afterOurs, reinvoked: true, change: changeTemplate(nameSource("app"))}
	s.unpinning = true
	remove := rival.install(s)
	out, err := s.tryKubectl("", "annotate", "deployment/web", "team=shop")
	require.Error(s.t, err)
	assert.Contains(s.t, out.err, unpins("deployment/web", "configmap/app"))
	s.kubectl("scale", "deployment/web", "--replicas=2")
	s.edit("app", "green")
	s.event("web", wellknown.ReasonPinConflict, "It is behind its sources, and something is in the way of pinning it: touching Deployment/"+s.name+
		`/web: deployments.apps "web" is forbidden: ValidatingAdmissionPolicy 'configpin-keep-pins' with binding 'configpin-keep-pins' denied request: `+
		unpins("deployment/web", "configmap/app"))
	assert.Equal(s.t, "blue", s.colourOf(web, "app"))
	remove()
	s.showing(web, "app", "green")
	s.rolledOut(web, 2)
}

// operatorInsists plays an operator that knows nothing of pins, and puts right
// what differs from its own idea of a Deployment.
func operatorInsists(s *space) {
	w := s.rollBack("Deployment", clientSide)
	send := func() {
		require.NoError(s.t, retry.RetryOnConflict(retry.DefaultRetry, func() error {
			stored := s.get(w.web)
			changeTemplate(nameSource("app"))(nil, stored)
			return s.api.Update(s.t.Context(), stored)
		}))
	}
	send()
	before := w.look()
	rhythm := time.NewTicker(100 * time.Millisecond)
	defer rhythm.Stop()
	for range 30 {
		<-rhythm.C
		send()
	}
	s.pass()
	assert.Equal(s.t, before, w.look())
	assert.True(s.t, before.held)
	s.edit("app", "red")
	for range 30 {
		<-rhythm.C
		send()
	}
	s.showing(w.web, "app", "red")
	s.pass()
	s.rolledOut(w.web, 3)
}
