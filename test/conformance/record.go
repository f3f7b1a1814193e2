package conformance

import (
	"encoding/json"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"

	"github.com/configpin/configpin/internal/workload"
)

// record is each workload that was ever stored in a namespace. A watch delivers
// each stored version, so what came and went between two looks is in it. The API
// server ends a watch that it finds slow; it is then resumed where it ended.
type record struct {
	mutex     sync.Mutex
	histories map[types.UID][]*unstructured.Unstructured
	newest    map[string]uint64 // resourceVersion, by kind
	ended     string            // the kind whose watch ended, which it should not
	excused   bool              // it may: the API server that it watched is gone
}

func watchAll(t *testing.T, api dynamic.Interface, namespace string) *record {
	t.Helper()
	r := &record{histories: map[types.UID][]*unstructured.Unstructured{}, newest: map[string]uint64{}}
	for _, kind := range workload.Kinds {
		resource := schema.GroupVersionResource{Group: kind.Group, Version: kind.Version, Resource: kind.Resource}
		objects := api.Resource(resource).Namespace(namespace)
		before, err := objects.List(t.Context(), metav1.ListOptions{})
		require.NoError(t, err)
		for i := range before.Items {
			r.note(watch.Event{Type: watch.Added, Object: &before.Items[i]})
		}
		events, err := watchtools.NewRetryWatcherWithContext(t.Context(), before.GetResourceVersion(), &cache.ListWatch{
			WatchFuncWithContext: objects.Watch,
		})
		require.NoError(t, err)
		go func() {
			for event := range events.ResultChan() {
				r.note(event)
			}
			if t.Context().Err() == nil {
				r.end(resource.Resource)
			}
		}()
	}
	return r
}

func (r *record) note(event watch.Event) {
	object, ok := event.Object.(*unstructured.Unstructured)
	if !ok || event.Type == watch.Error || event.Type == watch.Bookmark {
		return
	}
	r.mutex.Lock()
	defer r.mutex.Unlock()
	version, _ := strconv.ParseUint(object.GetResourceVersion(), 10, 64) // since Kubernetes 1.35 it is a number
	r.newest[object.GetKind()] = max(r.newest[object.GetKind()], version)
	r.histories[object.GetUID()] = append(r.histories[object.GetUID()], object)
}

func (r *record) end(resource string) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if !r.excused {
		r.ended = resource
	}
}

// excuse lets watches end: an API server that begins anew doesn't know what came
// before it.
func (r *record) excuse() {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.excused = true
}

// of returns each stored version of an object that is there.
func (r *record) of(uid types.UID) []*unstructured.Unstructured {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return r.histories[uid]
}

func (r *record) caughtUp(kind, resourceVersion string) bool {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	version, _ := strconv.ParseUint(resourceVersion, 10, 64)
	return r.newest[kind] >= version
}

// templates returns the templates that a workload ever had, one after another.
func (s *space) templates(of *unstructured.Unstructured) []string {
	s.t.Helper()
	stored := s.get(of)
	s.eventually("the record is up to date", func() (string, bool) {
		return "it is behind", s.record.caughtUp(stored.GetKind(), stored.GetResourceVersion())
	})
	var found []string
	for _, version := range s.record.of(stored.GetUID()) {
		template := templateText(s.t, version)
		if len(found) == 0 || found[len(found)-1] != template {
			found = append(found, template)
		}
	}
	return found
}

// rollouts is how often a workload's template changed since it was created.
func (s *space) rollouts(of *unstructured.Unstructured) int {
	s.t.Helper()
	return len(s.templates(of)) - 1
}

func templateText(t *testing.T, of *unstructured.Unstructured) string {
	t.Helper()
	template, found, err := unstructured.NestedMap(of.Object, templatePath(t, of)...)
	require.NoError(t, err)
	require.True(t, found, "%s %s has no template", of.GetKind(), of.GetName())
	text, err := json.Marshal(template)
	require.NoError(t, err)
	return string(text)
}
