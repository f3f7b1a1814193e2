// Package namespaced plays programs that serve some namespaces alone, on a real
// control plane: with Roles and no ClusterRole.
//
// It is separate from test/conformance because what is installed is something else.
// It deliberately tests nothing that doesn't depend on that.
package namespaced

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/configpin/configpin/internal/wellknown"
	"github.com/configpin/configpin/manifests"
	"github.com/configpin/configpin/test/lab/controlplane"
	"github.com/configpin/configpin/test/lab/installation"
	"github.com/configpin/configpin/test/lab/rights"
)

// The namespaces: Secrets are served in the first, ConfigMaps alone in the second, and
// the third is somebody else's.
const (
	shop = "shop"
	bank = "bank"
	zoo  = "zoo"
)

// short are served as bank is, and deleted for good. They are neighbours in the list.
var short = []string{"attic", "barn", "cellar"}

const (
	patience = 90 * time.Second // of a machine that does something else too
	pause    = 100 * time.Millisecond

	// collectTime is longer: what is unused has to be marked for a minute and a half.
	collectTime = 6 * time.Minute
)

// lab is the control plane.
type lab struct {
	api       kubernetes.Interface
	configpin *installation.Installation
	warnings  *listener
	auditLog  string
}

// listener hears the warnings that come with answers.
type listener struct{ heard []string }

// HandleWarningHeader implements rest.WarningHandler.
func (l *listener) HandleWarningHeader(_ int, _, text string) { l.heard = append(l.heard, text) }

func newLab(t *testing.T) *lab {
	t.Helper()
	dir := t.TempDir()
	l := &lab{auditLog: filepath.Join(dir, "audit.log"), warnings: &listener{}}
	cluster, err := controlplane.Start(t.Context(), controlplane.Options{Dir: dir, Progress: t.Output(), AuditLog: l.auditLog})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, cluster.Stop()) })
	config := rest.CopyConfig(cluster.Config())
	config.QPS = -1
	config.WarningHandler = l.warnings
	l.api, err = kubernetes.NewForConfig(config)
	require.NoError(t, err)
	for _, name := range append([]string{shop, bank, zoo}, short...) {
		_, err := l.api.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
		require.NoError(t, err)
	}
	served := append(slices.Clone(short), bank, shop)
	objects, err := manifests.Namespaced(served, []string{shop})
	require.NoError(t, err)
	scope := []string{"--namespaces=" + strings.Join(served, ","), "--secrets-namespaces=" + shop, "-v=1"}
	l.configpin, err = installation.New(t.Context(), cluster, installation.Options{
		Objects:      objects,
		WebhookFlags: append([]string{"--drain=0s"}, scope...),
		VersionerFlags: append([]string{
			"--settle=500ms", "--sweep=2s", "--gc-interval=3s", "--gc-min-age=1s", "--gc-grace=90s", "--history-limit=0", "--secrets-history-limit=0",
		}, scope...),
		Progress: t.Output(),
	})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, l.configpin.Stop()) })
	require.NoError(t, l.configpin.StartVersioner(t.Context()))
	require.NoError(t, l.configpin.StartWebhook(t.Context()))
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the webhook says last:\n%s", l.configpin.Webhook().LogTail(20))
			t.Logf("the versioner says last:\n%s", l.configpin.Versioner("versioner").LogTail(20))
		}
	})
	return l
}

// TestNamespaced is one story, since what is compared in the end is all that was done.
func TestNamespaced(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a control plane")
	}
	l := newLab(t)
	for _, namespace := range []string{shop, bank, zoo} {
		l.sources(t, namespace, "blue")
		l.deploy(t, namespace, "web", map[string]string{wellknown.Enabled: wellknown.True})
	}
	assert.Equal(t, []string{"configmap/app", "secret/db"}, l.pinned(t, shop, "web"))
	assert.Equal(t, []string{"configmap/app"}, l.pinned(t, bank, "web"), "Secrets aren't served there")
	assert.Empty(t, l.pinned(t, zoo, "web"), "nothing is served there")
	for _, warning := range l.warnings.heard {
		assert.Contains(t, warning, ": pinned to ", "what isn't served is no reason to warn")
	}

	for _, namespace := range []string{shop, bank, zoo} {
		l.edit(t, namespace, "green")
	}
	l.eventually(t, patience, "green is rolled out", func(ctx context.Context) (string, bool) {
		now := l.held(ctx, t, shop, "web") + " " + l.held(ctx, t, bank, "web")
		return now, now == "app=green db=green app=green"
	})

	l.optIn(t, bank)
	l.deploy(t, bank, "late", nil)
	l.eventually(t, patience, "a workload that its namespace opts in is pinned", func(ctx context.Context) (string, bool) {
		now := l.held(ctx, t, bank, "late")
		return now, now == "app=green"
	})
	l.unstamp(t, bank, "late")

	l.rightsAreEnough(t)

	l.vanish(t, append(short, bank)...)
	l.edit(t, shop, "red")
	l.eventually(t, patience, "red is rolled out where there are rights", func(ctx context.Context) (string, bool) {
		now := l.held(ctx, t, shop, "web")
		return now, now == "app=red db=red"
	})
	l.comesBack(t, bank)
	l.sources(t, bank, "blue")
	l.deploy(t, bank, "web", map[string]string{wellknown.Enabled: wellknown.True})
	l.edit(t, bank, "green")
	l.eventually(t, patience, "green is rolled out where there are rights again", func(ctx context.Context) (string, bool) {
		now := l.held(ctx, t, bank, "web")
		return now, now == "app=green"
	})
	l.eventually(t, collectTime, "what nothing names is collected behind those that are gone", func(ctx context.Context) (string, bool) {
		left := l.snapshots(ctx, t, shop)
		return fmt.Sprint(left, " are left"), left == 2
	})
	l.rightsAreEnoughBut(t, append(short, bank)...)
}

