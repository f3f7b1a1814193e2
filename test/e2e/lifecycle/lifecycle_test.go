// Package lifecycle installs configpin as people do, upgrades it, takes it away and
// brings it back, on a real control plane with a thousand workloads and the real
// cert-manager, while the cluster is written to.
//
// What runs in Pods elsewhere are processes here, which the test starts and ends as the
// Deployment, the kubelet and kube-proxy would. What a container is to them is shown by
// test/e2e/node.
package lifecycle

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/configpin/configpin/test/clients"
	"github.com/configpin/configpin/test/installation"
	"github.com/configpin/configpin/test/tools"
)

const release = "configpin"

func TestLifecycle(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a control plane, and takes minutes")
	}
	checkout, err := tools.Checkout()
	require.NoError(t, err)
	present, err := built(t.Context(), checkout, filepath.Join(t.TempDir(), "present"))
	require.NoError(t, err)
	previous, err := built(t.Context(), checkedOut(t, checkout), filepath.Join(t.TempDir(), "previous"))
	require.NoError(t, err)
	l := newLab(t)
	l.furnish(1000, 200)

	// cert-manager is slow, for once: the API server knows of a webhook that it doesn't
	// trust and that has no certificate.
	require.NoError(t, l.issuer.Pause())
	l.underLoad("installing, and the first minute", false, func() {
		l.helm(clients.Helm4, "install", release, previous.chart(), "--create-namespace")
		require.NoError(t, l.startWebhooks(t.Context(), previous))
		assert.Empty(t, l.authorities())
		for _, p := range l.webhooks {
			assert.True(t, p.Running(), "it waits for its certificate")
		}
	}, annotating, changing, applying)
	require.NoError(t, l.issuer.Resume())
	require.NoError(t, l.serve(t.Context()))
	l.trusted()
	require.NoError(t, l.startVersioner(t.Context(), previous))
	l.rollouts(0)
	l.pinned()
	l.optIn()
	l.rollouts(1)
	pins, snapshots := l.pinned(), l.snapshots()

	l.underLoad("a rolling restart", true, func() {
		require.NoError(t, l.roll(t.Context(), previous))
	}, annotating, changing, applying)
	l.underLoad("an upgrade", true, func() {
		l.helm(clients.Helm4, "upgrade", release, present.chart())
		require.NoError(t, l.roll(t.Context(), present))
	}, annotating, changing, applying)
	l.underLoad("a downgrade", true, func() {
		l.helm(clients.Helm4, "rollback", release, "1")
		require.NoError(t, l.roll(t.Context(), previous))
	}, annotating, changing, applying)
	l.helm(clients.Helm4, "upgrade", release, present.chart(), "--set=strict=true")
	require.NoError(t, l.roll(t.Context(), present))
	l.underLoad("new certificates, where writes fail without the webhook", true, func() {
		before := l.authorities()
		l.renew(certificate, certificate+"-certificate")
		l.renew(certificate+"-authority", certificate+"-authority")
		l.renew(certificate, certificate+"-certificate")
		require.Eventually(t, func() bool { return string(l.authorities()) != string(before) }, patience, pause, "the authority is the old one")
	}, annotating, changing, applying)
	l.helm(clients.Helm4, "upgrade", release, present.chart())
	l.rollouts(1)
	assert.Equal(t, pins, l.pinned())

	l.underLoad("the emergency switch", false, func() {
		l.kubectl("delete", "mutatingwebhookconfiguration", configurationName)
	}, annotating, changing, applying)
	l.rollouts(1)
	l.helm(clients.Helm4, "upgrade", release, present.chart())
	l.trusted()
	assert.Equal(t, pins, l.pinned(), "what was un-pinned meanwhile is pinned again")

	l.underLoad("uninstalling with helm 4", false, func() {
		l.helm(clients.Helm4, "uninstall", release)
		require.NoError(t, l.terminateAll())
	}, annotating, changing, applying)
	l.isGone()
	l.rollouts(1)
	assert.Equal(t, snapshots, l.snapshots())

	l.helm(clients.Helm3, "install", release, present.chart())
	l.begin(present)
	assert.Equal(t, pins, l.pinned())
	l.rollouts(1)
	assert.Equal(t, snapshots, l.snapshots(), "it goes on with what is there")
	l.edit("red")
	l.rollouts(2)
	pins = l.pinned()
	l.underLoad("uninstalling with helm 3", false, func() {
		l.kubectl("delete", "mutatingwebhookconfiguration", configurationName) // helm 4 begins with it
		l.helm(clients.Helm3, "uninstall", release)
		require.NoError(t, l.terminateAll())
	}, annotating, changing, applying)
	l.isGone()

	l.kubectl("apply", "--kustomize", filepath.Join(checkout, "manifests", "base"))
	l.begin(present)
	assert.Equal(t, pins, l.pinned())
	l.underLoad("uninstalling with kustomize", false, func() {
		l.kubectl("delete", "mutatingwebhookconfiguration", configurationName)
		l.kubectl("delete", "--kustomize", filepath.Join(checkout, "manifests", "base"), "--ignore-not-found")
		require.NoError(t, l.terminateAll())
	}, annotating, changing, applying)
	l.isGone()
	l.rollouts(2)
}

