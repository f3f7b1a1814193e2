// Package sabotage shows what the policy configpin-ourselves is good for: the real
// programs run on a real control plane, and their requests are changed on the way
// (test/lab/faults), as a bug would change them. With the policy, each is
// refused and the cluster is as before; without it, the harm is done, so that the
// test would notice if the policy refused nothing.
//
// It is separate from test/conformance because the oracle of that suite would judge
// what is done here. RBAC is out of the way on purpose: what that permits is tested
// there.
package sabotage

import (
	"context"
	"flag"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"

	"github.com/configpin/configpin/internal/wellknown"
	"github.com/configpin/configpin/test/lab/faults"
	"github.com/configpin/configpin/test/lab/installation"
)

// parallel is how many stages there are at a time. They wait more than they work.
const parallel = "12"

func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", parallel); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// sabotaged are the sabotages of test/lab/faults by name, with what the policy says
// of each, word for word.
var sabotaged = map[string]string{
	"touch-scales":                touched("spec.replicas"),
	"touch-pauses":                touched("spec.paused"),
	"touch-annotates":             touched("annotation configpin.io/exclude"),
	"touch-forgets":               touched("annotation kubectl.kubernetes.io/last-applied-configuration"),
	"touch-labels":                touched("label configpin.io/rollout"),
	"touch-labels-as-kubernetes":  touched("label app.kubernetes.io/instance"),
	"touch-owns":                  touched("metadata.ownerReferences"),
	"touch-labels-pods":           touched("template label sabotaged"),
	"touch-annotates-pods":        touched("template annotation configpin.io/sabotaged"),
	"touch-restarts":              touched("template annotation kubectl.kubernetes.io/restartedAt"),
	"touch-promotes":              touched("template.spec.serviceAccount"),
	"touch-image":                 touched("container app image"),
	"touch-command":               touched("container app command"),
	"touch-privileges":            touched("container app securityContext"),
	"touch-value":                 touched("container app env"),
	"touch-variable":              touched("container app env"),
	"touch-key":                   touched("container app env"),
	"touch-adds-container":        touched("the list of containers"),
	"touch-adds-volume":           touched("the list of volumes"),
	"touch-turns-volume":          touched("volume app kind"),
	"touch-mode-of-volume":        touched("volume app configMap.defaultMode"),
	"touch-opts-out":              touched("label configpin.io/enabled"),
	"touch-unlabels":              touched("label configpin.io/enabled"),
	"touch-scale":                 noBusiness("UPDATE of scale/web (apps/deployments/scale)"),
	"touch-status":                noBusiness("UPDATE of deployment/web (apps/deployments/status)"),
	"touch-deletes":               noBusiness("DELETE of deployment/web (apps/deployments)"),
	"touch-token":                 noBusiness("CREATE of tokenrequest/default (/serviceaccounts/token)"),
	"touch-statefulset-init":      ofStatefulSet(touched("container first image")),
	"touch-statefulset-prefix":    ofStatefulSet(touched("container app envFrom")),
	"touch-statefulset-key":       ofStatefulSet(touched("container app env")),
	"touch-statefulset-mode":      ofStatefulSet(touched("volume db secret.defaultMode")),
	"touch-statefulset-projected": ofStatefulSet(touched("volume all projected.defaultMode")),
	"touch-statefulset-items":     ofStatefulSet(touched("volume all sources")),
	"touch-statefulset-adds":      ofStatefulSet(touched("volume all sources")),
	"touch-cronjob-backoff":       ofCronJob(touched("spec.jobTemplate.spec.backoffLimit")),
	"touch-cronjob-labels":        ofCronJob(touched("label of jobs configpin.io/enabled")),
	"touch-cronjob-finalizes":     ofCronJob(touched("spec.jobTemplate.metadata.finalizers")),
	"touch-cronjob-promotes":      ofCronJob(touched("template.spec.serviceAccount")),
	"create-mutable":              notCreated("configmap/SNAPSHOT"),
	"create-unlabelled":           notCreated("configmap/SNAPSHOT"),
	"create-undigested":           notCreated("configmap/SNAPSHOT"),
	"create-misnamed":             notCreated("configmap/sabotaged"),
	"create-owned":                notCreated("configmap/SNAPSHOT"),
	"create-secret":               notCreated("secret/sabotaged"),
	"create-lease":                noBusiness("CREATE of lease/sabotaged (coordination.k8s.io/leases)"),
	"create-role":                 noBusiness("CREATE of role/sabotaged (rbac.authorization.k8s.io/roles)"),
	"number-unlabels":             notChanged("label configpin.io/snapshot-of of configmap/SNAPSHOT"),
	"number-owns":                 notChanged("metadata.ownerReferences of configmap/SNAPSHOT"),
	"number-digest":               notChanged("annotation configpin.io/digest of configmap/SNAPSHOT"),
	"number-deletes":              notDeleted("configmap/SNAPSHOT"),
	"number-deletes-source":       notDeleted("configmap/app"),
	"number-labels-source":        noSnapshot("configmap/app"),
	"number-annotates-source":     noSnapshot("configmap/app"),
	"number-edits-source":         noSnapshot("configmap/app"),
	"mark-labels":                 notChanged("label sabotaged of configmap/SNAPSHOT"),
	"mark-labels-another":         notChanged("label configpin.io/snapshot-of of configmap/SNAPSHOT"),
	"mark-deletes":                notDeleted("configmap/SNAPSHOT"),
	"mark-source":                 noSnapshot("configmap/extra"),
	"look-numbers":                byWebhook(notChanged("annotation configpin.io/revision of configmap/SNAPSHOT")),
	"look-marks":                  "configpin-webhook may not mark configmap/SNAPSHOT as unused: this is a bug of configpin. Please report it.",
	"look-deletes":                byWebhook(notDeleted("configmap/SNAPSHOT")),
	"look-scales":                 byWebhook(noBusiness("UPDATE of deployment/web (apps/deployments)")),
}

