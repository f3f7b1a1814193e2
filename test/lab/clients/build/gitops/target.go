package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/fluxcd/pkg/ssa/utils"
	"github.com/pmezard/go-difflib/difflib"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// target is what to deploy, and where to.
type target struct {
	kubeconfig, namespace, filename, name string
}

func (t *target) flags(flags *flag.FlagSet) {
	flags.StringVar(&t.kubeconfig, "kubeconfig", "", "the cluster (default: what KUBECONFIG names)")
	flags.StringVar(&t.namespace, "namespace", "default", "the namespace of objects that name none")
	flags.StringVar(&t.filename, "filename", "", "a file of YAML or JSON manifests; - is standard input")
	flags.StringVar(&t.name, "name", "app", "the name of the Application or Kustomization, which marks its objects")
}

// cluster is the connection to where to deploy.
type cluster struct {
	config *rest.Config
	client client.Client
}

func (t target) connect() (cluster, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = t.kubeconfig
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{}).ClientConfig()
	if err != nil {
		return cluster{}, fmt.Errorf("finding the cluster: %w", err)
	}
	config.QPS, config.Burst = 1000, 2000 // a test waits for the answer, not for its turn
	c, err := client.New(config, client.Options{})
	if err != nil {
		return cluster{}, fmt.Errorf("connecting to the cluster: %w", err)
	}
	return cluster{config: config, client: c}, nil
}

// objects reads the manifests. Objects that need a namespace and name none get the target's.
func (t target) objects(c client.Client) ([]*unstructured.Unstructured, error) {
	objects, err := t.read()
	if err != nil {
		return nil, fmt.Errorf("reading the manifests: %w", err)
	}
	for _, o := range objects {
		namespaced, err := c.IsObjectNamespaced(o)
		if err != nil {
			return nil, fmt.Errorf("looking up the kind of %s: %w", utils.FmtUnstructured(o), err)
		}
		if namespaced && o.GetNamespace() == "" {
			o.SetNamespace(t.namespace)
		}
	}
	return objects, nil
}

func (t target) read() ([]*unstructured.Unstructured, error) {
	if t.filename == "" {
		return nil, errors.New("--filename is needed")
	}
	var in io.Reader = os.Stdin
	if t.filename != "-" {
		file, err := os.Open(t.filename)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		in = file
	}
	objects, err := utils.ReadObjects(in)
	if err == nil && len(objects) == 0 {
		err = fmt.Errorf("%s has none", t.filename)
	}
	return objects, err
}

// live returns the object as the cluster has it, or nil.
func (c cluster) live(ctx context.Context, o *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	live := &unstructured.Unstructured{}
	live.SetGroupVersionKind(o.GroupVersionKind())
	err := c.client.Get(ctx, client.ObjectKeyFromObject(o), live)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("getting %s: %w", utils.FmtUnstructured(o), err)
	}
	return live, nil
}

// printDiff prints how the text of an object in the cluster differs from what the tool wants it to be.
func printDiff(out io.Writer, name, live, wanted string) error {
	return difflib.WriteUnifiedDiff(out, difflib.UnifiedDiff{
		A:        slices.Collect(strings.Lines(live)),
		B:        slices.Collect(strings.Lines(wanted)),
		FromFile: name + " live",
		ToFile:   name + " wanted",
		Context:  3,
	})
}
