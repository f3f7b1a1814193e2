package node

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/configpin/configpin/test/lab/certmanager"
	"github.com/configpin/configpin/test/lab/clients"
	"github.com/configpin/configpin/test/lab/controlplane"
	"github.com/configpin/configpin/test/lab/node"
	"github.com/configpin/configpin/test/lab/tools"
)

const (
	// patience is for a machine that does something else too.
	patience = 2 * time.Minute
	interval = 100 * time.Millisecond

	// system is where configpin is, shop where what it pins is.
	system, shop = "configpin-system", "shop"
)

// lab is a cluster with a real node and cert-manager.
type lab struct {
	t       *testing.T
	dir     string
	root    string // of the checkout
	cluster *controlplane.Cluster
	node    *node.Node
	api     client.Client
	logs    kubernetes.Interface
	helm4   string
}

func newLab(t *testing.T) *lab {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a node")
	}
	l := &lab{t: t, dir: os.Getenv(dirVariable)}
	var err error
	l.root, err = tools.Checkout()
	require.NoError(t, err)
	l.cluster, err = controlplane.Start(t.Context(), controlplane.Options{
		Dir: filepath.Join(l.dir, "cluster"), NodeIP: node.Address, Progress: t.Output(),
	})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, l.cluster.Stop()) })
	images, err := node.OpenImages(imagesIn(l.dir))
	require.NoError(t, err)
	l.node, err = node.Start(t.Context(), l.cluster, images, t.Output())
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, l.node.Stop()) })
	issuer, err := certmanager.Start(t.Context(), l.cluster, t.Output())
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, issuer.Stop()) })

	l.api, err = client.New(l.cluster.Config(), client.Options{})
	require.NoError(t, err)
	l.logs, err = kubernetes.NewForConfig(l.cluster.Config())
	require.NoError(t, err)
	programs, err := clients.Build(t.Context(), t.Output())
	require.NoError(t, err)
	l.helm4 = programs.Path(clients.Helm4)
	t.Cleanup(l.explain)
	return l
}

// in returns the same lab for a part of the test.
func (l *lab) in(t *testing.T) *lab {
	t.Helper()
	part := *l
	part.t = t
	return &part
}

// explain says, if the test has failed, what everybody said last.
func (l *lab) explain() {
	if !l.t.Failed() {
		return
	}
	l.t.Logf("the kubelet says last:\n%s", l.node.Kubelet().LogTail(40))
	l.t.Logf("containerd says last:\n%s", l.node.Containerd().LogTail(20))
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second) // that of the test is over
	defer cancel()
	var pods corev1.PodList
	if err := l.api.List(ctx, &pods); err != nil {
		l.t.Log(err)
	}
	for _, pod := range pods.Items {
		tail := &corev1.PodLogOptions{TailLines: new(int64)}
		*tail.TailLines = 20
		log, err := l.logs.CoreV1().Pods(pod.Namespace).GetLogs(pod.Name, tail).DoRaw(ctx)
		l.t.Logf("%s/%s is %s and says last:\n%s%v", pod.Namespace, pod.Name, pod.Status.Phase, log, err)
	}
	events, err := l.command(ctx, l.kubectlPath(), "get", "events", "--all-namespaces").CombinedOutput()
	l.t.Logf("events: %v\n%s", err, events)
}

// kubectl returns what the command prints.
func (l *lab) kubectl(args ...string) string {
	l.t.Helper()
	return l.run(l.kubectlPath(), "", append([]string{"--namespace=" + shop}, args...)...)
}

func (l *lab) kubectlPath() string { return l.cluster.Binaries().Path("kubectl") }

// apply applies a manifest as a person does.
func (l *lab) apply(manifest string) {
	l.t.Helper()
	l.run(l.kubectlPath(), manifest, "--namespace="+shop, "apply", "--filename=-")
}

func (l *lab) helm(args ...string) {
	l.t.Helper()
	l.run(l.helm4, "", append([]string{"--namespace=" + system}, args...)...)
}

func (l *lab) run(program, input string, args ...string) string {
	l.t.Helper()
	cmd := l.command(l.t.Context(), program, args...)
	cmd.Stdin = strings.NewReader(input)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	require.NoError(l.t, err, "%s %s: %s%s", filepath.Base(program), strings.Join(args, " "), out, complaints.String())
	return string(out)
}

func (l *lab) command(ctx context.Context, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(append(os.Environ(), "KUBECONFIG="+l.cluster.Kubeconfig()), clients.HelmEnvironment(filepath.Join(l.dir, "helm"))...)
	return cmd
}

// until waits for a check to succeed.
func (l *lab) until(what string, check func(ctx context.Context) error) {
	l.t.Helper()
	var last error
	err := wait.PollUntilContextTimeout(l.t.Context(), interval, patience, true, func(ctx context.Context) (bool, error) {
		err := check(ctx)
		if ctx.Err() == nil { // or it says no more than that time is up
			last = err
		}
		return err == nil, nil
	})
	require.NoError(l.t, err, "%s: %v", what, last)
}

// pods are those of a Deployment that aren't on their way out, in the order of names.
func (l *lab) pods(ctx context.Context, namespace, app string) ([]corev1.Pod, error) {
	var found corev1.PodList
	if err := l.api.List(ctx, &found, client.InNamespace(namespace), client.MatchingLabels{"app": app}); err != nil {
		return nil, err
	}
	there := slices.DeleteFunc(found.Items, func(p corev1.Pod) bool { return p.DeletionTimestamp != nil })
	slices.SortFunc(there, func(a, b corev1.Pod) int { return strings.Compare(a.Name, b.Name) })
	return there, nil
}

// config is what a container reads, by place.
type config map[string]string

// log is everything that a container has read, the newest last.
func (l *lab) log(ctx context.Context, pod corev1.Pod) ([]config, error) {
	text, err := l.logs.CoreV1().Pods(pod.Namespace).GetLogs(pod.Name, &corev1.PodLogOptions{}).DoRaw(ctx)
	if err != nil {
		return nil, err
	}
	return parse(text)
}

func parse(text []byte) ([]config, error) {
	var all []config
	for decoder := json.NewDecoder(bytes.NewReader(text)); decoder.More(); {
		var read config
		if err := decoder.Decode(&read); err != nil {
			return nil, fmt.Errorf("reading a container's log: %w", err)
		}
		all = append(all, read)
	}
	return all, nil
}

// ready says whether a Pod's containers are.
func ready(pod corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// containers are the IDs of the containers of Pods, with how often each was restarted.
func containers(pods []corev1.Pod) map[string]string {
	ids := map[string]string{}
	for _, pod := range pods {
		for _, status := range pod.Status.ContainerStatuses {
			ids[pod.Name] = fmt.Sprintf("%s, %d restarts", status.ContainerID, status.RestartCount)
		}
	}
	return ids
}

// owner is the name of the ReplicaSet that made a Pod.
func owner(pod corev1.Pod) string { return metav1.GetControllerOf(&pod).Name }