func TestEachSabotageHasARow(t *testing.T) {
	t.Parallel()
	assert.ElementsMatch(t, faults.Sabotages(), slices.Collect(maps.Keys(sabotaged)))
}

const report = "this is a bug of configpin. Please report it."

func touched(field string) string {
	return "a touch of deployment/web by configpin-versioner would change " + field + ": another webhook or a MutatingAdmissionPolicy does that, or a bug of configpin. " +
		"To find it, run kubectl configpin check; if that names none, report it."
}

func noBusiness(what string) string {
	return "configpin-versioner has no business with " + what + ": " + report
}

func notCreated(object string) string {
	return "configpin-versioner creates nothing but snapshots, and " + object + " is none: this is a bug of configpin, " +
		"or another webhook or a MutatingAdmissionPolicy changes what it creates. Please look for such, or report it."
}

func notChanged(what string) string {
	return "configpin-versioner may not change " + what + ": this is a bug of configpin, " +
		"or another webhook or a MutatingAdmissionPolicy does it on the way. Please look for such, or report it."
}

func notDeleted(object string) string {
	return "configpin-versioner may not delete " + object + ", which is no snapshot that is marked as unused: " + report
}

func noSnapshot(object string) string {
	return "configpin-versioner changes nothing but snapshots, and " + object + " is none: " + report
}

// ofStatefulSet and ofCronJob are what is said of a Deployment, said of another kind.
func ofStatefulSet(said string) string {
	return strings.ReplaceAll(said, "deployment/web", "statefulset/web")
}

func ofCronJob(said string) string { return strings.ReplaceAll(said, "deployment/web", "cronjob/web") }

// byWebhook is what is said of the versioner, said of the webhook.
func byWebhook(said string) string {
	return strings.ReplaceAll(said, "configpin-versioner", "configpin-webhook")
}

// overstep is a request that isn't made in the place of another: what it is about isn't
// in the namespace of a stage.
type overstep struct {
	create  func(context.Context, *lab) error
	refusal string
}

