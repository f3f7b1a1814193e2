// Package security checks, on a real control plane, what docs/security.md says:
// who is answered, who may do what, and that keeping it so costs nobody a request.
//
// It is separate from test/conformance because its API server and its webhook are
// configured as careful people do. It deliberately has one control plane, so that
// each test works in a namespace of its own.
package security

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/configpin/configpin/manifests"
	"github.com/configpin/configpin/test/lab/controlplane"
	"github.com/configpin/configpin/test/lab/installation"
	"github.com/configpin/configpin/test/lab/pki"
)

const (
	patience = 90 * time.Second // of a machine that does something else too
	pause    = 50 * time.Millisecond
)

// callerName is who the API server is to the webhook.
const callerName = "configpin-caller"

// lab is a control plane with configpin, whose webhook answers its API server alone.
type lab struct {
	cluster   *controlplane.Cluster
	configpin *installation.Installation
	api       kubernetes.Interface
	clients   *pki.Authority // of those whom the webhook answers
}

func TestSecurity(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a control plane")
	}
	l := newLab(t)
	t.Run("the API server is answered", l.theAPIServerIsAnswered)
	t.Run("nobody else is answered", l.nobodyElseIsAnswered)
	t.Run("certificates are replaced without a failed request", l.certificatesAreReplaced)
}

func newLab(t *testing.T) *lab {
	t.Helper()
	logf.SetLogger(logr.Discard()) // or it complains
	dir := t.TempDir()
	l := &lab{clients: pki.NewAuthority(t, "callers")}
	caller, callers := l.clients.Client(t, callerName), filepath.Join(dir, "callers")
	args, err := installation.CallersArgs(callers, caller.Certificate, caller.Key)
	require.NoError(t, err)
	l.cluster, err = controlplane.Start(t.Context(), controlplane.Options{Dir: dir, Progress: t.Output(), APIServerArgs: args})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, l.cluster.Stop()) })
	l.configpin, err = installation.New(t.Context(), l.cluster, installation.Options{
		Objects:        strict(t),
		WebhookFlags:   []string{"--drain=0s", "-v=1", "--client-names=" + callerName},
		VersionerFlags: []string{"--settle=500ms", "-v=1"},
		ClientCA:       l.clients.PEM,
		Progress:       t.Output(),
	})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, l.configpin.Stop()) })
	require.NoError(t, l.configpin.NameCaller(callers))
	apiServer := l.cluster.Process("kube-apiserver")
	require.NoError(t, apiServer.Kill())
	require.NoError(t, apiServer.Start())
	require.NoError(t, l.cluster.Ready(t.Context()))
	require.NoError(t, l.configpin.StartWebhook(t.Context()))
	require.NoError(t, l.configpin.StartVersioner(t.Context()))
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the webhook says last:\n%s", l.configpin.Webhook().LogTail(40))
		}
	})
	config := rest.CopyConfig(l.cluster.Config())
	config.QPS = -1
	config.WarningHandler = rest.NoWarnings{}
	l.api, err = kubernetes.NewForConfig(config)
	require.NoError(t, err)
	return l
}

// strict is what is installed, with a webhook that requests fail without.
func strict(t *testing.T) []*unstructured.Unstructured {
	t.Helper()
	objects, err := manifests.Objects()
	require.NoError(t, err)
	for _, object := range objects {
		if object.GetKind() != "MutatingWebhookConfiguration" {
			continue
		}
		entries, _, err := unstructured.NestedSlice(object.Object, "webhooks")
		require.NoError(t, err)
		for _, entry := range entries {
			entry.(map[string]any)["failurePolicy"] = "Fail"
		}
		require.NoError(t, unstructured.SetNestedSlice(object.Object, entries, "webhooks"))
	}
	return objects
}

// namespace makes one, with a versioned ConfigMap, app.
func (l *lab) namespace(t *testing.T) string {
	t.Helper()
	made, err := l.api.CoreV1().Namespaces().Create(t.Context(),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "security-"}}, metav1.CreateOptions{})
	require.NoError(t, err)
	_, err = l.api.CoreV1().ConfigMaps(made.Name).Create(t.Context(), &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: "app", Annotations: map[string]string{"configpin.io/versioned": "true"}},
		Data:       map[string]string{"colour": "green"},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	return made.Name
}

func (l *lab) deploy(ctx context.Context, namespace, name string) (*appsv1.Deployment, error) {
	return l.api.AppsV1().Deployments(namespace).Create(ctx, deployment(name), metav1.CreateOptions{})
}

// deployment is an opted-in one, without Pods, that refers to app.
func deployment(name string) *appsv1.Deployment {
	none, labels := int32(0), map[string]string{"app": name}
	return &appsv1.Deployment{
		TypeMeta:   metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"},
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"configpin.io/enabled": "true"}},
		Spec: appsv1.DeploymentSpec{
			Replicas: &none,
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec: corev1.PodSpec{Containers: []corev1.Container{{
					Name:    "web",
					Image:   "example.com/web:1",
					EnvFrom: []corev1.EnvFromSource{{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "app"}}}},
				}}},
			},
		},
	}
}

// named is the ConfigMap that a Deployment of deploy names.
func named(d *appsv1.Deployment) string {
	return d.Spec.Template.Spec.Containers[0].EnvFrom[0].ConfigMapRef.Name
}

// pinned returns why a Deployment isn't pinned.
func pinned(d *appsv1.Deployment) error {
	if name := named(d); len(name) != len("app-")+12 {
		return fmt.Errorf("%s names %s", d.Name, name)
	}
	return nil
}

func readFile(t *testing.T, elem ...string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(elem...))
	require.NoError(t, err)
	return text
}
