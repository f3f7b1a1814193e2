package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/template"
	"time"

	"github.com/configpin/configpin/test/lab/certmanager"
	"github.com/configpin/configpin/test/lab/clients"
	"github.com/configpin/configpin/test/lab/controlplane"
	"github.com/configpin/configpin/test/lab/controlplane/process"
	"github.com/configpin/configpin/test/lab/installation"
	"github.com/configpin/configpin/test/lab/node"
	"github.com/configpin/configpin/test/lab/tools"
)

// nodeCommand is what `up` starts in the background: it isn't for people.
const nodeCommand = "node"

// nodeTimeout is how long a cluster with a real node may take to be there. It takes half a minute.
const nodeTimeout = 5 * time.Minute

var nodeSummary = template.Must(template.New("summary").Parse(`
configpin runs in Pods on a Kubernetes {{.Version}} of your own, with a real node. It has namespaces of its own, the network
as well, so kubectl has to enter them: the one in {{.Bin}} does. Logs are in {{.Dir}}.

Use it in this shell:
  source {{.Env}}
  kubectl get pods --all-namespaces

Then see what a container reads:
  kubectl create configmap app --from-literal=COLOUR=blue
  kubectl annotate configmap app configpin.io/versioned=true
  kubectl create deployment app --image={{.Reader}} -- /ko-app/reader COLOUR
  kubectl set env deployment/app --from=configmap/app
  kubectl label deployment app configpin.io/enabled=true
  kubectl patch configmap app --patch='{"data":{"COLOUR":"green"}}'
  kubectl logs --selector=app=app --prefix
  kubectl rollout undo deployment/app
  kubectl logs --selector=app=app --prefix

Only images that are here can run: this one, and configpin's. To end all of it: make down
`))

// hasRealNode reads CONFIGPIN_NODE.
func hasRealNode(value string) (bool, error) {
	switch value {
	case "real":
		return true, nil
	case "":
		return false, nil
	default:
		return false, usageError(fmt.Sprintf("local: CONFIGPIN_NODE is %q, not real", value))
	}
}

func nodeDir(dir string) string { return filepath.Join(dir, "node") }

// doneFile is there when a cluster with a real node is.
func doneFile(dir string) string { return filepath.Join(nodeDir(dir), "done") }

func binDir(dir string) string { return filepath.Join(dir, "bin") }

func nodeProcess(dir string) *process.Process {
	return &process.Process{Name: "node", Path: "/proc/self/exe", Args: []string{nodeCommand}, Dir: dir, Detached: true}
}

// upWithNode builds what is missing, and starts a process that brings up the rest, and holds its namespaces.
func upWithNode(ctx context.Context, dir string, out io.Writer) error {
	if _, err := helmValues(); err != nil {
		return err
	}
	if missing := node.Missing(ctx); missing != "" {
		return fmt.Errorf("there can't be a real node here: %s", missing)
	}
	unlock, err := lock(ctx, dir, out)
	if err != nil {
		return err
	}
	defer unlock()
	if err := onlyNode(dir); err != nil {
		return err
	}
	if err := buildAll(ctx, out); err != nil {
		return err
	}
	if err := installation.BuildPlugin(ctx, binDir(dir)); err != nil {
		return err
	}
	p := nodeProcess(dir)
	if !p.Running() {
		if err := node.BuildImages(ctx, filepath.Join(dir, "images"), out); err != nil {
			return err
		}
		if err := startNode(ctx, dir, p, out); err != nil {
			return err
		}
	}
	binaries, err := controlplane.Build(ctx, out)
	if err != nil {
		return err
	}
	return nodeSummary.Execute(out, map[string]string{
		"Version": binaries.KubernetesVersion,
		"Dir":     nodeDir(dir),
		"Env":     filepath.Join(dir, "env"),
		"Bin":     binDir(dir),
		"Reader":  node.Reference("reader"),
	})
}

// onlyNode fails if a cluster without a node runs in the folder.
func onlyNode(dir string) error {
	processes, err := process.In(dir)
	if err != nil {
		return err
	}
	for _, p := range processes {
		if p.Running() && p.Name != nodeProcess(dir).Name {
			return errors.New("a cluster without a real node runs here; end it with make down first")
		}
	}
	return nil
}

// startNode starts the process, and waits for the cluster. Its ports and data begin anew: what they were inside of
// namespaces that are gone means nothing.
func startNode(ctx context.Context, dir string, p *process.Process, out io.Writer) error {
	if err := os.RemoveAll(nodeDir(dir)); err != nil {
		return fmt.Errorf("removing an earlier node: %w", err)
	}
	fmt.Fprintf(out, "starting a cluster with a real node; it says in %s how far it is\n", p.LogFile())
	if err := p.Start(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, nodeTimeout, fmt.Errorf("not ready after %s", nodeTimeout))
	defer cancel()
	err := p.Await(ctx, func(context.Context) error {
		_, err := os.Stat(doneFile(dir))
		return err
	})
	if err != nil {
		return errors.Join(err, p.Stop())
	}
	return nil
}

