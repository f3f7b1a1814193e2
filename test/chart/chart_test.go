// Package chart renders the helm chart with each of its switches, and checks what
// comes of it: with both versions of helm that people have, and as typed objects, so
// that no field is one that Kubernetes doesn't know.
//
// What becomes of an installed chart is played in test/e2e/lifecycle.
package chart

import (
	"bytes"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"github.com/configpin/configpin/manifests"
	"github.com/configpin/configpin/test/lab/clients"
	"github.com/configpin/configpin/test/lab/kustomize"
	"github.com/configpin/configpin/test/lab/tools"
)

// release is what the chart is installed as, where a test doesn't say otherwise.
const (
	release   = "configpin"
	namespace = "configpin-system"
)

// kubernetes is the oldest version that the chart is for.
const kubernetes = "1.30.0"

// helm renders the chart.
type helm struct{ program, chart string }

// helms are all versions of helm, the newest first.
func helms(t *testing.T) []helm {
	t.Helper()
	if testing.Short() {
		t.Skip("needs helm, which is built")
	}
	programs, err := clients.Build(t.Context(), t.Output())
	require.NoError(t, err)
	root, err := tools.Checkout()
	require.NoError(t, err)
	chart := filepath.Join(root, "manifests", "charts", "configpin")
	return []helm{{programs.Path(clients.Helm4), chart}, {programs.Path(clients.Helm3), chart}}
}

// try renders the chart as a release, with values in YAML.
func (h helm) try(t *testing.T, name, values string) (rendered objects, said string, err error) {
	t.Helper()
	command := exec.CommandContext(t.Context(), h.program, "template", name, h.chart, "--namespace="+namespace, "--values=-", "--kube-version="+kubernetes)
	var out, errs bytes.Buffer
	command.Stdin, command.Stdout, command.Stderr = strings.NewReader(values), &out, &errs
	if err := command.Run(); err != nil {
		return nil, errs.String(), err
	}
	rendered, err = manifests.Parse(out.Bytes())
	return rendered, errs.String(), err
}

func (h helm) render(t *testing.T, name, values string) objects {
	t.Helper()
	rendered, said, err := h.try(t, name, values)
	require.NoError(t, err, "%s", said)
	for _, o := range rendered {
		known(t, o)
	}
	return rendered
}

// known checks that Kubernetes or cert-manager knows every field of an object. The
// types of the Prometheus operator aren't here: its one object is four lines long.
func known(t *testing.T, o *unstructured.Unstructured) {
	t.Helper()
	if o.GetKind() == "PodMonitor" {
		return
	}
	typed, err := scheme.New(o.GroupVersionKind())
	require.NoError(t, err)
	require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(o.Object, typed, true),
		"%s %s", o.GetKind(), o.GetName())
}

// objects are what the chart makes.
type objects []*unstructured.Unstructured

// named returns the object of a kind and a name, or nil.
func (all objects) named(kind, name string) *unstructured.Unstructured {
	for _, o := range all {
		if o.GetKind() == kind && o.GetName() == name {
			return o
		}
	}
	return nil
}

// byName returns what objects say, but for helm's own labels.
func (all objects) byName(t *testing.T) map[string]map[string]any {
	t.Helper()
	plain := make(objects, len(all))
	for i, o := range all {
		plain[i] = canonical(t, o)
		labels := plain[i].GetLabels()
		for _, own := range []string{"helm.sh/chart", "app.kubernetes.io/managed-by", "app.kubernetes.io/version"} {
			delete(labels, own)
		}
		plain[i].SetLabels(labels)
	}
	return kustomize.ByName(plain)
}

// canonical is an object as its type writes it: 720h is 720h0m0s.
func canonical(t *testing.T, o *unstructured.Unstructured) *unstructured.Unstructured {
	t.Helper()
	if o.GetKind() == "PodMonitor" {
		return o.DeepCopy()
	}
	typed, err := scheme.New(o.GroupVersionKind())
	require.NoError(t, err)
	require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, typed))
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(typed)
	require.NoError(t, err)
	return &unstructured.Unstructured{Object: fields}
}

