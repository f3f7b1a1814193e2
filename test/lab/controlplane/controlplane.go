// Package controlplane runs a real Kubernetes control plane on this machine: etcd, kube-apiserver,
// kube-controller-manager, kube-scheduler, and kwok in place of kubelets.
//
// Everything is built from Go modules, so nothing but a Go toolchain and a module proxy is needed: no Docker, no root,
// no download of binaries. The versions are pinned by the modules below build/, which keep Kubernetes' dependencies
// out of configpin's own go.mod.
//
// It is separate from the tests that use it because `make up` gives the same cluster to people. It deliberately knows
// nothing of configpin (test/lab/installation does), runs no containers (kwok only says that Pods are ready, and never
// looks at a ConfigMap; test/lab/node has a real node), and listens on 127.0.0.1 only, unless a real node joins.
package controlplane

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"k8s.io/client-go/rest"

	"github.com/configpin/configpin/test/lab/controlplane/process"
)

// Options say what to start.
type Options struct {
	// Dir holds everything that belongs to the cluster: keys, data, logs, PIDs. Starting again in the same directory
	// continues the same cluster.
	Dir string
	// Detached says that the cluster outlives the caller. Otherwise it dies with it where the system can do that.
	Detached bool
	// Progress gets lines for a person to read. Nil discards them.
	Progress io.Writer
	// Nodes is how many nodes there are at least. 0 means 3.
	Nodes int
	// NodeIP is the address of a real node that the caller makes join. There is no kwok then and no other node, and the
	// API server listens on every address, at the port of its Service, so that Pods reach it: only for a network
	// namespace of its own. Empty: none.
	NodeIP string
	// AuditLog is a file to which the API server writes an event for every request: see auditPolicy. Empty: none.
	AuditLog string
	// APIServerArgs are added to those of kube-apiserver.
	APIServerArgs []string
	// Timeout limits how long to wait until everything is ready, not how long a build takes. 0 means 2 minutes.
	Timeout time.Duration
}

// Cluster is a running control plane.
type Cluster struct {
	layout    layout
	binaries  Binaries
	state     *state
	ports     map[string]int
	ca        authority
	admin     *rest.Config
	processes []*process.Process // in the order in which they start
	nodes     int
	nodeIP    string
}

// Dir is the directory of the cluster, absolute.
func (c *Cluster) Dir() string { return string(c.layout) }

// Kubeconfig is the path of the administrator's kubeconfig.
func (c *Cluster) Kubeconfig() string { return c.layout.file("kubeconfig") }

// EnvFile is the path of the file to source in a shell; it holds what Env returns for no folders.
func (c *Cluster) EnvFile() string { return c.layout.file("env") }

// URL is the address of the API server.
func (c *Cluster) URL() string { return "https://" + address(c.ports[apiServer]) }

// Binaries are the programs that the cluster runs, and kubectl.
func (c *Cluster) Binaries() Binaries { return c.binaries }

// Process returns a part of the control plane by its name, or nil: etcd, kube-apiserver, kube-controller-manager,
// kube-scheduler, kwok. After starting one again, wait with Ready.
func (c *Cluster) Process(name string) *process.Process {
	for _, p := range c.processes {
		if p.Name == name {
			return p
		}
	}
	return nil
}

// Port returns a port of 127.0.0.1 for something that runs beside the cluster. The same name gets the same port for
// as long as the directory exists.
func (c *Cluster) Port(name string) (int, error) { return c.state.port(name) }

// Env returns lines for a shell to source: they name the kubeconfig, and put kubectl and the given folders on PATH.
func (c *Cluster) Env(folders ...string) string {
	quoted := make([]string, 0, len(folders)+2)
	for _, folder := range slices.Concat(folders, c.binaries.Folders()) {
		quoted = append(quoted, ShellQuote(folder))
	}
	return fmt.Sprintf("export KUBECONFIG=%s\nexport PATH=%s:\"$PATH\"\n",
		ShellQuote(c.Kubeconfig()), strings.Join(quoted, ":"))
}

// ShellQuote makes one word of a text, for a shell to read.
func ShellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// Ready waits until every part of the control plane answers, the nodes are ready, and Pods can be created. It fails
// early when a part has ended.
func (c *Cluster) Ready(ctx context.Context) error {
	return c.waitReady(ctx, c.processes)
}