// runNode enters the namespaces of a node, and, inside, brings everything up and waits to be ended.
func runNode(ctx context.Context, dir string, out io.Writer) error {
	if node.Inside() {
		return runInside(ctx, dir, out)
	}
	code, err := node.Enter(ctx, node.Entry{
		Dir:     dir,
		Stdout:  out,
		Stderr:  out,
		Entered: func(pid int) error { return writeEnv(ctx, dir, pid) },
	})
	if err == nil && code != 0 {
		return fmt.Errorf("the cluster ended with exit code %d", code)
	}
	return err
}

// writeEnv writes a kubectl that enters the network, and what puts it on PATH.
func writeEnv(ctx context.Context, dir string, pid int) error {
	binaries, err := controlplane.Build(ctx, io.Discard)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(binDir(dir), 0o700); err != nil {
		return fmt.Errorf("writing the environment: %w", err)
	}
	script := fmt.Sprintf("#!/bin/sh\nexec nsenter --net=/proc/%d/ns/net %s \"$@\"\n", pid, controlplane.ShellQuote(binaries.Path("kubectl")))
	env := fmt.Sprintf("export KUBECONFIG=%s\nexport PATH=%s:\"$PATH\"\n", controlplane.ShellQuote(filepath.Join(nodeDir(dir), "kubeconfig")), controlplane.ShellQuote(binDir(dir)))
	err = errors.Join(
		os.WriteFile(filepath.Join(binDir(dir), "kubectl"), []byte(script), 0o700),
		os.WriteFile(filepath.Join(dir, "env"), []byte(env), 0o600),
	)
	if err != nil {
		return fmt.Errorf("writing the environment: %w", err)
	}
	return nil
}

// runInside returns when it is told to. Whatever runs then ends with it.
func runInside(ctx context.Context, dir string, out io.Writer) error {
	cluster, err := controlplane.Start(ctx, controlplane.Options{Dir: nodeDir(dir), NodeIP: node.Address, Progress: out})
	if err != nil {
		return err
	}
	images, err := node.OpenImages(filepath.Join(dir, "images"))
	if err != nil {
		return err
	}
	if _, err := node.Start(ctx, cluster, images, out); err != nil {
		return err
	}
	if _, err := certmanager.Start(ctx, cluster, out); err != nil {
		return err
	}
	if err := helmInstall(ctx, cluster, out); err != nil {
		return err
	}
	if err := os.WriteFile(doneFile(dir), nil, 0o600); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// helmInstall installs the chart of this checkout.
func helmInstall(ctx context.Context, cluster *controlplane.Cluster, out io.Writer) error {
	programs, err := clients.Build(ctx, out)
	if err != nil {
		return err
	}
	root, err := tools.Checkout()
	if err != nil {
		return err
	}
	values, err := helmValues()
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "installing configpin")
	args := append([]string{
		"install", "configpin", filepath.Join(root, "manifests", "charts", "configpin"),
		"--kubeconfig=" + cluster.Kubeconfig(), "--namespace=" + installation.Namespace, "--create-namespace", "--wait",
	}, values...)
	helm := exec.CommandContext(ctx, programs.Path(clients.Helm4), args...)
	helm.Env = append(os.Environ(), clients.HelmEnvironment(filepath.Join(cluster.Dir(), "helm"))...)
	if said, err := helm.CombinedOutput(); err != nil {
		return fmt.Errorf("installing configpin: %w\n%s", err, said)
	}
	return nil
}

// helmValues are the chart's, as far as the environment says.
func helmValues() ([]string, error) {
	secrets, err := servesSecrets(os.Getenv("CONFIGPIN_SECRETS"))
	if err != nil {
		return nil, err
	}
	values := []string{
		"--set=image.registry=" + node.Registry, "--set=image.tag=" + node.Tag,
		fmt.Sprintf("--set=secrets.enabled=%t", secrets),
	}
	for program, variable := range map[string]string{"webhook": "CONFIGPIN_FLAGS_WEBHOOK", "versioner": "CONFIGPIN_FLAGS_VERSIONER"} {
		flags, err := json.Marshal(strings.Fields(os.Getenv(variable)))
		if err != nil {
			return nil, err
		}
		values = append(values, fmt.Sprintf("--set-json=%s.extraArgs=%s", program, flags))
	}
	return values, nil
}

// buildAll builds what isn't of this checkout.
func buildAll(ctx context.Context, out io.Writer) error {
	_, err := controlplane.Build(ctx, out)
	if err == nil {
		_, err = clients.Build(ctx, out)
	}
	if err == nil {
		_, err = certmanager.Build(ctx, out)
	}
	if err == nil {
		_, err = node.Build(ctx, out)
	}
	return err
}
