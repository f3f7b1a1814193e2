package conformance

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/configpin/configpin/internal/wellknown"
)

// webhookOutages are about a webhook that is away, and back.
var webhookOutages = []scenario{
	{"while the webhook is away, everything goes on, and is repaired afterwards: Deployment", webhookAway("Deployment")},
	{"while the webhook is away, everything goes on, and is repaired afterwards: StatefulSet", webhookAway("StatefulSet")},
	{"while the webhook is away, everything goes on, and is repaired afterwards: DaemonSet", webhookAway("DaemonSet")},
	{"while the webhook is away, a CronJob is created, and isn't un-pinned", webhookAwayCronJob},
	{"while the webhook is away, an undo to before the opt-in is refused", webhookAwayUndo},
	{"while the webhook is away, an undo that would un-pin one of two sources is refused", webhookAwayMixed},
	{"while the webhook is away, what its namespace opts in isn't un-pinned", webhookAwayNamespace},
	{"while the webhook is away, a switch that nobody understands un-pins nothing", webhookAwayMisspelt},
	{"while the webhook is away, opting out is possible, and completed afterwards", webhookAwayOptOut},
	{"while the webhook is away, the label is taken away, and names are put back afterwards", webhookAwayUnlabelled},
	{"a change while the webhook is away rolls out once when it is back", changeWithoutWebhook},
}

// strictOutages are about the same where requests fail with the webhook.
var strictOutages = []scenario{
	{"strict: while the webhook is away, opted-in workloads can't be written: Deployment", strictAway("Deployment")},
	{"strict: while the webhook is away, opted-in workloads can't be written: StatefulSet", strictAway("StatefulSet")},
	{"strict: while the webhook is away, opted-in workloads can't be written: DaemonSet", strictAway("DaemonSet")},
}

func (s *space) withoutWebhook(do func()) {
	s.t.Helper()
	s.unpinning = true
	require.NoError(s.t, s.Operator.StopWebhook())
	s.t.Cleanup(func() { assert.NoError(s.t, s.Operator.StartWebhook(context.WithoutCancel(s.t.Context()))) })
	do()
	require.NoError(s.t, s.Operator.StartWebhook(s.t.Context()))
}

// refusesToUnpin checks that whatever writes a pinned workload from its manifest
// is refused.
func (s *space) refusesToUnpin(web *unstructured.Unstructured) {
	s.t.Helper()
	before := s.get(web)
	for _, args := range [][]string{
		{"apply", "--filename=-"},
		{"apply", "--filename=-", "--server-side", "--force-conflicts"},
		{"replace", "--filename=-"},
	} {
		out, err := s.tryKubectl(manifest(s.t, web), args...)
		require.Error(s.t, err, args)
		assert.Contains(s.t, out.err, unpins(resourceArgument(web), "configmap/app"), args)
	}
	assert.Equal(s.t, templateText(s.t, before), templateText(s.t, s.get(web)))
}

// status writes a workload's status as its controller does.
func (s *space) writeStatus(web *unstructured.Unstructured) {
	s.t.Helper()
	s.kubectl("patch", resourceArgument(web), "--subresource=status", "--type=merge", `--patch={"status":{"collisionCount":1}}`)
}

