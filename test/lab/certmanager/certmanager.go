// Package certmanager runs cert-manager on a cluster of test/lab/controlplane: the
// controllers that issue a certificate from an authority of the cluster's own, and the
// CA injector. The program, whose source code is in build/certmanager, puts cert-manager's
// own packages together.
//
// It is separate from test/lab/controlplane because few clusters need it, and it deliberately
// knows nothing of configpin.
package certmanager

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/configpin/configpin/manifests"
	"github.com/configpin/configpin/test/lab/controlplane"
	"github.com/configpin/configpin/test/lab/controlplane/process"
	"github.com/configpin/configpin/test/lab/tools"
)

const (
	name     = "certmanager"
	module   = "github.com/cert-manager/cert-manager"
	crdsName = "crds.yaml"
)

var programs = tools.Set{
	What:  "cert-manager",
	Takes: "2 to 4 minutes on two cores",
	Dir:   "test/lab/certmanager/build",
	Tools: []tools.Tool{{Name: name, Module: name, Requires: module, Package: "."}},
	Files: []tools.File{{Name: crdsName, Content: joinCRDs}},
	Key:   []tools.Part{{Label: "cert-manager", Requires: module}},
}

// Build returns the program and cert-manager's kinds. What is missing is built from
// source, once per machine and version.
func Build(ctx context.Context, progress io.Writer) (tools.Programs, error) {
	return programs.Build(ctx, progress)
}

// joinCRDs puts the definitions of cert-manager's kinds into one file.
func joinCRDs(ctx context.Context, sources tools.Sources) ([]byte, error) {
	folder, err := sources(ctx, name, module)
	if err != nil {
		return nil, err
	}
	files, err := filepath.Glob(filepath.Join(folder, "deploy", "crds", "*.yaml"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, errors.New("reading cert-manager's kinds: there are none")
	}
	var all bytes.Buffer
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("reading cert-manager's kinds: %w", err)
		}
		fmt.Fprintf(&all, "---\n%s\n", text)
	}
	return all.Bytes(), nil
}

// Start makes cert-manager's kinds known to a cluster and starts its controllers. Whoever
// gets the process stops it.
func Start(ctx context.Context, cluster *controlplane.Cluster, progress io.Writer) (*process.Process, error) {
	built, err := Build(ctx, progress)
	if err != nil {
		return nil, err
	}
	if err := install(ctx, cluster, filepath.Join(built.Dir, crdsName)); err != nil {
		return nil, fmt.Errorf("installing cert-manager: %w", err)
	}
	p := &process.Process{
		Name: name,
		Path: built.Path(name),
		Args: []string{"--kubeconfig=" + cluster.Kubeconfig()},
		Dir:  cluster.Dir(),
	}
	fmt.Fprintln(progress, "starting cert-manager")
	if err := p.Start(); err != nil {
		return nil, err
	}
	return p, nil
}

// patience is how long the API server may take to serve new kinds.
const patience = time.Minute

// install applies definitions of kinds, and waits until they are served.
func install(ctx context.Context, cluster *controlplane.Cluster, file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	definitions, err := manifests.Parse(text)
	if err != nil {
		return fmt.Errorf("reading %s: %w", file, err)
	}
	api, err := client.New(cluster.Config(), client.Options{})
	if err != nil {
		return err
	}
	for _, definition := range definitions {
		err := api.Apply(ctx, client.ApplyConfigurationFromUnstructured(definition), client.FieldOwner(name), client.ForceOwnership)
		if err != nil {
			return fmt.Errorf("applying %s: %w", definition.GetName(), err)
		}
	}
	for _, definition := range definitions {
		err := wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, patience, true, func(ctx context.Context) (bool, error) {
			return isServed(ctx, api, definition)
		})
		if err != nil {
			return fmt.Errorf("waiting for %s: %w", definition.GetName(), err)
		}
	}
	return nil
}

func isServed(ctx context.Context, api client.Client, definition *unstructured.Unstructured) (bool, error) {
	stored := definition.DeepCopy()
	if err := api.Get(ctx, client.ObjectKeyFromObject(definition), stored); err != nil {
		return false, err
	}
	conditions, _, err := unstructured.NestedSlice(stored.Object, "status", "conditions")
	if err != nil {
		return false, err
	}
	for _, condition := range conditions {
		if of, known := condition.(map[string]any); known && of["type"] == "Established" {
			return of["status"] == "True", nil
		}
	}
	return false, nil
}
