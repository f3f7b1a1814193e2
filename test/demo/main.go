// Command demo shows what configpin does, on a fresh Kubernetes of its own: it
// runs real kubectl commands, prints what they print, and checks after each
// that the cluster is as the story says. It fails, saying what differed, when a
// step isn't what it claims.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/go-logr/logr"
	"k8s.io/client-go/kubernetes"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/configpin/configpin/manifests"
	"github.com/configpin/configpin/test/lab/controlplane"
	"github.com/configpin/configpin/test/lab/installation"
)

const usage = `demo: shows a ConfigMap being versioned, rolled out and rolled back, on a Kubernetes of its own.

Usage:
  go run ./test/demo
`

func main() {
	logf.SetLogger(logr.Discard()) // or controller-runtime complains in the middle of the story
	os.Exit(exit(os.Args[1:]))
}

func exit(args []string) int {
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.Usage = func() { fmt.Fprint(flags.Output(), usage) }
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "demo: failed:", err)
		return 1
	}
	fmt.Fprintln(os.Stdout, "demo: passed")
	return 0
}

func run(ctx context.Context, out io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "configpin-demo")
	if err != nil {
		return fmt.Errorf("making a folder for the cluster: %w", err)
	}
	fmt.Fprintln(out, "A Kubernetes of its own, for this demo only:")
	defer func() {
		fmt.Fprintln(out, "\nEnding everything that was started:")
		if _, endErr := controlplane.Remove(context.WithoutCancel(ctx), dir, out); err == nil {
			err = endErr
		}
	}()
	cluster, err := controlplane.Start(ctx, controlplane.Options{Dir: dir, Progress: out})
	if err != nil {
		return err
	}
	objects, err := manifests.Objects()
	if err != nil {
		return err
	}
	configpin, err := installation.New(ctx, cluster, installation.Options{Objects: objects, Progress: out})
	if err != nil {
		return err
	}
	if err := configpin.StartWebhook(ctx); err != nil {
		return err
	}
	if err := configpin.StartVersioner(ctx); err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(cluster.Config())
	if err != nil {
		return fmt.Errorf("connecting to the cluster: %w", err)
	}
	folder := filepath.Join(dir, "manifests")
	if err := writeManifests(ctx, folder); err != nil {
		return err
	}
	t := &teller{
		out:       out,
		folder:    folder,
		kubectl:   cluster.Binaries().Path("kubectl"),
		config:    cluster.Kubeconfig(),
		namespace: namespace,
		client:    client,
	}
	return tell(ctx, t, configpin)
}