func webhookAway(kind string) func(*space) {
	return func(s *space) {
		s.source("app", "blue")
		web := optedIn(s.t, kind, "web", envFrom("app"))
		s.apply(web)
		s.becomesGreen(web)
		moved := s.deploy(kind, "moved", envFrom("app"))
		fresh := optedIn(s.t, kind, "fresh", envFrom("app"), volume("app"))
		s.withoutWebhook(func() {
			s.apply(fresh)
			assert.Equal(s.t, "configmap/app configmap/app", describe(refsOf(templateOf(s.t, s.get(fresh)).Spec)))
			if slices.Contains(scalable, kind) {
				s.kubectl("scale", resourceArgument(moved), "--replicas=3")
			}
			s.kubectl("set", "image", resourceArgument(moved), "app=example.com/app:2")
			s.kubectl("rollout", "restart", resourceArgument(moved))
			s.writeStatus(moved)
			s.kubectl("annotate", resourceArgument(moved), "team=shop")
			assert.Equal(s.t, "green", s.colourOf(moved, "app"))
			s.refusesToUnpin(web)
			s.undo(web)
			assert.Equal(s.t, "blue", s.colourOf(web, "app"))
			s.event("web", wellknown.ReasonRollbackHeld, "configmap/app is held at "+s.pin(web, "app")+"; to end it, label the "+kindArgument(web)+" configpin.io/resume=true")
			s.refusesToUnpin(web)
			s.rolledOut(web, 2)
			s.rolledOut(fresh, 1)
		})
		s.showing(fresh, "app", "green")
		s.sameButNames(fresh, s.get(fresh))
		s.pass()
		assert.Equal(s.t, 1, s.rollouts(fresh), "the repair is one rollout")
		assert.Equal(s.t, "blue", s.colourOf(web, "app"), "an undo during the outage holds")
		assert.True(s.t, s.held(web, "app"))
		assert.Equal(s.t, 2, s.rollouts(web))
		assert.Equal(s.t, 2, s.rollouts(moved), "the image and the restart")
		s.apply(web)
		assert.Equal(s.t, "blue", s.colourOf(web, "app"), "and goes on holding")
	}
}

func webhookAwayCronJob(s *space) {
	s.source("app", "blue")
	report := optedIn(s.t, "CronJob", "report", envFrom("app"), projectedNothing)
	s.apply(report)
	s.showing(report, "app", "blue")
	fresh := optedIn(s.t, "CronJob", "fresh", envFrom("app"))
	s.withoutWebhook(func() {
		s.apply(fresh)
		s.refusesToUnpin(report)
	})
	s.showing(fresh, "app", "blue")
	s.pass()
	assert.Equal(s.t, 1, s.rollouts(fresh))
	assert.Zero(s.t, s.rollouts(report))
}

// webhookAwayUndo: such a template names sources, so it would un-pin.
func webhookAwayUndo(s *space) {
	web := s.optedInLater("Deployment")
	s.withoutWebhook(func() {
		out, err := s.tryKubectl("", "rollout", "undo", "deployment/web")
		require.Error(s.t, err)
		assert.Contains(s.t, out.err, unpins("deployment/web", "configmap/app"))
	})
	assert.Equal(s.t, "blue", s.colourOf(web, "app"))
}

// webhookAwayMixed: the revision pins the one source, and names the other.
func webhookAwayMixed(s *space) {
	s.source("app", "blue")
	s.create(configMap("extra", map[string]string{colour: "grey"}))
	web := s.deploy("Deployment", "web", envFrom("app"), volume("extra"))
	s.showing(web, "app", "blue")
	s.rolledOut(web, 1)
	s.kubectl("annotate", "configmap/extra", wellknown.Versioned+"=true")
	s.showing(web, "extra", "grey")
	s.rolledOut(web, 2)
	s.withoutWebhook(func() {
		out, err := s.tryKubectl("", "rollout", "undo", "deployment/web")
		require.Error(s.t, err)
		assert.Contains(s.t, out.err, unpins("deployment/web", "configmap/extra"))
	})
	assert.Equal(s.t, "grey", s.colourOf(web, "extra"))
	s.undo(web)
	s.pass()
	assert.Equal(s.t, "grey", s.colourOf(web, "extra"), "with the webhook there, it is pinned again")
}

// webhookAwayNamespace: a replace takes the stamp off, but not the namespace's
// label.
func webhookAwayNamespace(s *space) {
	s.namespaceEnabled()
	s.source("app", "blue")
	web := plainWorkload(s.t, "Deployment", "web", envFrom("app"))
	s.apply(web)
	s.showing(web, "app", "blue")
	s.complete(web)
	s.withoutWebhook(func() { s.refusesToUnpin(web) })
	s.pass()
	assert.Zero(s.t, s.rollouts(web))
}

