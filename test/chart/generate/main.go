// Command generate makes the files of manifests that helm's chart says, too: it renders
// the chart, and writes what comes of each template into a file. So there is one place
// where each thing is said, and people without helm get the same.
//
// The kustomizations and the Namespace aren't made, but written. What becomes of them is
// compared with the chart's switches by test/chart.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"github.com/configpin/configpin/certs"
	"github.com/configpin/configpin/test/lab/clients"
	"github.com/configpin/configpin/test/lab/tools"
)

// What the chart is rendered as. A namespace that is served is for kustomize to say.
const (
	release   = "configpin"
	namespace = "configpin-system"
	served    = "served"
)

func main() {
	into := flag.String("into", "", "`folder` to write to (default: manifests)")
	flag.Parse()
	if err := run(context.Background(), *into); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

// renderings are what is taken of the chart with some values: each says which file an
// object belongs to, or that it belongs to none.
var renderings = []struct {
	values string
	file   func(document) string
}{
	{"", func(d document) string {
		switch {
		case d.template == "certificates.yaml":
			return "" // see certificates
		case d.template == "networkpolicy.yaml":
			return "components/network-policy/" + d.template
		case strings.HasPrefix(d.template, "policy-"):
			return "components/policies/" + d.template
		default:
			return "core/" + d.template
		}
	}},
	{"secrets.enabled=true", func(d document) string {
		switch {
		case d.template != "secrets-rbac.yaml":
			return ""
		case d.contains("-digest-key\n"):
			return "components/digest-key/digest-key-rbac.yaml"
		case d.contains("component: webhook\n"):
			return "components/secrets/webhook-rbac.yaml"
		default:
			return "components/secrets/versioner-rbac.yaml"
		}
	}},
	{"monitoring.enabled=true", func(d document) string {
		if d.template == "podmonitor.yaml" {
			return "components/monitoring/" + d.template
		}
		return ""
	}},
	{"secrets.enabled=true,namespaces[0]=" + served, func(d document) string {
		switch {
		case !d.contains(inServed):
			return ""
		case d.template == "secrets-rbac.yaml":
			return "namespace-secrets/secrets-rbac.yaml"
		default:
			return "namespace/" + d.template
		}
	}},
}

// inServed is said by what is in the namespace that is served.
const inServed = "  namespace: \"" + served + "\"\n"

func run(ctx context.Context, into string) error {
	root, err := tools.Checkout()
	if err != nil {
		return err
	}
	if into == "" {
		into = filepath.Join(root, "manifests")
	}
	programs, err := clients.Build(ctx, os.Stderr)
	if err != nil {
		return err
	}
	files := map[string][]byte{}
	for _, r := range renderings {
		documents, err := render(ctx, programs.Path(clients.Helm4), filepath.Join(root, "manifests", "charts", "configpin"), r.values)
		if err != nil {
			return err
		}
		before := len(files)
		for _, d := range documents {
			if name := r.file(d); name != "" {
				files[name] = join(files[name], d.text)
			}
		}
		if len(files) == before {
			return fmt.Errorf("rendering with %q: nothing of it belongs to a file", r.values)
		}
	}
	if files["components/cert-manager/certificates.yaml"], err = certificates(); err != nil {
		return err
	}
	for name, text := range files {
		if err := write(filepath.Join(into, name), text); err != nil {
			return err
		}
	}
	return nil
}

const header = "# Made by `make generate`: change manifests/charts/configpin instead.\n"

func write(path string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	if err := os.WriteFile(path, append([]byte(header), text...), 0o644); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

// document is an object, as a template says it.
type document struct {
	template string
	text     []byte
}

func (d document) contains(text string) bool { return strings.Contains(string(d.text), text) }

var (
	// source is what helm writes before each object.
	source = regexp.MustCompile(`(?m)^# Source: configpin/templates/(.*)\n`)

	// unsaid are labels about the chart, by which nothing was installed, and the
	// namespace that kustomize is to say.
	unsaid = regexp.MustCompile(`(?m)^ +(helm\.sh/chart|app\.kubernetes\.io/(managed-by|version)): .*\n|^` + inServed)
)

// render returns what helm makes of the chart with some values.
func render(ctx context.Context, helm, chart, values string) ([]document, error) {
	rendered, err := exec.CommandContext(ctx, helm, "template", release, chart, "--namespace="+namespace, "--set="+values).Output()
	if exit, failed := errors.AsType[*exec.ExitError](err); failed {
		return nil, fmt.Errorf("rendering %s: %w\n%s", chart, err, exit.Stderr)
	}
	if err != nil {
		return nil, fmt.Errorf("rendering %s: %w", chart, err)
	}
	var all []document
	for text := range bytes.SplitSeq(rendered, []byte("\n---\n")) {
		text = append(bytes.TrimSpace(bytes.TrimPrefix(text, []byte("---\n"))), '\n')
		if from := source.FindSubmatch(text); from != nil {
			all = append(all, document{string(from[1]), source.ReplaceAll(text, nil)})
		}
	}
	return all, nil
}

// join puts an object behind others.
func join(others, object []byte) []byte {
	if len(others) > 0 {
		others = append(others, "---\n"...)
	}
	return append(others, unsaid.ReplaceAll(object, nil)...)
}

// certificates are the objects of package certs.
func certificates() ([]byte, error) {
	var all []byte
	for _, object := range certs.Objects(certs.Options{Namespace: namespace, Service: release + "-webhook", Labels: map[string]string{
		"app.kubernetes.io/part-of":   "configpin",
		"app.kubernetes.io/name":      "configpin",
		"app.kubernetes.io/instance":  release,
		"app.kubernetes.io/component": "webhook",
	}}) {
		fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
		if err != nil {
			return nil, fmt.Errorf("writing certificates: %w", err)
		}
		delete(fields, "status")
		text, err := yaml.Marshal(fields)
		if err != nil {
			return nil, fmt.Errorf("writing certificates: %w", err)
		}
		all = join(all, text)
	}
	return all, nil
}
