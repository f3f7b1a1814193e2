// Package sabotage shows what the policy configpin-ourselves is good for: the real
// programs run on a real control plane, and their requests are changed on the way
// (internal/serve/sabotage.go), as a bug would change them. With the policy, each is
// refused and the cluster is as before; without it, the harm is done, so that the
// test would notice if the policy refused nothing.
//
// It is separate from test/conformance because the oracle of that suite would judge
// what is done here. RBAC is out of the way on purpose: what that permits is tested
// there.
package sabotage

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
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

// sabotaged are the sabotages of internal/serve by name, with what the policy says
// of each, word for word.
var sabotaged = map[string]string{
	"touch-scales":            touched("spec.replicas"),
	"touch-pauses":            touched("spec.paused"),
	"touch-annotates":         touched("annotation sabotaged"),
	"touch-labels":            touched("label sabotaged"),
	"touch-owns":              touched("metadata.ownerReferences"),
	"touch-labels-pods":       touched("template.metadata.labels"),
	"touch-annotates-pods":    touched("template annotation sabotaged"),
	"touch-promotes":          touched("template.spec.serviceAccount"),
	"touch-image":             touched("container app image"),
	"touch-command":           touched("container app command"),
	"touch-privileges":        touched("container app securityContext"),
	"touch-value":             touched("container app env"),
	"touch-variable":          touched("container app env"),
	"touch-key":               touched("container app env"),
	"touch-adds-container":    touched("the list of containers"),
	"touch-adds-volume":       touched("the list of volumes"),
	"touch-turns-volume":      touched("volume app kind"),
	"touch-mode-of-volume":    touched("volume app configMap.defaultMode"),
	"touch-scale":             noBusiness("UPDATE of scale/web (apps/deployments/scale)"),
	"touch-status":            noBusiness("UPDATE of deployment/web (apps/deployments/status)"),
	"touch-deletes":           noBusiness("DELETE of deployment/web (apps/deployments)"),
	"touch-token":             noBusiness("CREATE of tokenrequest/default (/serviceaccounts/token)"),
	"create-mutable":          notCreated("configmap/SNAPSHOT"),
	"create-unlabelled":       notCreated("configmap/SNAPSHOT"),
	"create-undigested":       notCreated("configmap/SNAPSHOT"),
	"create-misnamed":         notCreated("configmap/sabotaged"),
	"create-owned":            notCreated("configmap/SNAPSHOT"),
	"create-secret":           notCreated("secret/sabotaged"),
	"create-role":             noBusiness("CREATE of role/sabotaged (rbac.authorization.k8s.io/roles)"),
	"number-unlabels":         notChanged("metadata.labels of configmap/SNAPSHOT"),
	"number-owns":             notChanged("metadata.ownerReferences of configmap/SNAPSHOT"),
	"number-digest":           notChanged("annotation configpin.io/digest of configmap/SNAPSHOT"),
	"number-deletes":          notDeleted("configmap/SNAPSHOT"),
	"number-deletes-source":   notDeleted("configmap/app"),
	"number-labels-source":    noSnapshot("configmap/app"),
	"number-annotates-source": noSnapshot("configmap/app"),
	"number-edits-source":     noSnapshot("configmap/app"),
	"mark-labels":             notChanged("metadata.labels of configmap/SNAPSHOT"),
	"mark-deletes":            notDeleted("configmap/SNAPSHOT"),
	"mark-source":             noSnapshot("configmap/extra"),
	"look-numbers":            byWebhook(notChanged("annotation configpin.io/revision of configmap/SNAPSHOT")),
	"look-marks":              "configpin-webhook may not mark configmap/SNAPSHOT as unused: this is a bug of configpin. Please report it.",
	"look-deletes":            byWebhook(notDeleted("configmap/SNAPSHOT")),
	"look-scales":             byWebhook(noBusiness("UPDATE of deployment/web (apps/deployments)")),
}

const report = "this is a bug of configpin. Please report it."

func touched(field string) string {
	return "a touch of deployment/web by configpin-versioner would change " + field + ": another webhook does that, or a bug of configpin. " +
		"Apply the workload yourself, so that nothing is left to change; if that does not help, report it."
}

func noBusiness(what string) string {
	return "configpin-versioner has no business with " + what + ": " + report
}

func notCreated(object string) string {
	return "configpin-versioner creates nothing but snapshots, and " + object + " is none: this is a bug of configpin, " +
		"or another webhook changes what it creates. Please look for such a webhook, or report it."
}

func notChanged(what string) string {
	return "configpin-versioner may not change " + what + ": this is a bug of configpin, " +
		"or another webhook does it on the way. Please look for such a webhook, or report it."
}

func notDeleted(object string) string {
	return "configpin-versioner may not delete " + object + ", which is no snapshot that is marked as unused: " + report
}

func noSnapshot(object string) string {
	return "configpin-versioner changes nothing but snapshots, and " + object + " is none: " + report
}

// byWebhook is what is said of the versioner, said of the webhook.
func byWebhook(said string) string {
	return strings.ReplaceAll(said, "configpin-versioner", "configpin-webhook")
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
	l.takeAway(t, policy)
	l.awaitPolicy(t, false)
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