// vanish deletes namespaces, with the rights in them, and has the versioner begin
// again without.
func (l *lab) vanish(t *testing.T, namespaces ...string) {
	t.Helper()
	for _, namespace := range namespaces {
		require.NoError(t, l.api.CoreV1().Namespaces().Delete(t.Context(), namespace, metav1.DeleteOptions{}))
	}
	for _, namespace := range namespaces {
		l.eventually(t, patience, "the namespace is gone", func(ctx context.Context) (string, bool) {
			_, err := l.api.CoreV1().Namespaces().Get(ctx, namespace, metav1.GetOptions{})
			return fmt.Sprint(err), apierrors.IsNotFound(err)
		})
	}
	require.NoError(t, l.configpin.StopVersioner())
	require.NoError(t, l.configpin.StartVersioner(t.Context()))
}

// sources creates a ConfigMap and a Secret that are versioned.
func (l *lab) sources(t *testing.T, namespace, colour string) {
	t.Helper()
	annotated := map[string]string{wellknown.Versioned: wellknown.True}
	_, err := l.api.CoreV1().ConfigMaps(namespace).Create(t.Context(), &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: "app", Annotations: annotated}, Data: map[string]string{"colour": colour},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	_, err = l.api.CoreV1().Secrets(namespace).Create(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "db", Annotations: annotated}, StringData: map[string]string{"colour": colour},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
}

func (l *lab) edit(t *testing.T, namespace, colour string) {
	t.Helper()
	_, err := l.api.CoreV1().ConfigMaps(namespace).Patch(t.Context(), "app", types.MergePatchType, fmt.Appendf(nil, `{"data":{"colour":%q}}`, colour), metav1.PatchOptions{})
	require.NoError(t, err)
	_, err = l.api.CoreV1().Secrets(namespace).Patch(t.Context(), "db", types.MergePatchType, fmt.Appendf(nil, `{"stringData":{"colour":%q}}`, colour), metav1.PatchOptions{})
	require.NoError(t, err)
}

// deploy creates a Deployment that uses both, and keeps no history.
func (l *lab) deploy(t *testing.T, namespace, name string, labels map[string]string) {
	t.Helper()
	none, selector := int32(0), map[string]string{"app": name}
	_, err := l.api.AppsV1().Deployments(namespace).Create(t.Context(), &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels},
		Spec: appsv1.DeploymentSpec{
			Replicas:             &none,
			RevisionHistoryLimit: &none,
			Selector:             &metav1.LabelSelector{MatchLabels: selector},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: selector},
				Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: "example.com/web:1", EnvFrom: []corev1.EnvFromSource{
					{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "app"}}},
					{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "db"}}},
				}}}},
			},
		},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
}

func (l *lab) optIn(t *testing.T, namespace string) {
	t.Helper()
	l.label(t, namespace, `"true"`)
}

func (l *lab) label(t *testing.T, namespace, value string) {
	t.Helper()
	patch := fmt.Appendf(nil, `{"metadata":{"labels":{%q:%s}}}`, wellknown.Enabled, value)
	_, err := l.api.CoreV1().Namespaces().Patch(t.Context(), namespace, types.MergePatchType, patch, metav1.PatchOptions{})
	require.NoError(t, err)
}

// unstamp takes the label off a workload while its namespace doesn't opt in, and then
// has it opt in again: the versioner finds it by looking.
func (l *lab) unstamp(t *testing.T, namespace, name string) {
	t.Helper()
	l.label(t, namespace, "null")
	patch := fmt.Appendf(nil, `{"metadata":{"labels":{%q:null}}}`, wellknown.Enabled)
	_, err := l.api.AppsV1().Deployments(namespace).Patch(t.Context(), name, types.MergePatchType, patch, metav1.PatchOptions{})
	require.NoError(t, err)
	require.Empty(t, l.pinned(t, namespace, name))
	l.optIn(t, namespace)
	l.eventually(t, patience, "the versioner finds it", func(ctx context.Context) (string, bool) {
		now := l.held(ctx, t, namespace, name)
		return now, now == "app=green"
	})
}

