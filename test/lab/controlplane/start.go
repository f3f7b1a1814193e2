package controlplane

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"k8s.io/client-go/util/keyutil"

	"github.com/configpin/configpin/test/lab/controlplane/process"
	"github.com/configpin/configpin/test/lab/tools"
)

const (
	defaultNodes   = 3
	defaultTimeout = 2 * time.Minute
)

// errPortTaken says that another program took a port between our choosing it and our listening on it.
var errPortTaken = errors.New("another program took its port")

// Start builds what is missing, starts what does not run, and waits until all of it is ready. Where the directory has
// a running cluster already, that is the one it returns. If it fails, it ends what it started.
func Start(ctx context.Context, o Options) (*Cluster, error) {
	binaries, err := Build(ctx, o.Progress)
	if err != nil {
		return nil, err
	}
	if o, err = o.withDefaults(); err != nil {
		return nil, err
	}
	unlock, err := tools.Lock(ctx, layout(o.Dir).lockFile(), "another start", o.Progress)
	if err != nil {
		return nil, fmt.Errorf("starting the control plane: %w", err)
	}
	defer unlock()
	if err := layout(o.Dir).makeFolders(); err != nil {
		return nil, err
	}

	const attempts = 3
	for attempt := 1; ; attempt++ {
		c, err := start(ctx, o, binaries)
		if err == nil {
			return c, nil
		}
		if attempt == attempts || !errors.Is(err, errPortTaken) {
			return nil, fmt.Errorf("starting the control plane in %s: %w", o.Dir, err)
		}
	}
}

func (o Options) withDefaults() (Options, error) {
	if o.Dir == "" {
		return o, errors.New("starting the control plane: no directory given")
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return o, fmt.Errorf("starting the control plane: %w", err)
	}
	o.Dir = dir
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	if o.NodeIP != "" {
		o.Nodes = 0
	} else if o.Nodes == 0 {
		o.Nodes = defaultNodes
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	return o, nil
}

func start(ctx context.Context, o Options, binaries Binaries) (*Cluster, error) {
	c, err := open(o, binaries)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, o.Timeout, fmt.Errorf("not ready after %s", o.Timeout))
	defer cancel()
	missing := slices.DeleteFunc(slices.Clone(c.processes), (*process.Process).Running)
	began := time.Now()
	if err := c.startAll(ctx, missing, o.Progress); err != nil {
		return nil, errors.Join(err, stop(missing))
	}
	if len(missing) > 0 {
		fmt.Fprintf(o.Progress, "the control plane is ready after %s\n", time.Since(began).Round(100*time.Millisecond))
	}
	return c, nil
}

// startAll starts the processes, each as soon as what it needs answers.
func (c *Cluster) startAll(ctx context.Context, missing []*process.Process, progress io.Writer) error {
	for _, p := range missing {
		fmt.Fprintf(progress, "starting %s\n", p.Name)
		if err := p.Start(); err != nil {
			return err
		}
		if p.Name == etcd || p.Name == apiServer { // the others need these and not each other
			if err := c.waitReady(ctx, []*process.Process{p}); err != nil {
				return err
			}
		}
	}
	if err := c.createNodes(ctx); err != nil {
		return err
	}
	return c.Ready(ctx)
}

// open makes a Cluster of a directory: it reads what is there and writes what is missing.
func open(o Options, binaries Binaries) (*Cluster, error) {
	c := &Cluster{layout: layout(o.Dir), binaries: binaries, nodes: o.Nodes, nodeIP: o.NodeIP}
	running, err := process.In(o.Dir)
	if err != nil {
		return nil, err
	}
	// What runs has read its files already, and knows the ports of the others. Without it, everything but the keys and
	// the data is made anew: certificates that have expired, ports that somebody else uses now.
	cold := !slices.ContainsFunc(running, isComponent)
	if err := c.openPorts(cold); err != nil {
		return nil, err
	}
	if err := c.openFiles(cold); err != nil {
		return nil, err
	}
	c.processes = c.components(o)
	return c, nil
}

func isComponent(p *process.Process) bool {
	return slices.Contains(portNames, p.Name) && p.Running()
}

func (c *Cluster) openPorts(cold bool) (err error) {
	if c.state, err = openState(c.layout.file("ports.json")); err != nil {
		return err
	}
	if cold {
		c.state.forgetTaken(portNames)
	}
	if c.ports, err = c.state.controlPlanePorts(); err == nil && c.nodeIP != "" {
		c.ports[apiServer] = servicePort
	}
	return err
}

func (c *Cluster) openFiles(cold bool) (err error) {
	pki := c.layout.pki
	if c.ca, err = openAuthority("configpin-local", pki("ca.crt"), pki("ca.key")); err != nil {
		return err
	}
	if err := c.openAdmin(cold); err != nil || !cold {
		return err
	}
	if err := c.layout.writeCertificates(c.ca); err != nil {
		return err
	}
	if _, _, err := keyutil.LoadOrGenerateKeyFile(pki("service-accounts.key")); err != nil {
		return fmt.Errorf("making the key of the service accounts: %w", err)
	}
	if err := c.writeIdentities(); err != nil {
		return err
	}
	if err := c.writeComponentConfigs(); err != nil {
		return err
	}
	if err := os.WriteFile(c.EnvFile(), []byte(c.Env()), 0o600); err != nil {
		return fmt.Errorf("writing the environment: %w", err)
	}
	return nil
}