// TestWithoutCertManager installs where nobody but the versioner issues certificates.
func TestWithoutCertManager(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a control plane, and takes minutes")
	}
	checkout, err := tools.Checkout()
	require.NoError(t, err)
	b, err := built(t.Context(), checkout, filepath.Join(t.TempDir(), "present"))
	require.NoError(t, err)
	l := newLab(t)
	require.NoError(t, l.issuer.Stop())
	l.furnish(40, 20)
	l.helm(clients.Helm4, "install", release, b.chart(), "--create-namespace",
		"--set=certificates.certManager.enabled=false,certificates.selfIssued.enabled=true")
	require.NoError(t, l.startWebhooks(t.Context(), b))
	require.NoError(t, l.startVersioner(t.Context(), b))
	require.NoError(t, l.serve(t.Context()))
	l.trusted()
	l.pinned()
	l.optIn()
	l.edit("yellow")
	l.rollouts(2)

	l.underLoad("an upgrade without cert-manager", true, func() {
		authority := l.authorities()
		l.helm(clients.Helm4, "upgrade", release, b.chart(), "--reuse-values", "--set=log.level=1")
		require.NoError(t, l.roll(t.Context(), b))
		assert.Equal(t, authority, l.authorities(), "it was issued again")
	}, annotating, changing, applying)
	before := l.secret(certificate + "-certificate")
	_, err = l.api.CoreV1().Secrets(installation.Namespace).Patch(t.Context(), certificate+"-certificate", types.MergePatchType,
		[]byte(`{"data": {"tls.crt": null}}`), metav1.PatchOptions{})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		now := l.secret(certificate + "-certificate")
		return now != "" && now != before
	}, patience, pause, "it isn't issued again")
	_, err = l.api.AdmissionregistrationV1().MutatingWebhookConfigurations().Patch(t.Context(), configurationName, types.JSONPatchType,
		[]byte(`[{"op": "remove", "path": "/webhooks/0/clientConfig/caBundle"}]`), metav1.PatchOptions{})
	require.NoError(t, err)
	l.trusted()
	l.rollouts(2)
	l.mayChangeNothingElse()
}

// mayChangeNothingElse plays a versioner that somebody else has taken over.
func (l *lab) mayChangeNothingElse() {
	l.t.Helper()
	config, err := l.cluster.ConfigFor(installation.VersionerUser, installation.Groups()...)
	require.NoError(l.t, err)
	versioner, err := kubernetes.NewForConfig(config)
	require.NoError(l.t, err)
	for name, change := range map[string]func(*admissionregistrationv1.MutatingWebhook){
		"whom it calls":       func(w *admissionregistrationv1.MutatingWebhook) { w.ClientConfig.Service.Namespace = "elsewhere" },
		"about what":          func(w *admissionregistrationv1.MutatingWebhook) { w.Rules[0].Resources = []string{"*"} },
		"where":               func(w *admissionregistrationv1.MutatingWebhook) { w.NamespaceSelector = nil },
		"what a failure does": func(w *admissionregistrationv1.MutatingWebhook) { w.FailurePolicy = new(admissionregistrationv1.Fail) },
	} {
		found, err := l.api.AdmissionregistrationV1().MutatingWebhookConfigurations().Get(l.t.Context(), configurationName, metav1.GetOptions{})
		require.NoError(l.t, err)
		change(&found.Webhooks[1])
		_, err = versioner.AdmissionregistrationV1().MutatingWebhookConfigurations().Update(l.t.Context(), found, metav1.UpdateOptions{})
		require.ErrorContains(l.t, err, "configpin-versioner has no business with UPDATE of mutatingwebhookconfiguration/zz-configpin", name)
	}
}

// begin starts the Pods of what was installed just now.
func (l *lab) begin(b build) {
	l.t.Helper()
	require.NoError(l.t, l.startWebhooks(l.t.Context(), b))
	require.NoError(l.t, l.serve(l.t.Context()))
	l.trusted()
	require.NoError(l.t, l.startVersioner(l.t.Context(), b))
}

// edit changes the ConfigMap.
func (l *lab) edit(colour string) {
	l.t.Helper()
	_, err := l.api.CoreV1().ConfigMaps(shop).Patch(l.t.Context(), "app", types.MergePatchType,
		[]byte(`{"data": {"colour": "`+colour+`"}}`), metav1.PatchOptions{})
	require.NoError(l.t, err)
}

// isGone checks that nothing of an installation is left but what cert-manager and the
// programs made: Secrets, and the lease.
func (l *lab) isGone() {
	l.t.Helper()
	kinds := strings.Fields(l.kubectl("api-resources", "--verbs=list", "--output=name"))
	left := l.kubectl("get", strings.Join(kinds, ","), "--all-namespaces", "--ignore-not-found",
		"--selector=app.kubernetes.io/name=configpin", "--output=name")
	assert.Empty(l.t, left)
	for _, kind := range []string{"mutatingwebhookconfigurations", "validatingadmissionpolicies", "validatingadmissionpolicybindings"} {
		assert.NotContains(l.t, l.kubectl("get", kind, "--output=name"), "configpin")
	}
}

// checkedOut is the commit before what is in the checkout, or the one that
// CONFIGPIN_UPGRADE_FROM names.
func checkedOut(t *testing.T, checkout string) string {
	t.Helper()
	from := os.Getenv("CONFIGPIN_UPGRADE_FROM")
	if from == "" {
		from = "HEAD~1"
		if exec.CommandContext(t.Context(), "git", "-C", checkout, "diff", "--quiet", "HEAD").Run() != nil {
			from = "HEAD"
		}
	}
	folder := t.TempDir()
	out, err := exec.CommandContext(t.Context(), "sh", "-c", `git -C "$0" archive "$1" | tar -x -C "$2"`, checkout, from, folder).CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.FileExists(t, filepath.Join(folder, "go.mod"), "there is no commit %s: a clone needs some history", from)
	t.Logf("the commit before is %s", from)
	return folder
}
