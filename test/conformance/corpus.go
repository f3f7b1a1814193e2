package conformance

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/configpin/configpin/internal/wellknown"
)

// corpora are about what people really deploy.
var corpora = []scenario{
	{"Argo CD is pinned, rolled out and rolled back", corpus("argo-cd.yaml")},
	{"kube-prometheus is pinned, rolled out and rolled back", corpus("kube-prometheus.yaml")},
}

// corpusKinds are those that the main job is about, in the order in which they
// are created, and what their Pods need.
var corpusKinds = []string{"ServiceAccount", "Secret", "ConfigMap", "Deployment", "StatefulSet", "DaemonSet", "CronJob", "Job"}

func corpus(file string) func(*space) {
	return func(s *space) {
		if s.Corpus == "" {
			s.t.Skip("it needs a folder of real manifests, and the target names none")
		}
		objects := s.manifests(filepath.Join(s.Corpus, file))
		there := map[string]bool{}
		var sources []string
		for _, object := range objects {
			there[strings.ToLower(object.GetKind())+"/"+object.GetName()] = true
			if object.GetKind() == configMapKind.Kind {
				s.create(object)
				sources = append(sources, object.GetName())
			}
		}
		s.kubectl(slices.Concat([]string{"annotate", "configmap"}, sources, []string{"configpin.io/versioned=true"})...)

		firsts := map[*unstructured.Unstructured]string{}
		for _, object := range objects {
			switch object.GetKind() {
			case configMapKind.Kind:
			case "ServiceAccount", "Secret":
				s.create(object)
			default:
				labels := object.GetLabels()
				if labels == nil {
					labels = map[string]string{}
				}
				labels[wellknown.Enabled] = wellknown.True
				object.SetLabels(labels)
				for _, r := range refsOf(templateOf(s.t, object).Spec) {
					s.absent[r.String()] = !there[r.String()]
				}
				s.deployed(object)
				firsts[object] = templateText(s.t, s.get(object))
			}
		}
		require.NotEmpty(s.t, firsts)
		s.changeAndUndo(firsts)
	}
}

// changeAndUndo changes a source of each workload that has one, lets it roll
// out, and rolls it back to the template that it had.
func (s *space) changeAndUndo(firsts map[*unstructured.Unstructured]string) {
	s.t.Helper()
	changed := map[string]string{}
	var moved []*unstructured.Unstructured
	for web := range firsts {
		used := names(pins(templateOf(s.t, s.get(web))))
		if len(used) == 0 {
			continue
		}
		moved = append(moved, web)
		s.rolledOut(web, 1)
		if !slices.ContainsFunc(used, func(source string) bool { return changed[source] != "" }) {
			changed[used[0]] = "changed"
		}
	}
	require.NotEmpty(s.t, moved)
	s.editTogether(changed)
	for _, web := range moved {
		s.rolledOut(web, 2)
		s.undo(web)
		assert.Equal(s.t, firsts[web], templateText(s.t, s.get(web)), "%s %s", web.GetKind(), web.GetName())
	}
}

// manifests reads a file of manifests, and returns those of corpusKinds, for
// this namespace.
func (s *space) manifests(path string) []*unstructured.Unstructured {
	s.t.Helper()
	file, err := os.Open(path)
	require.NoError(s.t, err)
	defer file.Close()
	decoder := yaml.NewYAMLOrJSONDecoder(file, 1<<20)
	var found []*unstructured.Unstructured
	for {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(&object.Object)
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(s.t, err)
		found = append(found, flatten(s, object)...)
	}
	found = slices.DeleteFunc(found, func(o *unstructured.Unstructured) bool { return !slices.Contains(corpusKinds, o.GetKind()) })
	slices.SortStableFunc(found, func(a, b *unstructured.Unstructured) int {
		return slices.Index(corpusKinds, a.GetKind()) - slices.Index(corpusKinds, b.GetKind())
	})
	for _, object := range found {
		object.SetNamespace(s.name)
	}
	return found
}

func flatten(s *space, object *unstructured.Unstructured) []*unstructured.Unstructured {
	s.t.Helper()
	if !object.IsList() {
		return []*unstructured.Unstructured{object}
	}
	var items []*unstructured.Unstructured
	require.NoError(s.t, object.EachListItem(func(item runtime.Object) error {
		one := item.(*unstructured.Unstructured)
		if one.GetKind() == "" {
			one.SetKind(strings.TrimSuffix(object.GetKind(), "List"))
			one.SetAPIVersion(object.GetAPIVersion())
		}
		items = append(items, one)
		return nil
	}))
	return items
}