func webhookAwayMisspelt(s *space) {
	s.source("app", "blue")
	web, other := optedIn(s.t, "Deployment", "web", envFrom("app")), optedIn(s.t, "Deployment", "other", envFrom("app"))
	s.apply(web)
	s.apply(other)
	s.showing(web, "app", "blue")
	s.showing(other, "app", "blue")
	s.apply(misspelling(other))
	s.complete(web)
	s.complete(other)
	s.withoutWebhook(func() {
		s.refusesToUnpin(misspelling(web))
		s.refusesToUnpin(misspelling(other))
		s.kubectl("label", "deployment/web", "configpin.io/enabled=True", "--overwrite")
	})
	s.pass()
	assert.Equal(s.t, "blue", s.colourOf(web, "app"))
	assert.Equal(s.t, "blue", s.colourOf(other, "app"))
}

func webhookAwayOptOut(s *space) {
	s.source("app", "blue")
	web := optedIn(s.t, "Deployment", "web", envFrom("app"))
	s.apply(web)
	s.showing(web, "app", "blue")
	s.complete(web)
	s.withoutWebhook(func() {
		s.kubectl("label", "deployment/web", "configpin.io/enabled=false", "--overwrite")
		assert.Equal(s.t, "blue", s.colourOf(web, "app"), "nobody puts the names of sources back")
		out := plainWorkload(s.t, "Deployment", "web", envFrom("app"))
		out.SetLabels(map[string]string{wellknown.Enabled: wellknown.False})
		s.apply(out)
		assert.Equal(s.t, "configmap/app", describe(refsOf(templateOf(s.t, s.get(web)).Spec)))
	})
	s.eventually("our keys are gone", func() (string, bool) {
		stored := s.get(web)
		annotations := templateOf(s.t, stored).Annotations
		_, pinned := annotations[wellknown.Pins]
		return pretty(s, annotations), !pinned && len(ourLabels(stored)) == 1
	})
}

// webhookAwayUnlabelled: nothing that selects by the label sees these any more. The first
// ones are found while the webhook is away still, and nothing is stored for its sake: it may
// never come. Of the last one, the versioner wasn't there to see the label go.
func webhookAwayUnlabelled(s *space) {
	s.needAuditLog()
	s.source("app", "blue")
	all := []*unstructured.Unstructured{
		optedIn(s.t, "Deployment", "web", envFrom("app")), optedIn(s.t, "CronJob", "report", envFrom("app")), optedIn(s.t, "StatefulSet", "store", envFrom("app")),
	}
	for _, w := range all {
		s.apply(w, "--server-side", "--field-manager=shop")
		s.showing(w, "app", "blue")
	}
	s.complete(all[0])
	s.withoutWebhook(func() {
		for _, w := range all[:2] {
			touches := s.touches(w)
			s.kubectl("label", resourceArgument(w), "configpin.io/enabled-")
			s.eventually("sweeps have tried to release it", func() (string, bool) {
				now := s.touches(w)
				return strconv.Itoa(now), now >= touches+2
			})
			assert.NotContains(s.t, s.get(w).GetLabels(), wellknown.Enabled)
			assert.Equal(s.t, "blue", s.colourOf(w, "app"), "nobody puts the names of sources back")
		}
	})
	s.withoutVersioner(func() {
		s.withoutWebhook(func() { s.kubectl("label", resourceArgument(all[2]), "configpin.io/enabled-") })
		assert.Equal(s.t, "blue", s.colourOf(all[2], "app"), "nobody puts the names of sources back")
	})
	for _, w := range all {
		s.eventually(w.GetName()+" names its source, and our keys are gone", func() (string, bool) {
			stored := s.get(w)
			template := templateOf(s.t, stored)
			_, pinned := template.Annotations[wellknown.Pins]
			named := describe(refsOf(template.Spec))
			return named + pretty(s, ourLabels(stored)), named == "configmap/app" && !pinned && len(ourLabels(stored)) == 0
		})
		for _, entry := range s.get(w).GetManagedFields() {
			assert.NotEqual(s.t, wellknown.FieldManager, entry.Manager)
		}
		assert.Equal(s.t, 1, s.rollouts(w))
		out := plainWorkload(s.t, w.GetKind(), w.GetName(), envFrom("app"))
		s.apply(out, "--server-side", "--field-manager=shop")
	}
	s.edit("app", "green")
	s.pass()
	for _, w := range all {
		assert.Equal(s.t, 1, s.rollouts(w), "it is opted out")
	}
}

