package conformance

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/configpin/configpin/test/lab/clients"
)

// deployer is a tool with which people bring what they declare to a cluster. Each
// is the real one.
type deployer struct {
	name string

	// deploy makes the cluster what objects say, as the tool does by default, with
	// further flags. It returns what the tool said, and whether it failed.
	deploy func(s *space, objects []*unstructured.Unstructured, flags ...string) (said, error)

	// drift returns what the tool finds different from objects; nil for a tool
	// that doesn't look.
	drift func(s *space, objects []*unstructured.Unstructured) string

	// there says whether the tool is; nil for kubectl.
	there func(Clients) string
}

var (
	clientSide = deployer{name: "kubectl apply", deploy: kubectlApply()}
	serverSide = deployer{name: "kubectl apply --server-side", deploy: kubectlApply("--server-side", "--field-manager=gitops")}
	kustomize  = deployer{name: "kustomize", deploy: kustomizeApply, there: func(c Clients) string { return c.Kustomize }}

	helm3 = deployer{name: "helm 3", deploy: helmUpgrade(helm3Path), there: helm3Path}
	helm4 = deployer{name: "helm 4", deploy: helmUpgrade(helm4Path), there: helm4Path}

	argoServerSide = deployer{
		name: "Argo CD, server-side", deploy: gitops("argo-sync", "--server-side=true"),
		drift: gitopsDrift("argo-diff", "--server-side=true"), there: gitopsPath,
	}
	argoClientSide = deployer{
		name: "Argo CD, client-side", deploy: gitops("argo-sync", "--server-side=false"),
		drift: gitopsDrift("argo-diff", "--server-side=true"), there: gitopsPath,
	}
	flux = deployer{name: "Flux", deploy: gitops("flux-apply"), drift: gitopsDrift("flux-diff"), there: gitopsPath}
)

func helm3Path(c Clients) string  { return c.Helm3 }
func helm4Path(c Clients) string  { return c.Helm4 }
func gitopsPath(c Clients) string { return c.GitOps }

// need skips the scenario where the tool isn't there.
func (s *space) need(d deployer) {
	s.t.Helper()
	if d.there != nil && d.there(s.Clients) == "" {
		s.t.Skip("there is no " + d.name)
	}
}

// run deploys. It must succeed.
func (d deployer) run(s *space, objects []*unstructured.Unstructured, flags ...string) said {
	s.t.Helper()
	out, err := d.deploy(s, objects, flags...)
	require.NoError(s.t, err, "%s\n%s%s", d.name, out.out, out.err)
	return out
}

// unvalidated has kubectl not ask whether the API server knows each field. To find out
// whether it may, kubectl reads the whole schema of the API, each time, which takes it
// longer than all else.
const unvalidated = "--validate=ignore"

func kubectlApply(fixed ...string) func(*space, []*unstructured.Unstructured, ...string) (said, error) {
	return func(s *space, objects []*unstructured.Unstructured, flags ...string) (said, error) {
		return s.tryKubectl(manifest(s.t, objects...), slices.Concat([]string{"apply", "--filename=-", unvalidated}, fixed, flags)...)
	}
}

func kustomizeApply(s *space, objects []*unstructured.Unstructured, flags ...string) (said, error) {
	dir := s.t.TempDir()
	files := writeEach(s, dir, objects)
	writeJSON(s, filepath.Join(dir, "kustomization.yaml"), map[string]any{"resources": files})
	built, err := s.run(s.Clients.Kustomize, "", nil, "build", dir)
	if err != nil {
		return built, err
	}
	return s.tryKubectl(built.out, append([]string{"apply", "--filename=-", unvalidated}, flags...)...)
}

// release is the name of every helm release.
const release = "shop"

// helmUpgrade installs a chart of the objects, or upgrades to it.
func helmUpgrade(path func(Clients) string) func(*space, []*unstructured.Unstructured, ...string) (said, error) {
	return func(s *space, objects []*unstructured.Unstructured, flags ...string) (said, error) {
		dir := s.t.TempDir()
		writeJSON(s, filepath.Join(dir, "Chart.yaml"), map[string]any{"apiVersion": "v2", "name": release, "version": "1.0.0"})
		require.NoError(s.t, os.Mkdir(filepath.Join(dir, "templates"), 0o700))
		writeEach(s, filepath.Join(dir, "templates"), objects)
		return s.helm(path, append([]string{"upgrade", release, dir, "--install"}, flags...)...)
	}
}

func (s *space) helm(path func(Clients) string, args ...string) (said, error) {
	return s.run(path(s.Clients), "", clients.HelmEnvironment(s.t.TempDir()), append(args, "--kubeconfig="+s.Kubeconfig, "--namespace="+s.name)...)
}

func gitops(fixed ...string) func(*space, []*unstructured.Unstructured, ...string) (said, error) {
	return func(s *space, objects []*unstructured.Unstructured, flags ...string) (said, error) {
		file := filepath.Join(s.t.TempDir(), "manifest.json")
		require.NoError(s.t, os.WriteFile(file, []byte(manifestEach(s, objects)), 0o600))
		where := []string{"--kubeconfig=" + s.Kubeconfig, "--namespace=" + s.name, "--filename=" + file}
		return s.run(s.Clients.GitOps, "", nil, slices.Concat(fixed, where, flags)...)
	}
}

// gitopsDrift returns the differences that the tool prints when it finds some, which
// it says by its exit code.
func gitopsDrift(fixed ...string) func(*space, []*unstructured.Unstructured) string {
	return func(s *space, objects []*unstructured.Unstructured) string {
		s.t.Helper()
		out, err := gitops(fixed...)(s, objects)
		if err == nil {
			return ""
		}
		require.Empty(s.t, out.err, "%s: %v", strings.Join(fixed, " "), err)
		return out.out
	}
}

func writeEach(s *space, dir string, objects []*unstructured.Unstructured) (files []string) {
	s.t.Helper()
	for _, object := range objects {
		file := strings.ToLower(object.GetKind()) + "-" + object.GetName() + ".yaml"
		writeJSON(s, filepath.Join(dir, file), object.Object)
		files = append(files, file)
	}
	return files
}

// manifestEach is a document for each object, in the namespace: a List is no
// manifest to GitOps tools.
func manifestEach(s *space, objects []*unstructured.Unstructured) string {
	s.t.Helper()
	var documents []string
	for _, object := range objects {
		object = object.DeepCopy()
		object.SetNamespace(s.name)
		text, err := json.Marshal(object.Object)
		require.NoError(s.t, err)
		documents = append(documents, string(text))
	}
	return strings.Join(documents, "\n---\n")
}

func writeJSON(s *space, file string, content any) {
	s.t.Helper()
	text, err := json.MarshalIndent(content, "", "  ") // every JSON is YAML
	require.NoError(s.t, err)
	require.NoError(s.t, os.WriteFile(file, text, 0o600))
}
