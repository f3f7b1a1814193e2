// Package installation puts configpin on a cluster of test/lab/controlplane: it builds the programs, gives each the
// identity that it has on a real cluster, applies the manifests, and starts and stops the programs.
//
// It is separate from test/lab/controlplane, which knows nothing of configpin, and shared by `make up` and the conformance
// tests, so that people try exactly what is tested.
//
// The programs run beside the cluster and not in it, because no container runs there. That is why the one thing it
// changes about the manifests is where the API server finds the webhook. What depends on containers (Services, probes,
// the Pod's security context) is not tested here.
package installation

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/configpin/configpin/test/lab/controlplane"
	"github.com/configpin/configpin/test/lab/controlplane/process"
)

// Who the programs are to the API server.
const (
	Namespace     = "configpin-system"
	WebhookUser   = "system:serviceaccount:" + Namespace + ":configpin-webhook"
	VersionerUser = "system:serviceaccount:" + Namespace + ":configpin-versioner"
)

// Groups are the groups of every service account in our namespace.
func Groups() []string {
	return []string{"system:serviceaccounts", "system:serviceaccounts:" + Namespace, "system:authenticated"}
}

// The names of the programs; also of their processes, unless more than one versioner runs.
const (
	webhook   = "webhook"
	versioner = "versioner"
)

// startTimeout is generous: a program has nothing to do before it is ready but fill its caches.
const startTimeout = 30 * time.Second

// Options say what to install and how to run it.
type Options struct {
	// Objects are the manifests. They are not changed.
	Objects []*unstructured.Unstructured
	// Dir holds the programs, their PID files and their logs. Empty means the directory of the cluster.
	Dir string
	// WebhookFlags and VersionerFlags are added to the flags that every installation needs.
	WebhookFlags, VersionerFlags []string
	// ClientCA, in PEM, is the authority of those whom the webhook answers. Empty means anybody. The API server has to
	// be started with CallersArgs.
	ClientCA []byte
	// WebhookPackage and VersionerPackage are Go packages of the checkout. Empty means ./cmd/webhook and
	// ./cmd/versioner.
	WebhookPackage, VersionerPackage string
	// BuildFlags are added to `go build`, for example -race or -cover.
	BuildFlags []string
	// Env is added to the environment of the programs.
	Env []string
	// Detached says that the programs outlive the caller.
	Detached bool
	// Progress gets lines for a person to read. Nil discards them.
	Progress io.Writer
}

// Installation is configpin on a cluster.
type Installation struct {
	cluster *controlplane.Cluster
	options Options
	trusted []byte // by the API server, of the webhook; see Trust

	mu        sync.Mutex
	processes []*process.Process
}

// New builds the programs and applies the manifests. It starts nothing. Where configpin is installed already, it
// brings it up to date.
func New(ctx context.Context, cluster *controlplane.Cluster, o Options) (*Installation, error) {
	o, err := o.withDefaults(cluster)
	if err != nil {
		return nil, err
	}
	i := &Installation{cluster: cluster, options: o, trusted: cluster.CAPEM()}
	if err := i.build(ctx); err != nil {
		return nil, err
	}
	if err := i.writeServingCertificate(); err != nil {
		return nil, err
	}
	if err := i.writeClientCA(); err != nil {
		return nil, err
	}
	if err := i.Apply(ctx, o.Objects); err != nil {
		return nil, err
	}
	return i, nil
}

func (o Options) withDefaults(cluster *controlplane.Cluster) (Options, error) {
	if o.Dir == "" {
		o.Dir = cluster.Dir()
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return o, fmt.Errorf("installing configpin: %w", err)
	}
	o.Dir = dir
	if o.WebhookPackage == "" {
		o.WebhookPackage = "./cmd/webhook"
	}
	if o.VersionerPackage == "" {
		o.VersionerPackage = "./cmd/versioner"
	}
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	return o, nil
}

// StartWebhook starts the webhook and waits until it is ready. A running one that has other flags, or is of another
// build, is replaced.
func (i *Installation) StartWebhook(ctx context.Context) error {
	args, err := i.webhookArgs()
	if err != nil {
		return err
	}
	return i.start(ctx, i.Webhook(), args)
}

// StopWebhook lets the webhook end as a rollout would.
func (i *Installation) StopWebhook() error { return i.Webhook().Stop() }

// KillWebhook ends the webhook as the loss of its node would.
func (i *Installation) KillWebhook() error { return i.Webhook().Kill() }

// StartVersioner starts a versioner for each name, as StartWebhook does. No name means one, "versioner". Other names
// may be anything that can be part of a file name.
func (i *Installation) StartVersioner(ctx context.Context, names ...string) error {
	for _, name := range orVersioner(names) {
		args, err := i.versionerArgs(name)
		if err != nil {
			return err
		}
		if err := i.start(ctx, i.Versioner(name), args); err != nil {
			return err
		}
	}
	return nil
}

// StopVersioner lets versioners end as a rollout would.
func (i *Installation) StopVersioner(names ...string) error {
	return i.endVersioners(names, (*process.Process).Stop)
}

// KillVersioner ends versioners as the loss of their node would.
func (i *Installation) KillVersioner(names ...string) error {
	return i.endVersioners(names, (*process.Process).Kill)
}

// Stop ends every program that was started through this value.
func (i *Installation) Stop() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	var errs []error
	for _, p := range slices.Backward(i.processes) {
		errs = append(errs, p.Stop())
	}
	return errors.Join(errs...)
}

// HealthURL is where a program serves /healthz, /readyz and /metrics, for "webhook" or the name of a versioner.
func (i *Installation) HealthURL(name string) (string, error) {
	address, err := i.address(name + "-health")
	return "http://" + address, err
}

func (i *Installation) start(ctx context.Context, p *process.Process, args []string) error {
	health, err := i.HealthURL(p.Name)
	if err != nil {
		return err
	}
	p.Args = args
	if p.Outdated() {
		fmt.Fprintf(i.options.Progress, "stopping the %s that ran with another build or other flags\n", p.Name)
		if err := p.Stop(); err != nil {
			return err
		}
	}
	if !p.Running() {
		fmt.Fprintf(i.options.Progress, "starting %s\n", p.Name)
	}
	if err := p.Start(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, fmt.Errorf("not ready after %s", startTimeout))
	defer cancel()
	return p.Await(ctx, process.AnswersOK(http.DefaultClient, health+"/readyz"))
}

func (i *Installation) endVersioners(names []string, how func(*process.Process) error) error {
	var errs []error
	for _, name := range orVersioner(names) {
		errs = append(errs, how(i.Versioner(name)))
	}
	return errors.Join(errs...)
}

func orVersioner(names []string) []string {
	if len(names) == 0 {
		return []string{versioner}
	}
	return names
}

// address returns the address at which something listens. The same name has the same address for as long as the
// directory of the cluster exists.
func (i *Installation) address(name string) (string, error) {
	port, err := i.cluster.Port(name)
	if err != nil {
		return "", err
	}
	return net.JoinHostPort("127.0.0.1", fmt.Sprint(port)), nil
}