// pinned are the sources that a Deployment is pinned for.
func (l *lab) pinned(t *testing.T, namespace, name string) []string {
	t.Helper()
	found, err := l.api.AppsV1().Deployments(namespace).Get(t.Context(), name, metav1.GetOptions{})
	require.NoError(t, err)
	var sources []string
	for entry := range strings.SplitSeq(found.Spec.Template.Annotations[wellknown.Pins], ",") {
		if source, _, is := strings.Cut(entry, "="); is {
			sources = append(sources, source)
		}
	}
	return sources
}

// held are the colours of what a Deployment is pinned to, as in "app=green".
func (l *lab) held(ctx context.Context, t *testing.T, namespace, name string) string {
	t.Helper()
	found, err := l.api.AppsV1().Deployments(namespace).Get(ctx, name, metav1.GetOptions{})
	require.NoError(t, err)
	var colours []string
	for entry := range strings.SplitSeq(found.Spec.Template.Annotations[wellknown.Pins], ",") {
		source, kept, is := strings.Cut(entry, "=")
		if !is {
			continue
		}
		kind, source, _ := strings.Cut(source, "/")
		colours = append(colours, source+"="+l.colour(ctx, t, namespace, kind, kept))
	}
	return strings.Join(colours, " ")
}

func (l *lab) colour(ctx context.Context, t *testing.T, namespace, kind, name string) string {
	t.Helper()
	if kind == string(wellknown.Secret) {
		found, err := l.api.CoreV1().Secrets(namespace).Get(ctx, name, metav1.GetOptions{})
		require.NoError(t, err)
		return string(found.Data["colour"])
	}
	found, err := l.api.CoreV1().ConfigMaps(namespace).Get(ctx, name, metav1.GetOptions{})
	require.NoError(t, err)
	return found.Data["colour"]
}

// snapshots is how many there are in a namespace.
func (l *lab) snapshots(ctx context.Context, t *testing.T, namespace string) int {
	t.Helper()
	labelled := metav1.ListOptions{LabelSelector: wellknown.SnapshotOf}
	configMaps, err := l.api.CoreV1().ConfigMaps(namespace).List(ctx, labelled)
	require.NoError(t, err)
	secrets, err := l.api.CoreV1().Secrets(namespace).List(ctx, labelled)
	require.NoError(t, err)
	return len(configMaps.Items) + len(secrets.Items)
}

// rightsAreEnough checks that the programs tried nothing that they may not, and looks
// where they did what. That they need each right, test/conformance shows: manifests are
// held to the same rules for all namespaces and for one.
func (l *lab) rightsAreEnough(t *testing.T) {
	t.Helper()
	requests := l.rightsAreEnoughBut(t)
	used, _ := rights.Used(requests)
	assert.Contains(t, used.Texts(), "configpin-versioner: get namespaces", "instead of watching all")
	for _, r := range requests {
		in := append([]string{bank, shop, rights.Namespace}, short...)
		if r.Resource == "secrets" {
			in = []string{shop, rights.Namespace}
		}
		assert.Contains(t, in, r.Namespace, r.String())
	}
	bindings, err := l.api.RbacV1().ClusterRoleBindings().List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	for _, binding := range bindings.Items {
		assert.False(t, slices.ContainsFunc(binding.Subjects, func(s rbacv1.Subject) bool { return s.Namespace == rights.Namespace }), binding.Name)
	}
}

// rightsAreEnoughBut looks at all namespaces but some.
func (l *lab) rightsAreEnoughBut(t *testing.T, namespaces ...string) []rights.Request {
	t.Helper()
	requests, err := rights.Requests(l.auditLog)
	require.NoError(t, err)
	_, refused := rights.Used(requests)
	refused = slices.DeleteFunc(refused, func(r rights.Request) bool { return slices.Contains(namespaces, r.Namespace) })
	assert.Empty(t, refused, "what our programs tried without the right to")
	return requests
}

// comesBack creates a namespace again, with the rights in it.
func (l *lab) comesBack(t *testing.T, namespace string) {
	t.Helper()
	_, err := l.api.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, metav1.CreateOptions{})
	require.NoError(t, err)
	all, err := manifests.Namespaced([]string{namespace}, nil)
	require.NoError(t, err)
	roles := slices.DeleteFunc(all, func(o *unstructured.Unstructured) bool { return o.GetNamespace() != namespace })
	require.NotEmpty(t, roles)
	require.NoError(t, l.configpin.Apply(t.Context(), roles))
}

// eventually waits for what is wanted, and says what it saw last when it never comes.
func (l *lab) eventually(t *testing.T, patience time.Duration, want string, look func(context.Context) (saw string, done bool)) {
	t.Helper()
	saw := ""
	err := wait.PollUntilContextTimeout(t.Context(), pause, patience, true, func(ctx context.Context) (done bool, _ error) {
		saw, done = look(ctx)
		return done, nil
	})
	require.NoError(t, err, "wanted: %s; saw last: %s", want, saw)
}