// equal compares objects one by one: together, nobody would find what differs.
func equal(t *testing.T, want, got objects) {
	t.Helper()
	wanted, found := want.byName(t), got.byName(t)
	assert.ElementsMatch(t, slices.Collect(maps.Keys(wanted)), slices.Collect(maps.Keys(found)))
	for name, object := range wanted {
		if found[name] != nil {
			assert.Equal(t, object, found[name], name)
		}
	}
}

// decode reads the object of a kind and a name.
func decode[T any](t *testing.T, all objects, kind, name string) T {
	t.Helper()
	var typed T
	found := all.named(kind, name)
	require.NotNil(t, found, "there is no %s %s", kind, name)
	require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructured(found.Object, &typed))
	return typed
}

// values are those of the chart, by their paths, as in webhook.replicas.
func values(t *testing.T, h helm) map[string]any {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(h.chart, "values.yaml"))
	require.NoError(t, err)
	var all map[string]any
	require.NoError(t, yaml.UnmarshalStrict(text, &all))
	return leaves(all)
}

// leaves are what isn't made of named parts, by path.
func leaves(of map[string]any) map[string]any {
	found := map[string]any{}
	for name, value := range of {
		parts, isMap := value.(map[string]any)
		if !isMap || len(parts) == 0 || isFree(name) {
			found[name] = value
			continue
		}
		for path, leaf := range leaves(parts) {
			found[name+"."+path] = leaf
		}
	}
	return found
}

// isFree says whether what a value has is up to Kubernetes, and not to the chart.
func isFree(name string) bool { return name == "resources" || name == "nodeSelector" }

func TestBothVersionsOfHelmRenderTheSame(t *testing.T) {
	t.Parallel()
	all := helms(t)
	equal(t, all[0].render(t, release, ""), all[1].render(t, release, ""))
}

func TestEverySwitchIsTried(t *testing.T) {
	t.Parallel()
	h := helms(t)[0]
	tried := map[string]bool{}
	for _, s := range switches {
		var set map[string]any
		require.NoError(t, yaml.Unmarshal([]byte(s.values), &set), s.name)
		for path := range leaves(set) {
			tried[path] = true
		}
	}
	for path := range values(t, h) {
		found := false
		for each := range tried {
			found = found || each == path || strings.HasPrefix(each, path+".")
		}
		assert.True(t, found, "%s: no row of switches sets it", path)
	}
}

func TestSwitches(t *testing.T) {
	t.Parallel()
	h := helms(t)[0]
	plain := h.render(t, release, "")
	for _, s := range switches {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			rendered := h.render(t, release, s.values)
			assert.NotEqual(t, plain, rendered, "it changes nothing")
			s.check(t, rendered)
		})
	}
}

func TestWhatIsRefused(t *testing.T) {
	t.Parallel()
	for _, h := range helms(t) {
		for values, want := range refused {
			t.Run(values, func(t *testing.T) {
				t.Parallel()
				_, said, err := h.try(t, release, values)
				require.Error(t, err)
				assert.Contains(t, said, want)
			})
		}
	}
}

func TestAnOldKubernetesIsRefused(t *testing.T) {
	t.Parallel()
	for _, h := range helms(t) {
		out, err := exec.CommandContext(t.Context(), h.program, "template", release, h.chart, "--kube-version=1.29.9").CombinedOutput()
		require.Error(t, err)
		assert.Contains(t, string(out), "chart requires kubeVersion: >=1.30.0-0")
	}
}

// Names of 63 characters are what Kubernetes allows of Services and labels, of 53 what
// helm allows of releases.
func TestLongNames(t *testing.T) {
	t.Parallel()
	h := helms(t)[0]
	long := strings.Repeat("a", 52) + "b"
	for name, values := range map[string]string{
		"a long release":                                "",
		"a long release of another name":                "nameOverride: " + strings.Repeat("n", 63),
		"a long name":                                   "fullnameOverride: " + strings.Repeat("f", 53),
		"a name that would end in a dash once it's cut": "nameOverride: " + strings.Repeat("n", 52) + "-n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, o := range h.render(t, long, values) {
				assert.Regexp(t, `^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`, o.GetName(), o.GetKind())
				if o.GetKind() == "Service" || o.GetKind() == "Deployment" {
					assert.LessOrEqual(t, len(o.GetName()), 63, o.GetKind())
				}
				for key, value := range o.GetLabels() {
					assert.Regexp(t, `^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$`, value, "%s of %s", key, o.GetKind())
				}
			}
		})
	}
}
