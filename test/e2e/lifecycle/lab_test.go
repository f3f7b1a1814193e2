package lifecycle

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	"github.com/go-logr/logr"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/configpin/configpin/test/lab/certmanager"
	"github.com/configpin/configpin/test/lab/clients"
	"github.com/configpin/configpin/test/lab/controlplane"
	"github.com/configpin/configpin/test/lab/controlplane/process"
	"github.com/configpin/configpin/test/lab/installation"
	"github.com/configpin/configpin/test/lab/tools"
)

const (
	patience = 2 * time.Minute // of a machine that does something else too
	pause    = 50 * time.Millisecond
)

// What is installed, and where workloads are.
const (
	certificate       = "configpin-webhook"
	configurationName = "zz-configpin"
	shop              = "shop"
)

// lab is a cluster on which configpin comes and goes.
type lab struct {
	t            *testing.T
	cluster      *controlplane.Cluster
	api          kubernetes.Interface
	objects      client.Client
	egress       *egress
	issuer       *process.Process // cert-manager
	clients      tools.Programs
	certificates string // the folder that the webhook's Pods have mounted

	crowd, optedIn int // how many workloads there are, and how many of them opt in

	started   int
	webhooks  []*pod
	versioner *pod
	all       []*pod // whatever was started
}

func newLab(t *testing.T) *lab {
	t.Helper()
	logf.SetLogger(logr.Discard()) // or it complains
	l := &lab{t: t}
	var err error
	l.egress, err = newEgress(t.TempDir())
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, l.egress.close()) })
	args, err := l.egress.apiServerArgs()
	require.NoError(t, err)
	l.cluster, err = controlplane.Start(t.Context(), controlplane.Options{Dir: t.TempDir(), Progress: t.Output(), APIServerArgs: args})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, l.cluster.Stop()) })
	l.clients, err = clients.Build(t.Context(), t.Output())
	require.NoError(t, err)
	l.issuer, err = certmanager.Start(t.Context(), l.cluster, t.Output())
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, l.issuer.Stop()) })
	config := rest.CopyConfig(l.cluster.Config())
	config.QPS, config.WarningHandler = -1, rest.NoWarnings{}
	l.api, err = kubernetes.NewForConfig(config)
	require.NoError(t, err)
	scheme := runtime.NewScheme()
	require.NoError(t, certmanagerv1.AddToScheme(scheme))
	l.objects, err = client.New(config, client.Options{Scheme: scheme})
	require.NoError(t, err)
	l.certificates = filepath.Join(l.cluster.Dir(), "certificates")
	require.NoError(t, os.Mkdir(l.certificates, 0o700))
	mounting, stop := context.WithCancel(t.Context())
	mounted := make(chan struct{})
	go func() {
		defer close(mounted)
		l.mount(mounting, t)
	}()
	t.Cleanup(func() {
		stop()
		<-mounted
		l.end()
	})
	return l
}

// end ends the programs, and shows what they said if the test failed.
func (l *lab) end() {
	for _, p := range l.all {
		if l.t.Failed() && p.Running() {
			l.t.Logf("%s says last:\n%s", p.Name, p.LogTail(20))
		}
		assert.NoError(l.t, p.Stop())
	}
}

// run runs a program with the cluster's kubeconfig, and returns what it says.
func (l *lab) run(program string, args ...string) string {
	l.t.Helper()
	command := exec.CommandContext(l.t.Context(), program, args...)
	command.Env = append(append(os.Environ(), "KUBECONFIG="+l.cluster.Kubeconfig()), clients.HelmEnvironment(l.cluster.Dir())...)
	var errs bytes.Buffer
	command.Stderr = &errs
	out, err := command.Output()
	require.NoError(l.t, err, "%s %s: %s", filepath.Base(program), strings.Join(args, " "), &errs)
	return string(out)
}

// helm runs a version of helm in the namespace of the release.
func (l *lab) helm(version string, args ...string) string {
	l.t.Helper()
	return l.run(l.clients.Path(version), append(args, "--namespace="+installation.Namespace)...)
}

func (l *lab) kubectl(args ...string) string {
	l.t.Helper()
	return l.run(l.cluster.Binaries().Path("kubectl"), args...)
}

// deployment names the ConfigMap app twice. It runs nothing.
func deployment(name string, enabled bool) *appsv1.Deployment {
	labels, none := map[string]string{"app": name}, int32(0)
	d := &appsv1.Deployment{
		TypeMeta:   metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"},
		ObjectMeta: metav1.ObjectMeta{Namespace: shop, Name: name, Labels: map[string]string{}},
		Spec: appsv1.DeploymentSpec{
			Replicas: &none,
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec: corev1.PodSpec{
					Containers: []corev1.Container{{
						Name:    "app",
						Image:   "example.com/app:1",
						EnvFrom: []corev1.EnvFromSource{{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "app"}}}},
					}},
					Volumes: []corev1.Volume{{
						Name: "config",
						VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
							LocalObjectReference: corev1.LocalObjectReference{Name: "app"},
						}},
					}},
				},
			},
		},
	}
	if enabled {
		d.Labels["configpin.io/enabled"] = "true"
	}
	return d
}