// touches is how often our programs sent a workload through admission, or tried what comes of
// that.
func (s *space) touches(w *unstructured.Unstructured) (count int) {
	s.t.Helper()
	s.eachAudited(func(event audited) {
		if event.Verb == "patch" && event.ObjectRef.Name == w.GetName() && strings.HasPrefix(event.User.Username, ourUsers) {
			count++
		}
	})
	return count
}

func changeWithoutWebhook(s *space) {
	s.source("app", "blue")
	web := s.deploy("Deployment", "web", envFrom("app"))
	s.rolledOut(web, 1)
	s.withoutWebhook(func() {
		s.edit("app", "green")
		s.event("web", wellknown.ReasonTouchUnanswered,
			"It is behind its sources, and sending it through admission changes nothing: is the configpin webhook reachable, and does nothing undo its answers?")
		assert.Equal(s.t, "blue", s.colourOf(web, "app"))
		assert.Zero(s.t, s.rollouts(web))
	})
	s.showing(web, "app", "green")
	s.pass()
	assert.Equal(s.t, 1, s.rollouts(web))
}

// strictly has requests fail with the webhook.
func (s *space) strictly(do func()) {
	s.t.Helper()
	s.strict = true
	require.NoError(s.t, s.Operator.BeStrict(s.t.Context()))
	s.t.Cleanup(func() { assert.NoError(s.t, s.Operator.BeLenient(context.WithoutCancel(s.t.Context()))) })
	do()
	require.NoError(s.t, s.Operator.BeLenient(s.t.Context()))
}

func strictAway(kind string) func(*space) {
	return func(s *space) {
		s.source("app", "blue")
		web := optedIn(s.t, kind, "web", envFrom("app"))
		s.apply(web)
		s.becomesGreen(web)
		s.complete(web)
		held := optedIn(s.t, kind, "held", envFrom("app"))
		s.apply(held)
		s.strictly(func() {
			s.kubectl("rollout", "restart", resourceArgument(held))
			s.withoutWebhook(func() {
				fresh := manifest(s.t, optedIn(s.t, kind, "fresh", envFrom("app")))
				s.eventually("a workload that is opted in can't be created", func() (string, bool) {
					out, err := s.tryKubectl(fresh, "create", "--filename=-", "--dry-run=server")
					return out.out, err != nil
				})
				s.refusesAll(web)
				s.kubectl("get", resourceArgument(web))
				if slices.Contains(scalable, kind) {
					s.kubectl("scale", resourceArgument(web), "--replicas=2")
				}
				s.writeStatus(web)
				s.create(plainWorkload(s.t, kind, "plain", envFrom("app")))
				s.complete(web)
				s.complete(held) // its controller's own writes pass
				s.edit("app", "red")
			})
			s.showing(web, "app", "red")
			s.showing(held, "app", "red")
			s.apply(web)
			s.undo(web)
			assert.Equal(s.t, "green", s.colourOf(web, "app"))
			s.pass()
			assert.True(s.t, s.held(web, "app"))
			assert.Equal(s.t, 3, s.rollouts(web), "green, red, and back")
			assert.Equal(s.t, "configmap/app", describe(refsOf(templateOf(s.t, s.get(plainWorkload(s.t, kind, "plain"))).Spec)))
		})
	}
}

// refusesAll checks that nobody can write a workload.
func (s *space) refusesAll(web *unstructured.Unstructured) {
	s.t.Helper()
	object := resourceArgument(web)
	before := templateText(s.t, s.get(web))
	for _, args := range [][]string{
		{"apply", "--filename=-"},
		{"replace", "--filename=-"},
		{"rollout", "undo", object},
		{"rollout", "restart", object},
		{"set", "image", object, "app=example.com/app:2"},
		{"annotate", object, "team=shop"},
	} {
		out, err := s.tryKubectl(manifest(s.t, web), args...)
		require.Error(s.t, err, args)
		assert.Contains(s.t, out.err, `failed calling webhook "workload.configpin.io"`, args)
	}
	assert.Equal(s.t, before, templateText(s.t, s.get(web)))
}
