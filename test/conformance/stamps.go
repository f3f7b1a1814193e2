package conformance

import (
	"context"
	"strings"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/configpin/configpin/internal/wellknown"
)

// stamp is the key that says who wrote an object last.
const stamp = "stamps.example.com/modified-by"

// stamper is a MutatingAdmissionPolicy that writes who it was, as a label and an annotation
// of whatever it sees. Controllers of Kubernetes are left out: each write of theirs to a
// template would be a rollout.
func stamper(resources []string, group, expression string) *admissionregistrationv1.MutatingAdmissionPolicy {
	return &admissionregistrationv1.MutatingAdmissionPolicy{
		Spec: admissionregistrationv1.MutatingAdmissionPolicySpec{
			FailurePolicy:      ptr.To(admissionregistrationv1.Fail),
			ReinvocationPolicy: admissionregistrationv1.IfNeededReinvocationPolicy,
			MatchConstraints: &admissionregistrationv1.MatchResources{
				ResourceRules: []admissionregistrationv1.NamedRuleWithOperations{{RuleWithOperations: admissionregistrationv1.RuleWithOperations{
					Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create, admissionregistrationv1.Update},
					Rule:       admissionregistrationv1.Rule{APIGroups: []string{group}, APIVersions: []string{"v1"}, Resources: resources},
				}}},
			},
			MatchConditions: []admissionregistrationv1.MatchCondition{{
				Name:       "people",
				Expression: `!request.userInfo.username.startsWith('system:serviceaccount:kube-system:') && !request.userInfo.username.startsWith('system:kube-')`,
			}},
			Variables: []admissionregistrationv1.Variable{{Name: "who", Expression: `request.userInfo.username.replace(':', '.')`}},
			Mutations: []admissionregistrationv1.Mutation{{
				PatchType:          admissionregistrationv1.PatchTypeApplyConfiguration,
				ApplyConfiguration: &admissionregistrationv1.ApplyConfiguration{Expression: expression},
			}},
		},
	}
}

// stamps is what is written into metadata.
const stamps = `{labels: {"` + stamp + `": variables.who}, annotations: {"` + stamp + `": request.userInfo.username}}`

// stamping has the API server stamp what is written in the namespace.
func (s *space) stamping() {
	s.t.Helper()
	for name, policy := range map[string]*admissionregistrationv1.MutatingAdmissionPolicy{
		"workloads": stamper([]string{"deployments", "statefulsets"}, "apps", `Object{metadata: Object.metadata`+stamps+`, spec: Object.spec{template: Object.spec.template{metadata: Object.spec.template.metadata`+stamps+`}}}`),
		"cronjobs": stamper([]string{"cronjobs"}, "batch", `Object{metadata: Object.metadata`+stamps+`, spec: Object.spec{jobTemplate: Object.spec.jobTemplate{metadata: Object.spec.jobTemplate.metadata`+stamps+
			`, spec: Object.spec.jobTemplate.spec{template: Object.spec.jobTemplate.spec.template{metadata: Object.spec.jobTemplate.spec.template.metadata`+stamps+`}}}}}`),
		"contents": stamper([]string{"configmaps", "secrets"}, "", `Object{metadata: Object.metadata`+stamps+`}`),
	} {
		policy.Name = s.name + "-" + name
		binding := &admissionregistrationv1.MutatingAdmissionPolicyBinding{
			ObjectMeta: metav1.ObjectMeta{Name: policy.Name},
			Spec: admissionregistrationv1.MutatingAdmissionPolicyBindingSpec{
				PolicyName:     policy.Name,
				MatchResources: &admissionregistrationv1.MatchResources{NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": s.name}}},
			},
		}
		for _, object := range []client.Object{policy, binding} {
			require.NoError(s.t, s.api.Create(s.t.Context(), object))
			s.t.Cleanup(func() { assert.NoError(s.t, s.api.Delete(context.WithoutCancel(s.t.Context()), object)) })
		}
	}
	for _, kind := range []string{"Deployment", "CronJob"} {
		asked := manifest(s.t, plainWorkload(s.t, kind, "asked"))
		s.eventually("the API server stamps a "+kind, func() (string, bool) {
			out, err := s.tryKubectl(asked, "create", "--filename=-", "--dry-run=server", "--output=yaml")
			return out.err, err == nil && strings.Count(out.out, stamp) >= 4
		})
	}
	const asked = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: asked}\n"
	s.eventually("the API server stamps a ConfigMap", func() (string, bool) {
		out, err := s.tryKubectl(asked, "create", "--filename=-", "--dry-run=server", "--output=yaml")
		return out.err, err == nil && strings.Contains(out.out, stamp)
	})
}

func stamped(s *space) {
	s.source("app", "blue")
	kinds := []string{"Deployment", "StatefulSet", "CronJob"}
	workloads := map[string]*unstructured.Unstructured{}
	early := s.deploy("Deployment", "early", envFrom("app"))
	s.stamping()
	for _, kind := range kinds {
		workloads[kind] = s.deploy(kind, "web-"+strings.ToLower(kind), envFrom("app"))
	}
	s.edit("app", "green")
	for kind, web := range workloads {
		s.showing(web, "app", "green")
		stored := s.get(web)
		assert.Contains(s.t, stored.GetAnnotations()[stamp], "configpin-versioner", kind)
		assert.Contains(s.t, stored.GetLabels()[stamp], "configpin-versioner", kind)
		assert.Contains(s.t, templateOf(s.t, stored).Annotations[stamp], "configpin-versioner", kind)
		assert.Contains(s.t, templateOf(s.t, stored).Labels[stamp], "configpin-versioner", kind)
	}
	s.showing(early, "app", "green")
	s.edit("app", "red")
	for _, web := range workloads {
		s.showing(web, "app", "red")
	}
	s.eventually("what is kept is numbered", func() (string, bool) {
		numbers := s.numbers()
		return "", len(numbers) == 3 && numbers[s.current("app")] != ""
	})
	for name, kept := range s.snapshots() {
		assert.Contains(s.t, kept.Annotations, wellknown.Revision, name)
	}
}
