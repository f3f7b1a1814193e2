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

// refusals are about what the API server refuses, of us or because of us.
var refusals = []scenario{
	{"another webhook that is down keeps workloads as they are, and they catch up", otherWebhookDown},
	{"pins that would be too large aren't written", pinsTooLarge},
	{"a Job that names a snapshot, and has none of our keys, can be opted in", jobOptsIn},
	{"a Job of a namespace that opts in can be written", jobOfNamespace},
	{"what an operator's Deployment owns is a workload", ownedByOperator},
	{"a label on the Jobs of a CronJob pins nothing, and is told of", labelOnJobs},
}

func otherWebhookDown(s *space) {
	s.source("app", "blue")
	web := s.deploy("Deployment", "web", envFrom("app"))
	blue := s.showing(web, "app", "blue")
	remove := s.refuseConfigMaps()
	s.edit("app", "green")
	s.eventBeginning("app", wellknown.ReasonSnapshotFailed, "Nothing is pinned to what it holds now: ")
	s.warned(s.kubectl("set", "env", "deployment/web", "A=B"), "configmap/app: no snapshot can be made; "+blue+" is kept: ")
	assert.Equal(s.t, blue, s.pin(web, "app"))
	late := optedIn(s.t, "Deployment", "late", envFrom("app"))
	s.warned(s.apply(late), "configmap/app: no snapshot can be made, so it is not pinned: Internal error")
	remove()
	s.kubectl("annotate", "configmap", "app", "team=shop") // or it takes up to a minute
	s.showing(web, "app", "green")
	s.showing(late, "app", "green")
}

// refuseConfigMaps has a webhook asked about new ConfigMaps that nobody answers for, and
// without which none is made.
func (s *space) refuseConfigMaps() (remove func()) {
	s.t.Helper()
	configuration := &admissionregistrationv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: s.name},
		Webhooks: []admissionregistrationv1.ValidatingWebhook{{
			Name:              "down.example.com",
			ClientConfig:      admissionregistrationv1.WebhookClientConfig{URL: ptr.To("https://127.0.0.1:1/")},
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": s.name}},
			Rules: []admissionregistrationv1.RuleWithOperations{{
				Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
				Rule:       admissionregistrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"configmaps"}},
			}},
			FailurePolicy:           ptr.To(admissionregistrationv1.Fail),
			SideEffects:             ptr.To(admissionregistrationv1.SideEffectClassNone),
			AdmissionReviewVersions: []string{"v1"},
		}},
	}
	require.NoError(s.t, s.api.Create(s.t.Context(), configuration))
	remove = func() {
		err := s.api.Delete(context.WithoutCancel(s.t.Context()), configuration)
		assert.NoError(s.t, client.IgnoreNotFound(err))
	}
	s.t.Cleanup(remove)
	s.eventually("no ConfigMap can be made", func() (string, bool) {
		out, err := s.tryKubectl("", "create", "configmap", "asked", "--dry-run=server")
		return out.out, err != nil && strings.Contains(out.err, "failed calling webhook")
	})
	return remove
}

// pinsTooLarge looks at dry runs, since what is stored without its pins would be pinned
// later in vain.
func pinsTooLarge(s *space) {
	s.source("app", "blue")
	web := optedIn(s.t, "Deployment", "web", envFrom("app"))
	asked := func(size int) *unstructured.Unstructured {
		annotate(s, web, "own", strings.Repeat("x", size-len("own")))
		out, err := s.tryKubectl(manifest(s.t, web), "create", "--filename=-", "--dry-run=server", "--output=json")
		require.NoError(s.t, err, out.err)
		answer := &unstructured.Unstructured{}
		require.NoError(s.t, answer.UnmarshalJSON([]byte(out.out)))
		return answer
	}
	const limit = 256 << 10
	pins := len("configpin.io/pins") + len("configmap/app=app-0123456789ab")
	assert.Contains(s.t, templateOf(s.t, asked(limit-pins)).Annotations, wellknown.Pins)
	assert.NotContains(s.t, templateOf(s.t, asked(limit-pins+1)).Annotations, wellknown.Pins)
	assert.NotContains(s.t, templateOf(s.t, asked(limit)).Annotations, wellknown.Pins)
}

func jobOptsIn(s *space) {
	s.source("app", "blue")
	web := s.deploy("Deployment", "web", envFrom("app"))
	blue := s.showing(web, "app", "blue")
	for name, ref := range map[string]string{"names-a-snapshot": blue, "names-a-source": "app"} {
		job := plainWorkload(s.t, "Job", name, envFrom(ref))
		s.create(job.DeepCopy())
		s.kubectl("label", "job", name, "configpin.io/enabled=true")
		s.kubectl("annotate", "job", name, "team=shop")
		s.kubectl("label", "job", name, "configpin.io/enabled=false", "--overwrite")
		assert.Equal(s.t, "configmap/"+ref, describe(refsOf(templateOf(s.t, s.get(job)).Spec)))
	}
}

func jobOfNamespace(s *space) {
	s.source("app", "blue")
	web := s.deploy("Deployment", "web", envFrom("app"))
	blue := s.showing(web, "app", "blue")
	job := plainWorkload(s.t, "Job", "once", envFrom(blue), volume("app"))
	s.create(job.DeepCopy())
	s.namespaceEnabled()
	s.kubectl("annotate", "job", "once", "team=shop")
	assert.Equal(s.t, "configmap/app configmap/"+blue, describe(refsOf(templateOf(s.t, s.get(job)).Spec)))
}

func ownedByOperator(s *space) {
	s.source("app", "blue")
	operator := plainWorkload(s.t, "Deployment", "operator")
	s.create(operator.DeepCopy())
	owned := optedIn(s.t, "StatefulSet", "owned", envFrom("app"))
	owned.SetOwnerReferences([]metav1.OwnerReference{*metav1.NewControllerRef(s.get(operator), operator.GroupVersionKind())})
	s.create(owned.DeepCopy())
	s.showing(owned, "app", "blue")
	s.edit("app", "green")
	s.showing(owned, "app", "green")
}

func labelOnJobs(s *space) {
	s.source("app", "blue")
	report := plainWorkload(s.t, "CronJob", "report", envFrom("app"))
	require.NoError(s.t, unstructured.SetNestedField(report.Object, wellknown.True, "spec", "jobTemplate", "metadata", "labels", wellknown.Enabled))
	s.create(report.DeepCopy())
	said := s.kubectl("create", "job", "by-hand", "--from=cronjob/report")
	assert.Equal(s.t, []string{"label configpin.io/enabled pins no copy of a template: label cronjob/report itself"}, said.warnings())
	byHand := plainWorkload(s.t, "Job", "by-hand")
	assert.Equal(s.t, "configmap/app", describe(refsOf(templateOf(s.t, s.get(byHand)).Spec)))

	s.kubectl("label", "cronjob", "report", "configpin.io/enabled=true")
	said = s.kubectl("create", "job", "by-hand-again", "--from=cronjob/report")
	assert.Empty(s.t, said.warnings())
	s.kubectl("delete", "job", "by-hand")
}