// oversteps are about who may do something, and about configpin's own namespace.
var oversteps = map[string]overstep{
	"the key by the webhook": {
		creates(webhooks, digestKey(func(*corev1.Secret) {})),
		byWebhook(notCreated("secret/" + wellknown.DigestKeySecret)),
	},
	"a key that can change": {
		creates(versioners, digestKey(func(s *corev1.Secret) { s.Immutable = nil })),
		notCreated("secret/" + wellknown.DigestKeySecret),
	},
	"a key that becomes a token": {
		creates(versioners, digestKey(func(s *corev1.Secret) {
			s.Type = corev1.SecretTypeServiceAccountToken
			s.Annotations = map[string]string{corev1.ServiceAccountNameKey: "default"}
		})),
		notCreated("secret/" + wellknown.DigestKeySecret),
	},
	"a key elsewhere": {
		creates(versioners, digestKey(func(s *corev1.Secret) { s.Namespace = metav1.NamespaceDefault })),
		notCreated("secret/" + wellknown.DigestKeySecret),
	},
	"an Event by the webhook": {
		func(ctx context.Context, l *lab) error {
			about := corev1.ObjectReference{Kind: "Deployment", Namespace: installation.Namespace, Name: "web"}
			event := &corev1.Event{ObjectMeta: metav1.ObjectMeta{Name: "sabotaged"}, InvolvedObject: about}
			_, err := l.asWebhook.CoreV1().Events(installation.Namespace).Create(ctx, event, tried)
			return err
		},
		byWebhook(noBusiness("CREATE of event/sabotaged (/events)")),
	},
	"a Lease by the webhook": {
		func(ctx context.Context, l *lab) error {
			lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: "sabotaged"}}
			_, err := l.asWebhook.CoordinationV1().Leases(installation.Namespace).Create(ctx, lease, tried)
			return err
		},
		byWebhook(noBusiness("CREATE of lease/sabotaged (coordination.k8s.io/leases)")),
	},
}

// tried is what leaves nothing behind.
var tried = metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}

func versioners(l *lab) kubernetes.Interface { return l.asVersioner }
func webhooks(l *lab) kubernetes.Interface   { return l.asWebhook }

func creates(as func(*lab) kubernetes.Interface, secret *corev1.Secret) func(context.Context, *lab) error {
	return func(ctx context.Context, l *lab) error {
		_, err := as(l).CoreV1().Secrets(secret.Namespace).Create(ctx, secret, tried)
		return err
	}
}

// digestKey is the key as the versioner makes it, changed.
func digestKey(change func(*corev1.Secret)) *corev1.Secret {
	key := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: installation.Namespace, Name: wellknown.DigestKeySecret},
		Immutable:  ptr.To(true),
		Type:       wellknown.DigestKeyType,
		Data:       map[string][]byte{wellknown.DigestKeyData: []byte("sabotaged")},
	}
	change(key)
	return key
}

// invisible leaves nothing that could be looked at.
const invisible = "touch-token"

func TestSabotage(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a control plane")
	}
	l := newLab(t)
	t.Run("with the policy, nothing happens", func(t *testing.T) {
		for name, message := range sabotaged {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				s := l.stage(t, name+"--refused")
				refusal := s.untilRefused(t)
				assert.Equal(t, message, refusal)
				assert.Equal(t, s.before, s.state(t))
			})
		}
	})
	t.Run("with the policy, a large workload is pinned", l.largeIsPinned)
	t.Run("with the policy, nobody oversteps", func(t *testing.T) {
		for name, o := range oversteps {
			assert.ErrorContains(t, o.create(t.Context(), l), denied+o.refusal, name)
		}
	})
	l.takeAway(t, policy)
	l.awaitPolicy(t, false)
	t.Run("without the policy, everybody oversteps", func(t *testing.T) {
		for name, o := range oversteps {
			if err := o.create(t.Context(), l); !apierrors.IsAlreadyExists(err) { // as the key does
				assert.NoError(t, err, name)
			}
		}
	})
	t.Run("without the policy, the harm is done", func(t *testing.T) {
		for name := range sabotaged {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				s := l.stage(t, name+"--done")
				if name == invisible {
					s.untilGranted(t, "serviceaccounts", "token")
					return
				}
				s.untilHarmed(t)
			})
		}
	})
}
