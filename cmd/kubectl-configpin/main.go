// Command kubectl-configpin is the kubectl plugin: on the PATH, it is called as `kubectl
// configpin`.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/go-logr/logr"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/klog/v2"

	// Whoever can log in by kubectl can here.
	_ "k8s.io/client-go/plugin/pkg/client/auth"

	"github.com/configpin/configpin/internal/cli"
)

// version is set by the linker.
var version = "development"

func main() {
	klog.SetLogger(logr.Discard()) // what goes wrong is told as an error, and not also logged
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	streams := genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr}
	code := cli.Run(ctx, streams, version, os.Args[1:])
	stop()
	os.Exit(code)
}
