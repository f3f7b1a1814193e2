package conformance

import (
	"context"
	"fmt"
	"strings"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/configpin/configpin/internal/wellknown"
)

// behind are about what people write while a workload hasn't got yet what its source
// holds, or can't get it, and about manifests that say what admission writes.
var behind = append(eachKind(map[string]func(s *space, kind string){
	"an undo of a workload that is behind holds":                              undoBehind,
	"an undo of the image of a workload that is behind brings nothing newer":  undoImageBehind,
	"a new image of a workload that is behind comes with what its source has": imageBehind,
}), []scenario{
	{"an exported manifest in Git goes to what the source holds, and no further", exportedInGit(false)},
	{"an exported manifest of a held workload in Git is held, and rolls out no further", exportedInGit(true)},
	{"a hold that is given up while the source is away is over when it is back", resumeWhileAway},
	{"a source that was deleted is kept by a restart, and let go of by a resume, where it is optional", optionalGone(func(s *space, _ *unstructured.Unstructured) {
		s.kubectl("label", "deployment/web", wellknown.Resume+"=true")
	})},
	{"a source that was deleted is let go of by a deploy, where it is optional", optionalGone(func(s *space, web *unstructured.Unstructured) {
		next := web.DeepCopy()
		template := templateOf(s.t, next)
		template.Spec.Containers[0].Image = "example.com/app:2"
		require.NoError(s.t, unstructured.SetNestedMap(next.Object, toUnstructured(s.t, &template), templatePath(s.t, next)...))
		s.apply(next)
	})},
	{"variables whose names repeat are left alone, whoever applies them again", repeatedVariables},
}...)

// keptBehind keeps workloads of the namespace behind while something is done: a policy
// refuses what the versioner writes.
func (s *space) keptBehind(do func()) {
	s.t.Helper()
	const versioner = "system:serviceaccount:configpin-system:configpin-versioner"
	name := metav1.ObjectMeta{Name: "keep-behind-" + s.name}
	updates := admissionregistrationv1.RuleWithOperations{
		Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Update},
		Rule:       admissionregistrationv1.Rule{APIGroups: []string{"apps"}, APIVersions: []string{"v1"}, Resources: []string{"*"}},
	}
	policy := &admissionregistrationv1.ValidatingAdmissionPolicy{ObjectMeta: name, Spec: admissionregistrationv1.ValidatingAdmissionPolicySpec{
		MatchConstraints: &admissionregistrationv1.MatchResources{
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: s.name}},
			ResourceRules:     []admissionregistrationv1.NamedRuleWithOperations{{RuleWithOperations: updates}},
		},
		Validations: []admissionregistrationv1.Validation{{Expression: "request.userInfo.username != '" + versioner + "'", Message: "not now"}},
	}}
	binding := &admissionregistrationv1.ValidatingAdmissionPolicyBinding{ObjectMeta: name, Spec: admissionregistrationv1.ValidatingAdmissionPolicyBindingSpec{
		PolicyName:        name.Name,
		ValidationActions: []admissionregistrationv1.ValidationAction{admissionregistrationv1.Deny},
	}}
	away := func() {
		for _, object := range []client.Object{binding, policy} {
			assert.NoError(s.t, client.IgnoreNotFound(s.api.Delete(context.WithoutCancel(s.t.Context()), object)))
		}
	}
	s.t.Cleanup(away)
	require.NoError(s.t, s.api.Create(s.t.Context(), policy))
	require.NoError(s.t, s.api.Create(s.t.Context(), binding))
	probe := plainWorkload(s.t, "Deployment", "probe")
	s.create(probe.DeepCopy())
	probe.SetNamespace(s.name)
	api := s.as(versioner)
	touch := func() error {
		return api.Patch(s.t.Context(), probe.DeepCopy(), client.RawPatch(types.MergePatchType, []byte("{}")), client.DryRunAll)
	}
	s.eventually("the policy is in force", func() (string, bool) {
		err := touch()
		return fmt.Sprint(err), err != nil && strings.Contains(err.Error(), "not now")
	})
	do()
	away()
	s.eventually("the policy is gone", func() (string, bool) {
		err := touch()
		return fmt.Sprint(err), err == nil
	})
}

func undoBehind(s *space, kind string) {
	s.source("app", "blue")
	web := s.deploy(kind, "web", envFrom("app"))
	blue := s.showing(web, "app", "blue")
	s.becomesGreen(web)
	var warnings []string
	s.keptBehind(func() {
		s.edit("app", "red")
		warnings = s.undo(web).warnings()
	})
	s.pass()
	assert.Contains(s.t, warnings, "configmap/app: held at "+blue+"; "+s.current("app")+" is newer: label the "+kindArgument(web)+" configpin.io/resume=true")
	assert.Equal(s.t, blue, s.pin(web, "app"), "a touch after the undo moves it on")
	assert.True(s.t, s.held(web, "app"))
	assert.Equal(s.t, 2, s.rollouts(web))
	s.edit("app", "white")
	s.showing(web, "app", "white")
}

func undoImageBehind(s *space, kind string) {
	s.source("app", "blue")
	web := s.deploy(kind, "web", envFrom("app"))
	blue := s.showing(web, "app", "blue")
	s.rolledOut(web, 1)
	s.kubectl("set", "image", resourceArgument(web), "app=example.com/app:2")
	s.rolledOut(web, 2)
	s.keptBehind(func() {
		s.edit("app", "green")
		s.undo(web)
		assert.Equal(s.t, blue, s.pin(web, "app"))
		assert.Equal(s.t, s.templates(web)[0], s.templates(web)[2], "the undo brings back every byte of the template")
	})
	s.pass()
	assert.Equal(s.t, blue, s.pin(web, "app"), "a touch after the undo moves it on")
	assert.True(s.t, s.held(web, "app"))
	s.rolledOut(web, 2)
	s.edit("app", "red")
	s.showing(web, "app", "red")
}

