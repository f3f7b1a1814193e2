// Local runs configpin on a real Kubernetes control plane on this machine, for people to try it.
//
// It is a command of its own because the Makefile needs one; what it does is in test/lab/controlplane, test/lab/clients,
// test/lab/installation and test/lab/node, which tests use too.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/go-logr/logr"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/configpin/configpin/test/lab/certmanager"
	"github.com/configpin/configpin/test/lab/clients"
	"github.com/configpin/configpin/test/lab/controlplane"
	"github.com/configpin/configpin/test/lab/node"
	"github.com/configpin/configpin/test/lab/tools"
)

const usage = `Runs configpin on a real Kubernetes control plane on this machine, without Docker and without root.

Usage:
  go run ./test/local up       start what does not run yet, and install configpin from this checkout
  go run ./test/local down     end all of it and remove its folder, .cluster
  go run ./test/local build    only build what tests run: the control plane, deploy tools, cert-manager

Examples:
  go run ./test/local up && source .cluster/env && kubectl get nodes
  CONFIGPIN_FLAGS_VERSIONER='--settle=500ms' go run ./test/local up

Environment:
  CONFIGPIN_FLAGS_WEBHOOK     flags to add to the webhook's, separated by spaces
  CONFIGPIN_FLAGS_VERSIONER   flags to add to the versioner's, separated by spaces
  CONFIGPIN_SECRETS           serve Secrets too, if this is 1
  CONFIGPIN_NODE              if this is real: with a real kubelet and containers, installed by the chart (Linux, root, runc)
  CONFIGPIN_TOOLS_DIR         where to keep what is built (default: in the user's cache folder)
  KUBEBUILDER_ASSETS          a folder with etcd, kube-apiserver or kubectl to use instead of building them
`

// usageError is an error of the person at the keyboard, not of what was asked for.
type usageError string

func (e usageError) Error() string { return string(e) }

func main() {
	if code, done := node.Init(); done {
		os.Exit(code)
	}
	logf.SetLogger(logr.Discard()) // or controller-runtime complains in the middle of the output
	os.Exit(execute(os.Args[1:], os.Stdout, os.Stderr))
}

// execute runs the command until it is done or interrupted. A second Ctrl-C does not wait for what the first one has
// to clean up.
func execute(args []string, stdout, stderr io.Writer) (exitCode int) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	return report(ctx, run(ctx, args, stdout), stderr)
}

// report prints an error and turns it into an exit code, as other commands do: 2 for wrong usage, 130 for Ctrl-C.
func report(ctx context.Context, err error, stderr io.Writer) (exitCode int) {
	var wrong usageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &wrong):
		fmt.Fprintln(stderr, err)
		return 2
	case ctx.Err() != nil:
		fmt.Fprintln(stderr, "interrupted; run the same command again to go on")
		return 130
	default:
		fmt.Fprintln(stderr, err)
		return 1
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	if len(args) != 1 {
		return usageError("local: one of up, down, build is needed; --help explains them")
	}
	switch args[0] {
	case "up":
		real, err := hasRealNode(os.Getenv("CONFIGPIN_NODE"))
		if err != nil {
			return err
		}
		if real {
			return inCheckout(func(dir string) error { return upWithNode(ctx, dir, out) })
		}
		return inCheckout(func(dir string) error { return up(ctx, dir, out) })
	case "down":
		return inCheckout(func(dir string) error { return down(ctx, dir, out) })
	case nodeCommand:
		return inCheckout(func(dir string) error { return runNode(ctx, dir, out) })
	case "build":
		return build(ctx, out)
	case "help", "-h", "-help", "--help":
		_, err := io.WriteString(out, usage)
		return err
	default:
		return usageError(fmt.Sprintf("local: %q is none of up, down, build; --help explains them", args[0]))
	}
}

// inCheckout passes the folder of the cluster, which is the same wherever in the checkout the command is run.
func inCheckout(f func(dir string) error) error {
	root, err := tools.Checkout()
	if err != nil {
		return err
	}
	return f(filepath.Join(root, ".cluster"))
}

// lock keeps two of these commands from working on the same folder at once.
func lock(ctx context.Context, dir string, out io.Writer) (unlock func(), err error) {
	return tools.Lock(ctx, filepath.Join(dir, "local.lock"), "another make up or make down", out)
}

func build(ctx context.Context, out io.Writer) error {
	binaries, err := controlplane.Build(ctx, out)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "The control plane is built, in %s\n", binaries.Dir)
	programs, err := clients.Build(ctx, out)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "The deploy tools are built, in %s\n", programs.Dir)
	issuer, err := certmanager.Build(ctx, out)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "cert-manager is built, in %s\n", issuer.Dir)
	return nil
}
