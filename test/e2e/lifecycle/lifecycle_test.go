// Package lifecycle installs configpin as people do, upgrades it, takes it away and
// brings it back, on a real control plane with a thousand workloads and the real
// cert-manager, while the cluster is written to.
//
// What runs in Pods elsewhere are processes here, which the test starts and ends as the
// Deployment, the kubelet and kube-proxy would. What a container is to them is shown by
// test/e2e/node.
package lifecycle

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/configpin/configpin/test/lab/clients"
	"github.com/configpin/configpin/test/lab/installation"
	"github.com/configpin/configpin/test/lab/tools"
)

const release = "configpin"

// story is what is told of an installation, and what has to stay as it was.
type story struct {
	*lab
	checkout          string
	present, previous build
	pins              []string
	snapshots         map[string]types.UID
}

// TestLifecycle is one story: each part begins where the one before it has ended.
func TestLifecycle(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a control plane, and takes minutes")
	}
	checkout, err := tools.Checkout()
	require.NoError(t, err)
	present, err := built(t.Context(), checkout, filepath.Join(t.TempDir(), "present"))
	require.NoError(t, err)
	previous, err := built(t.Context(), checkedOut(t, checkout, upgradedFrom(t, checkout)), filepath.Join(t.TempDir(), "previous"))
	require.NoError(t, err)
	s := &story{lab: newLab(t), checkout: checkout, present: present, previous: previous}
	s.furnish(1000, 200)
	t.Cleanup(func() { s.t = t })
	for _, part := range []struct {
		name string
		play func(*story)
	}{
		{"installing harms nobody, also while there is no certificate", (*story).install},
		{"a rolling restart fails no request", (*story).restart},
		{"an upgrade and the way back roll nothing out and fail no request", (*story).upgrade},
		{"new certificates fail no request, where writes fail without the webhook", (*story).renewCertificates},
		{"the emergency switch fails no request, and configpin comes back", (*story).switchOff},
		{"helm 4 uninstalls, and workloads and snapshots stay", (*story).uninstall},
		{"helm 3 installs, goes on with what is there, and uninstalls", (*story).withHelm3},
		{"kustomize installs, goes on with what is there, and uninstalls", (*story).withKustomize},
	} {
		if !t.Run(part.name, func(t *testing.T) { s.t = t; part.play(s) }) {
			return // what follows would fail for the same reason
		}
	}
}

// install has a cert-manager that is slow, for once: the API server knows of a webhook that
// it doesn't trust and that has no certificate.
func (s *story) install() {
	require.NoError(s.t, s.issuer.Pause())
	s.underLoad("installing, and the first minute", false, func() {
		s.helm(clients.Helm4, "install", release, s.previous.chart(), "--create-namespace")
		require.NoError(s.t, s.startWebhooks(s.t.Context(), s.previous))
		assert.Empty(s.t, s.authorities())
		for _, p := range s.webhooks {
			assert.True(s.t, p.Running(), "it waits for its certificate")
		}
	})
	require.NoError(s.t, s.issuer.Resume())
	require.NoError(s.t, s.serve(s.t.Context()))
	s.trusted()
	require.NoError(s.t, s.startVersioner(s.t.Context(), s.previous))
	s.rollouts(0)
	s.pinned()
	s.optIn()
	s.rollouts(1)
	s.pins, s.snapshots = s.pinned(), s.kept()
}

func (s *story) restart() {
	s.underLoad("a rolling restart", true, func() {
		require.NoError(s.t, s.roll(s.t.Context(), s.previous))
	})
	s.rollouts(1)
}

func (s *story) upgrade() {
	s.underLoad("an upgrade", true, func() {
		s.helm(clients.Helm4, "upgrade", release, s.present.chart())
		require.NoError(s.t, s.roll(s.t.Context(), s.present))
	})
	s.underLoad("a downgrade", true, func() {
		s.helm(clients.Helm4, "rollback", release, "1")
		require.NoError(s.t, s.roll(s.t.Context(), s.previous))
	})
	s.rollouts(1)
	assert.Equal(s.t, s.pins, s.pinned())
}

func (s *story) renewCertificates() {
	s.helm(clients.Helm4, "upgrade", release, s.present.chart(), "--set=strict=true")
	require.NoError(s.t, s.roll(s.t.Context(), s.present))
	s.underLoad("new certificates", true, func() {
		before := s.authorities()
		s.renew(certificate, certificate+"-certificate")
		s.renew(certificate+"-authority", certificate+"-authority")
		s.renew(certificate, certificate+"-certificate")
		s.until("the authority is the old one", func() bool { return string(s.authorities()) != string(before) })
	})
	s.helm(clients.Helm4, "upgrade", release, s.present.chart())
	s.rollouts(1)
	assert.Equal(s.t, s.pins, s.pinned())
}

