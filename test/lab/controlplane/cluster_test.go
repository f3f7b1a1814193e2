package controlplane_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"

	"github.com/configpin/configpin/test/lab/controlplane"
	"github.com/configpin/configpin/test/lab/controlplane/process"
)

var components = []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok"}

// patience is for a machine that does something else too.
const patience = time.Minute

func startCluster(t *testing.T, o controlplane.Options) *controlplane.Cluster {
	t.Helper()
	if testing.Short() {
		t.Skip("starts a control plane")
	}
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	o.Progress = t.Output()
	cluster, err := controlplane.Start(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, cluster.Stop()) })
	return cluster
}

func clientOf(t *testing.T, cluster *controlplane.Cluster) kubernetes.Interface {
	t.Helper()
	client, err := kubernetes.NewForConfig(cluster.Config())
	require.NoError(t, err)
	return client
}

func eventually(t *testing.T, what string, check func(ctx context.Context) bool) {
	t.Helper()
	require.Eventually(t, func() bool { return check(t.Context()) }, patience, 20*time.Millisecond, what)
}

func deploy(t *testing.T, client kubernetes.Interface, name string) {
	t.Helper()
	labels := map[string]string{"app": name}
	_, err := client.AppsV1().Deployments("default").Create(t.Context(), &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: appsv1.DeploymentSpec{
			Replicas: ptr.To[int32](3),
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "example.com/app:1"}}},
			},
		},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	eventually(t, "the Deployment "+name+" should become available", func(ctx context.Context) bool {
		d, err := client.AppsV1().Deployments("default").Get(ctx, name, metav1.GetOptions{})
		return err == nil && d.Status.AvailableReplicas == 3
	})
}

// TestCluster uses one cluster for what does not disturb each other, since each costs seconds.
func TestCluster(t *testing.T) {
	audit := filepath.Join(t.TempDir(), "audit.log")
	cluster := startCluster(t, controlplane.Options{AuditLog: audit})
	client := clientOf(t, cluster)

	t.Run("a Deployment becomes available", func(t *testing.T) { deploy(t, client, "first") })

	t.Run("a second start starts nothing and changes nothing", func(t *testing.T) {
		before := pids(cluster)
		kubeconfig, err := os.ReadFile(cluster.Kubeconfig())
		require.NoError(t, err)

		again, err := controlplane.Start(t.Context(), controlplane.Options{Dir: cluster.Dir(), AuditLog: audit})
		require.NoError(t, err)
		assert.Equal(t, before, pids(again))
		after, err := os.ReadFile(cluster.Kubeconfig())
		require.NoError(t, err)
		assert.Equal(t, string(kubeconfig), string(after))
	})

	t.Run("a start starts only what has died", func(t *testing.T) {
		before := pids(cluster)
		require.NoError(t, cluster.Process("kube-scheduler").Kill())
		again, err := controlplane.Start(t.Context(), controlplane.Options{Dir: cluster.Dir(), AuditLog: audit})
		require.NoError(t, err)
		for name, pid := range pids(again) {
			if name == "kube-scheduler" {
				assert.NotEqual(t, before[name], pid)
			} else {
				assert.Equal(t, before[name], pid, name)
			}
		}
	})

	t.Run("what was written survives kills of the API server and etcd", func(t *testing.T) {
		for _, name := range []string{"kube-apiserver", "etcd"} {
			p := cluster.Process(name)
			require.NoError(t, p.Kill())
			require.NoError(t, p.Start())
			require.NoError(t, cluster.Ready(t.Context()))
		}
		_, err := client.AppsV1().Deployments("default").Get(t.Context(), "first", metav1.GetOptions{})
		require.NoError(t, err)
		deploy(t, client, "second")
	})

	t.Run("a user is who the certificate says and may do what RBAC allows", func(t *testing.T) {
		const user = "system:serviceaccount:somewhere:somebody"
		config, err := cluster.ConfigFor(user, "system:serviceaccounts", "system:serviceaccounts:somewhere")
		require.NoError(t, err)
		somebody, err := kubernetes.NewForConfig(config)
		require.NoError(t, err)

		review, err := somebody.AuthenticationV1().SelfSubjectReviews().
			Create(t.Context(), &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
		require.NoError(t, err)
		assert.Equal(t, user, review.Status.UserInfo.Username)
		assert.Contains(t, review.Status.UserInfo.Groups, "system:serviceaccounts:somewhere")

		_, err = somebody.CoreV1().ConfigMaps("default").List(t.Context(), metav1.ListOptions{})
		assert.True(t, apierrors.IsForbidden(err), "got %v", err)
	})

	t.Run("controllers act as their own service accounts", func(t *testing.T) {
		eventually(t, "the audit log should name the deployment controller", func(context.Context) bool {
			log, err := os.ReadFile(audit)
			return err == nil && strings.Contains(string(log), "system:serviceaccount:kube-system:deployment-controller")
		})
	})

	t.Run("a namespace goes away", func(t *testing.T) {
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "short-lived"}}
		_, err := client.CoreV1().Namespaces().Create(t.Context(), ns, metav1.CreateOptions{})
		require.NoError(t, err)
		require.NoError(t, client.CoreV1().Namespaces().Delete(t.Context(), ns.Name, metav1.DeleteOptions{}))
		eventually(t, "the namespace should go away", func(ctx context.Context) bool {
			_, err := client.CoreV1().Namespaces().Get(ctx, ns.Name, metav1.GetOptions{})
			return apierrors.IsNotFound(err)
		})
	})

	t.Run("stopping leaves no process and no listener, and a start continues", func(t *testing.T) {
		require.NoError(t, cluster.Stop())
		for _, name := range components {
			assert.False(t, cluster.Process(name).Running(), name)
			assert.NoFileExists(t, cluster.Process(name).PIDFile())
		}
		_, err := net.DialTimeout("tcp", strings.TrimPrefix(cluster.URL(), "https://"), time.Second)
		require.Error(t, err)

		again := startCluster(t, controlplane.Options{Dir: cluster.Dir()})
		assert.Equal(t, cluster.URL(), again.URL())
		_, err = clientOf(t, again).AppsV1().Deployments("default").Get(t.Context(), "second", metav1.GetOptions{})
		assert.NoError(t, err)
	})
}

func pids(cluster *controlplane.Cluster) map[string]int {
	found := map[string]int{}
	for _, name := range components {
		found[name] = cluster.Process(name).PID()
	}
	return found
}

func TestAFailedStartNamesThePartAndLeavesNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a control plane")
	}
	dir := t.TempDir()
	_, err := controlplane.Start(t.Context(), controlplane.Options{
		Dir:           dir,
		Progress:      t.Output(),
		APIServerArgs: []string{"--no-such-flag"},
	})
	require.Error(t, err)
	assert.Contains(t, err.Error(), "waiting for kube-apiserver: it has ended")
	assert.Contains(t, err.Error(), "unknown flag: --no-such-flag")

	left, err := process.In(dir)
	require.NoError(t, err)
	assert.Empty(t, left)
}
