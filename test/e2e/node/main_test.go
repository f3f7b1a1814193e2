// Package node tries configpin on a real node: its images in Pods, installed by its chart, called through their Service,
// and what a container reads of the config that is pinned.
//
// It needs Linux, root and runc, and says that it is skipped where it can't run. See test/lab/node.
package node

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/go-logr/logr"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/configpin/configpin/test/lab/certmanager"
	"github.com/configpin/configpin/test/lab/clients"
	"github.com/configpin/configpin/test/lab/controlplane"
	"github.com/configpin/configpin/test/lab/node"
)

// requiredVariable says that it is a failure if there can't be a node: what makes one is
// a part of what is tested.
const requiredVariable = "CONFIGPIN_NODE_REQUIRED"

// dirVariable tells the tests inside of the node's namespaces where everything is.
const dirVariable = "CONFIGPIN_E2E_DIR"

// TestMain runs the tests inside of the namespaces of a node. What has to be built is built before that, since there is
// no network inside.
func TestMain(m *testing.M) {
	if code, done := node.Init(); done {
		os.Exit(code)
	}
	logf.SetLogger(logr.Discard()) // or controller-runtime complains in the middle of the output
	flag.Parse()
	if node.Inside() || testing.Short() {
		os.Exit(m.Run())
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGQUIT, syscall.SIGHUP)
	code, err := enter(ctx, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func enter(ctx context.Context, out io.Writer) (exitCode int, err error) {
	if missing := node.Missing(ctx); missing != "" {
		fmt.Fprintf(out, "skipped: %s\n", missing)
		if os.Getenv(requiredVariable) != "" {
			return 1, fmt.Errorf("%s says that a node can be here", requiredVariable)
		}
		return 0, nil
	}
	dir, err := os.MkdirTemp("", "configpin-e2e-")
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := build(ctx, dir, out); err != nil {
		return 1, err
	}
	code, err := node.Enter(ctx, node.Entry{
		Dir:    dir,
		Env:    []string{dirVariable + "=" + dir},
		Stdout: out,
		Stderr: os.Stderr,
	})
	return code, errors.Join(err, nothingLeft(dir))
}

func build(ctx context.Context, dir string, out io.Writer) error {
	if _, err := controlplane.Build(ctx, out); err != nil {
		return err
	}
	if _, err := clients.Build(ctx, out); err != nil {
		return err
	}
	if _, err := certmanager.Build(ctx, out); err != nil {
		return err
	}
	if _, err := node.Build(ctx, out); err != nil {
		return err
	}
	return node.BuildImages(ctx, imagesIn(dir), out)
}

func imagesIn(dir string) string { return filepath.Join(dir, "images") }

// nothingLeft fails if a process of the node has survived it. Its mounts and interfaces can't: the last process takes
// them with it.
func nothingLeft(dir string) error {
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return err
	}
	var errs []error
	for _, file := range lines {
		line, err := os.ReadFile(file)
		if err == nil && strings.Contains(string(line), dir) {
			errs = append(errs, fmt.Errorf("%s is left: %q", filepath.Dir(file), line))
		}
	}
	return errors.Join(errs...)
}