func (s *story) switchOff() {
	s.underLoad("the emergency switch", false, func() {
		s.kubectl("delete", "mutatingwebhookconfiguration", configurationName)
	})
	s.rollouts(1)
	s.helm(clients.Helm4, "upgrade", release, s.present.chart())
	s.trusted()
	assert.Equal(s.t, s.pins, s.pinned(), "what was un-pinned meanwhile is pinned again")
}

func (s *story) uninstall() {
	s.underLoad("uninstalling with helm 4", false, func() {
		s.helm(clients.Helm4, "uninstall", release)
		require.NoError(s.t, s.terminateAll())
	})
	s.isGone()
	s.rollouts(1)
	assert.Equal(s.t, s.snapshots, s.kept())
}

func (s *story) withHelm3() {
	s.helm(clients.Helm3, "install", release, s.present.chart())
	s.begin(s.present)
	assert.Equal(s.t, s.pins, s.pinned())
	s.rollouts(1)
	assert.Equal(s.t, s.snapshots, s.kept())
	s.edit("red")
	s.rollouts(2)
	s.pins = s.pinned()
	s.underLoad("uninstalling with helm 3", false, func() {
		s.kubectl("delete", "mutatingwebhookconfiguration", configurationName) // helm 4 begins with it
		s.helm(clients.Helm3, "uninstall", release)
		require.NoError(s.t, s.terminateAll())
	})
	s.isGone()
}

func (s *story) withKustomize() {
	base := filepath.Join(s.checkout, "manifests", "base")
	s.kubectl("apply", "--kustomize", base)
	s.begin(s.present)
	assert.Equal(s.t, s.pins, s.pinned())
	s.underLoad("uninstalling with kustomize", false, func() {
		s.kubectl("delete", "mutatingwebhookconfiguration", configurationName)
		s.kubectl("delete", "--kustomize", base, "--ignore-not-found")
		require.NoError(s.t, s.terminateAll())
	})
	s.isGone()
	s.rollouts(2)
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
	})
	before := l.secret(certificate + "-certificate")
	_, err = l.api.CoreV1().Secrets(installation.Namespace).Patch(t.Context(), certificate+"-certificate", types.MergePatchType,
		[]byte(`{"data": {"tls.crt": null}}`), metav1.PatchOptions{})
	require.NoError(t, err)
	l.until("it isn't issued again", func() bool {
		now := l.secret(certificate + "-certificate")
		return now != "" && now != before
	})
	_, err = l.api.AdmissionregistrationV1().MutatingWebhookConfigurations().Patch(t.Context(), configurationName, types.JSONPatchType,
		[]byte(`[{"op": "remove", "path": "/webhooks/0/clientConfig/caBundle"}]`), metav1.PatchOptions{})
	require.NoError(t, err)
	l.trusted()
	l.mayChangeNothingElse()
	require.NoError(t, l.api.CoreV1().Secrets(installation.Namespace).Delete(t.Context(), certificate+"-certificate", metav1.DeleteOptions{}))
	require.NoError(t, l.roll(t.Context(), b), "the webhook has its certificate mounted, and the versioner does without")
	l.edit("green")
	l.rollouts(3)
}

// mayChangeNothingElse plays a versioner that somebody else has taken over.
func (l *lab) mayChangeNothingElse() {
	l.t.Helper()
	config, err := l.cluster.ConfigFor(installation.VersionerUser, installation.Groups()...)
	require.NoError(l.t, err)
	versioner, err := kubernetes.NewForConfig(config)
	require.NoError(l.t, err)
	for name, change := range map[string]func(*admissionregistrationv1.MutatingWebhookConfiguration){
		"whom it calls": func(c *admissionregistrationv1.MutatingWebhookConfiguration) {
			c.Webhooks[1].ClientConfig.Service.Namespace = "elsewhere"
		},
		"about what": func(c *admissionregistrationv1.MutatingWebhookConfiguration) {
			c.Webhooks[1].Rules[0].Resources = []string{"*"}
		},
		"where": func(c *admissionregistrationv1.MutatingWebhookConfiguration) { c.Webhooks[1].NamespaceSelector = nil },
		"what a failure does": func(c *admissionregistrationv1.MutatingWebhookConfiguration) {
			c.Webhooks[1].FailurePolicy = new(admissionregistrationv1.Fail)
		},
		"whether it is called": func(c *admissionregistrationv1.MutatingWebhookConfiguration) { c.Webhooks = c.Webhooks[:1] },
		"who owns it": func(c *admissionregistrationv1.MutatingWebhookConfiguration) {
			c.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Namespace", Name: "gone", UID: "1"}}
		},
		"who holds it up": func(c *admissionregistrationv1.MutatingWebhookConfiguration) {
			c.Finalizers = []string{"example.com/never"}
		},
	} {
		found, err := l.api.AdmissionregistrationV1().MutatingWebhookConfigurations().Get(l.t.Context(), configurationName, metav1.GetOptions{})
		require.NoError(l.t, err)
		change(found)
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
