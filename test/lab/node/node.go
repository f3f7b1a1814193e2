// Package node runs a real node: containerd, runc and a kubelet, which join a cluster of test/lab/controlplane and run Pods
// in containers, each with an address of its own.
//
// All of it, the control plane as well, is inside mount, network, PID, IPC, UTS and cgroup namespaces that [Enter] makes,
// so that nothing of this machine is touched and one exit ends everything. There is one node, without kube-proxy and
// DNS: the API server calls webhooks at the addresses of their Pods, and its own Service is the only one that Pods reach.
// Images are never pulled: those that Pods name have to be imported.
//
// It is separate from test/lab/controlplane because it needs Linux, root and runc, which [Missing] looks for. It deliberately
// knows nothing of configpin but how its images are built.
package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/configpin/configpin/test/lab/controlplane"
	"github.com/configpin/configpin/test/lab/controlplane/process"
	"github.com/configpin/configpin/test/lab/tools"
)

// Name is what the node is called.
const Name = "node"

// Address is that of the node, in the network that Enter makes. The cluster is to be started with it.
const Address = "10.95.0.1"

// startTimeout is generous: a node is ready five seconds after its start.
const startTimeout = 2 * time.Minute

// Node is a running node.
type Node struct {
	cluster    *controlplane.Cluster
	programs   tools.Programs
	containerd *process.Process
	kubelet    *process.Process
}

// Start builds what is missing, imports the images, which are archives, starts what doesn't run and waits until the node
// is ready. The cluster has to be started with Address. The caller has to be inside of the namespaces of a node.
func Start(ctx context.Context, cluster *controlplane.Cluster, images Images, progress io.Writer) (*Node, error) {
	if !Inside() {
		return nil, errors.New("starting a node: this process is not in the namespaces of one")
	}
	programs, err := Build(ctx, progress)
	if err != nil {
		return nil, err
	}
	n := &Node{cluster: cluster, programs: programs}
	if err := n.configure(images); err != nil {
		return nil, fmt.Errorf("configuring the node: %w", err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, fmt.Errorf("not ready after %s", startTimeout))
	defer cancel()
	began := time.Now()
	if err := n.start(ctx, images, progress); err != nil {
		return nil, errors.Join(err, n.Stop())
	}
	fmt.Fprintf(progress, "the node is ready after %s\n", time.Since(began).Round(100*time.Millisecond))
	return n, nil
}

func (n *Node) start(ctx context.Context, images Images, progress io.Writer) error {
	fmt.Fprintln(progress, "starting containerd")
	if err := n.containerd.Start(); err != nil {
		return err
	}
	if err := n.containerd.Await(ctx, func(ctx context.Context) error { return n.ctr(ctx, "version") }); err != nil {
		return err
	}
	for _, archive := range images.Archives {
		if err := n.ctr(ctx, "--namespace=k8s.io", "images", "import", archive); err != nil {
			return fmt.Errorf("importing %s: %w", filepath.Base(archive), err)
		}
	}
	fmt.Fprintln(progress, "starting kubelet")
	return n.StartKubelet(ctx)
}

// StartKubelet starts the kubelet unless it runs, and waits until the node is ready.
func (n *Node) StartKubelet(ctx context.Context) error {
	if err := n.kubelet.Start(); err != nil {
		return err
	}
	since := time.Now().Add(-time.Second) // the API has whole seconds
	return n.kubelet.Await(ctx, func(ctx context.Context) error { return n.ready(ctx, since) })
}

// Kubelet is the kubelet's process, to stop or kill.
func (n *Node) Kubelet() *process.Process { return n.kubelet }

// Containerd is containerd's process, for its log.
func (n *Node) Containerd() *process.Process { return n.containerd }

// Stop ends the kubelet and containerd. Containers go on until the namespaces end.
func (n *Node) Stop() error {
	return errors.Join(n.kubelet.Stop(), n.containerd.Stop())
}

// ctr runs a command of containerd's own client.
func (n *Node) ctr(ctx context.Context, args ...string) error {
	args = slices.Concat([]string{"--address=" + socket}, args)
	out, err := exec.CommandContext(ctx, n.programs.Path(ctr), args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}

// ready fails unless the kubelet has said since then that the node is ready.
func (n *Node) ready(ctx context.Context, since time.Time) error {
	client, err := kubernetes.NewForConfig(n.cluster.Config())
	if err != nil {
		return err
	}
	found, err := client.CoreV1().Nodes().Get(ctx, Name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	for _, condition := range found.Status.Conditions {
		if condition.Type != corev1.NodeReady || condition.LastHeartbeatTime.Time.Before(since) {
			continue
		}
		if condition.Status == corev1.ConditionTrue && len(found.Spec.Taints) == 0 {
			return nil
		}
		return fmt.Errorf("the node isn't ready: %s", condition.Message)
	}
	return errors.New("the kubelet has not said yet how the node is")
}

// configure writes what the programs read, and says how to start them.
func (n *Node) configure(images Images) error {
	runc, err := findRunc()
	if err != nil {
		return err
	}
	dir := filepath.Join(n.cluster.Dir(), Name)
	certPEM, keyPEM, err := n.cluster.ServingCert(Name, parseIP(Address))
	if err != nil {
		return err
	}
	kubeconfig, err := n.cluster.KubeconfigFor("system:node:"+Name, "system:nodes")
	if err != nil {
		return err
	}
	f := files{dir: dir, plugins: n.programs.Dir, runc: runc, pause: images.Pause()}
	if err := f.write(map[string][]byte{"ca.crt": n.cluster.CAPEM(), "kubelet.crt": certPEM, "kubelet.key": keyPEM}); err != nil {
		return err
	}
	n.containerd = n.process("containerd", "--config="+f.path(containerdFile))
	n.kubelet = n.process("kubelet", "--config="+f.path(kubeletFile), "--kubeconfig="+kubeconfig, "--root-dir="+kubeletRoot,
		"--hostname-override="+Name, "--node-ip="+Address)
	return nil
}

func (n *Node) process(name string, args ...string) *process.Process {
	return &process.Process{Name: name, Path: n.programs.Path(name), Args: args, Dir: n.cluster.Dir()}
}

// findRunc also looks where PATH may not lead: people become root in many ways.
func findRunc() (string, error) {
	if path, err := exec.LookPath("runc"); err == nil {
		return path, nil
	}
	for _, path := range []string{"/usr/sbin/runc", "/usr/local/sbin/runc"} {
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	return "", errors.New("runc is not installed (Debian and Ubuntu: apt-get install runc)")
}