func imageBehind(s *space, kind string) {
	s.source("app", "blue")
	web := s.deploy(kind, "web", envFrom("app"))
	s.rolledOut(web, 1)
	s.keptBehind(func() {
		s.edit("app", "green")
		s.kubectl("set", "image", resourceArgument(web), "app=example.com/app:2")
		assert.Equal(s.t, "green", s.colourOf(web, "app"), "both are one rollout")
	})
	s.rolledOut(web, 2)
}

// exportedInGit applies what somebody exported, again and again, as a sync does.
func exportedInGit(held bool) func(*space) {
	return func(s *space) {
		s.source("app", "blue")
		web := s.deploy("Deployment", "web", envFrom("app"))
		blue := s.showing(web, "app", "blue")
		s.rolledOut(web, 1)
		if held {
			s.becomesGreen(web)
			s.undo(web)
			s.rolledOut(web, 2)
		}
		exported := s.exported(web)
		s.edit("app", "red")
		red := s.showing(web, "app", "red")
		want := red
		if held {
			want = blue
		}
		for range 3 {
			s.apply(exported)
			s.pass()
			assert.Equal(s.t, want, s.pin(web, "app"))
		}
		assert.Equal(s.t, held, s.held(web, "app"))
		if held {
			assert.Equal(s.t, 4, s.rollouts(web), "green, the undo, red, and the manifest")
		} else {
			assert.Equal(s.t, 1, s.rollouts(web), "red")
		}
	}
}

func resumeWhileAway(s *space) {
	s.source("app", "blue")
	web := s.deploy("Deployment", "web", envFrom("app"))
	blue := s.showing(web, "app", "blue")
	s.becomesGreen(web)
	s.undo(web)
	s.rolledOut(web, 2)
	s.remove(configMap("app", nil))
	said := s.kubectl("label", "deployment/web", wellknown.Resume+"=true")
	assert.Equal(s.t, []string{"configmap/app does not exist: its pin " + blue + " is kept until it does"}, said.warnings())
	assert.Equal(s.t, blue, s.pin(web, "app"))
	s.source("app", "green")
	s.showing(web, "app", "green")
	s.rolledOut(web, 2)
}

// optional makes the refs to ConfigMaps of the envFrom before it optional.
func optional(spec *corev1.PodSpec) {
	from := spec.Containers[0].EnvFrom
	yes := true
	from[len(from)-1].ConfigMapRef.Optional = &yes
}

func optionalGone(letGo func(*space, *unstructured.Unstructured)) func(*space) {
	return func(s *space) {
		s.source("base", "grey")
		s.source("app", "blue")
		web := optedIn(s.t, "Deployment", "web", envFrom("base"), envFrom("app"), optional)
		s.apply(web)
		blue := s.showing(web, "app", "blue")
		s.rolledOut(web, 1)
		s.remove(configMap("app", nil))
		said := s.kubectl("set", "env", "deployment/web", "again=1")
		assert.Contains(s.t, said.warnings(), "configmap/app does not exist: "+blue+" is kept; to go without it, label the deployment configpin.io/resume=true")
		assert.Equal(s.t, blue, s.pin(web, "app"))
		s.apply(web)
		assert.Equal(s.t, blue, s.pin(web, "app"), "a re-apply declares nothing")
		letGo(s, web)
		assert.Empty(s.t, s.pin(web, "app"))
		assert.Contains(s.t, describe(refsOf(templateOf(s.t, s.get(web)).Spec)), "configmap/app")
		assert.Equal(s.t, "grey", s.colourOf(web, "base"))
		before := s.rollouts(web)
		s.pass()
		assert.Equal(s.t, before, s.rollouts(web))
		s.source("app", "green")
		s.showing(web, "app", "green")
	}
}

func repeatedVariables(s *space) {
	s.source("app", "blue")
	web := optedIn(s.t, "Deployment", "web", envFrom("app"), func(spec *corev1.PodSpec) {
		spec.Containers[0].Env = []corev1.EnvVar{{Name: "X", Value: "1"}}
	}, colourEnv)
	template := templateOf(s.t, web)
	template.Spec.Containers[0].Env[1].Name = "X"
	require.NoError(s.t, unstructured.SetNestedMap(web.Object, toUnstructured(s.t, &template), templatePath(s.t, web)...))
	said := s.apply(web)
	assert.Contains(s.t, said.warnings(), "configmap/app: env X is in container app more than once, so it is not pinned there")
	s.rolledOut(web, 1)
	s.apply(web)
	s.apply(web)
	s.pass()
	assert.Zero(s.t, s.rollouts(web))
	assert.Equal(s.t, template.Spec.Containers[0].Env[0], templateOf(s.t, s.get(web)).Spec.Containers[0].Env[0])
	s.edit("app", "green")
	s.eventually("the rest of the template is pinned to green", func() (string, bool) {
		names := describe(refsOf(templateOf(s.t, s.get(web)).Spec))
		return names, strings.Contains(names, s.current("app"))
	})
	s.rolledOut(web, 2)
	assert.Contains(s.t, strings.Fields(describe(refsOf(templateOf(s.t, s.get(web)).Spec))), "configmap/app", "the variable names the source itself")
	s.apply(web)
	s.pass()
	assert.Equal(s.t, 1, s.rollouts(web))
}