// furnish makes what is there before configpin is.
func (l *lab) furnish(crowd, optedIn int) {
	l.t.Helper()
	l.crowd, l.optedIn = crowd, optedIn
	_, err := l.api.CoreV1().Namespaces().Create(l.t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: shop}}, metav1.CreateOptions{})
	require.NoError(l.t, err)
	_, err = l.api.CoreV1().ConfigMaps(shop).Create(l.t.Context(), &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: "app", Annotations: map[string]string{"configpin.io/versioned": "true"}},
		Data:       map[string]string{"colour": "blue"},
	}, metav1.CreateOptions{})
	require.NoError(l.t, err)
	var group errgroup.Group
	group.SetLimit(16)
	create := func(d *appsv1.Deployment) {
		group.Go(func() error {
			_, err := l.api.AppsV1().Deployments(shop).Create(l.t.Context(), d, metav1.CreateOptions{})
			return err
		})
	}
	for i := range crowd {
		d := deployment(crowdName(i), false)
		d.Labels["crowd"], d.Spec.Template.Labels["crowd"] = "yes", "yes"
		create(d)
	}
	for i := range writers {
		create(deployment(writtenName(i), true))
	}
	require.NoError(l.t, group.Wait())
	l.rollouts(0)
}

func crowdName(i int) string { return fmt.Sprint("crowd-", i) }

// rollouts waits until those of the crowd that opted in have had this many, and fails if
// there are more, or others had any.
func (l *lab) rollouts(each int) {
	l.t.Helper()
	want := l.crowd + each*l.optedIn
	var got int
	l.until(fmt.Sprint("the crowd hasn't ", want, " ReplicaSets"), func() bool {
		found, err := l.api.AppsV1().ReplicaSets(shop).List(l.t.Context(), metav1.ListOptions{LabelSelector: "crowd"})
		require.NoError(l.t, err)
		got = len(found.Items)
		return got >= want
	})
	require.Equal(l.t, want, got, "ReplicaSets of the crowd")
	l.t.Logf("the crowd has %d ReplicaSets", got)
}

// optIn labels a part of the crowd, and waits until it is pinned.
func (l *lab) optIn() {
	l.t.Helper()
	patch := []byte(`{"metadata": {"labels": {"configpin.io/enabled": "true"}}}`)
	var group errgroup.Group
	group.SetLimit(8)
	for i := range l.optedIn {
		group.Go(func() error {
			_, err := l.api.AppsV1().Deployments(shop).Patch(l.t.Context(), crowdName(i), types.MergePatchType, patch, metav1.PatchOptions{})
			return err
		})
	}
	require.NoError(l.t, group.Wait())
	l.pinned()
}

// until waits for something, on the test's own goroutine, so that a look may fail it.
func (l *lab) until(what string, is func() bool) {
	l.t.Helper()
	for deadline := time.Now().Add(patience); !is(); <-time.After(pause) {
		require.True(l.t, time.Now().Before(deadline), what)
	}
}

// pinned waits until everybody who opted in is pinned, and returns to what.
func (l *lab) pinned() []string {
	l.t.Helper()
	var found []string
	l.until("not everybody is pinned", func() bool {
		found = l.pins()
		return !slices.ContainsFunc(found, func(name string) bool { return !snapshot.MatchString(name) })
	})
	return found
}

// pins are the names in the templates of those who opted in, each once.
func (l *lab) pins() []string {
	l.t.Helper()
	all, err := l.api.AppsV1().Deployments(shop).List(l.t.Context(), metav1.ListOptions{LabelSelector: "configpin.io/enabled=true"})
	require.NoError(l.t, err)
	var found []string
	for i := range all.Items {
		found = append(found, names(&all.Items[i])...)
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// kept are the names and UIDs of snapshots.
func (l *lab) kept() map[string]types.UID {
	l.t.Helper()
	all, err := l.api.CoreV1().ConfigMaps(shop).List(l.t.Context(), metav1.ListOptions{LabelSelector: "configpin.io/snapshot-of"})
	require.NoError(l.t, err)
	found := map[string]types.UID{}
	for _, each := range all.Items {
		found[each.Name] = each.UID
	}
	return found
}

// authorities are what the API server is told to trust of the webhook.
func (l *lab) authorities() []byte {
	l.t.Helper()
	found, err := l.api.AdmissionregistrationV1().MutatingWebhookConfigurations().Get(l.t.Context(), configurationName, metav1.GetOptions{})
	require.NoError(l.t, err)
	return found.Webhooks[0].ClientConfig.CABundle
}

// trusted waits until cert-manager has told the API server whom to trust.
func (l *lab) trusted() {
	l.t.Helper()
	l.until("caBundle is empty", func() bool { return len(l.authorities()) > 0 })
}

// renew has cert-manager issue a certificate again, as `cmctl renew` does, and waits for
// it.
func (l *lab) renew(name, secret string) {
	l.t.Helper()
	key := client.ObjectKey{Namespace: installation.Namespace, Name: name}
	before := l.secret(secret)
	l.until(name+" can't be written", func() bool {
		var c certmanagerv1.Certificate
		require.NoError(l.t, l.objects.Get(l.t.Context(), key, &c))
		c.Status.Conditions = append(slices.DeleteFunc(c.Status.Conditions, func(c certmanagerv1.CertificateCondition) bool {
			return c.Type == certmanagerv1.CertificateConditionIssuing
		}), certmanagerv1.CertificateCondition{
			Type: certmanagerv1.CertificateConditionIssuing, Status: cmmeta.ConditionTrue, Reason: "ManuallyTriggered",
			ObservedGeneration: c.Generation, LastTransitionTime: new(metav1.Now()),
		})
		return l.objects.Status().Update(l.t.Context(), &c) == nil
	})
	l.until(name+" isn't issued again", func() bool { return l.secret(secret) != before })
}

// secret is the certificate in a Secret.
func (l *lab) secret(name string) string {
	l.t.Helper()
	found, err := l.api.CoreV1().Secrets(installation.Namespace).Get(l.t.Context(), name, metav1.GetOptions{})
	require.NoError(l.t, err)
	return string(found.Data[corev1.TLSCertKey])
}
