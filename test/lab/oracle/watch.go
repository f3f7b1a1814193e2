package oracle

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
)

// kind is something that is watched.
type kind struct {
	kind     string
	resource schema.GroupVersionResource
}

// kinds are what is written by us, what names what we write, and namespaces,
// which come first: they say what counts.
var kinds = []kind{
	{"Namespace", schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}},
	{configMap, schema.GroupVersionResource{Version: "v1", Resource: configMaps}},
	{secret, schema.GroupVersionResource{Version: "v1", Resource: "secrets"}},
	{"Pod", schema.GroupVersionResource{Version: "v1", Resource: "pods"}},
	{"Deployment", schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}},
	{"StatefulSet", schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "statefulsets"}},
	{"DaemonSet", schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "daemonsets"}},
	{"ReplicaSet", schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "replicasets"}},
	{"ControllerRevision", schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "controllerrevisions"}},
	{"CronJob", schema.GroupVersionResource{Group: "batch", Version: "v1", Resource: "cronjobs"}},
	{"Job", schema.GroupVersionResource{Group: "batch", Version: "v1", Resource: "jobs"}},
	{"Event", schema.GroupVersionResource{Group: "events.k8s.io", Version: "v1", Resource: "events"}},
}

// again is how long to wait before asking an API server that didn't answer.
const again = 200 * time.Millisecond

// watchKind notes every write of a kind until ctx ends, from now on. A watch that
// the API server ends is resumed where it was; where that isn't possible, because
// the API server is another one, everything is listed anew, with a gap.
func (s *seen) watchKind(ctx context.Context, api dynamic.Interface, k kind) error {
	objects := api.Resource(k.resource)
	began, err := objects.List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("listing %s: %w", k.resource.Resource, err)
	}
	s.learn(began)
	for i := range began.Items {
		s.note(s.reduce(&began.Items[i]), s.labelled(&began.Items[i]))
	}
	go func() {
		from := began.GetResourceVersion()
		for ctx.Err() == nil {
			s.resume(ctx, objects, from)
			from = s.listAgain(ctx, objects, k)
		}
	}()
	return nil
}

// resume notes writes until the watch can't go on.
func (s *seen) resume(ctx context.Context, objects dynamic.ResourceInterface, from string) {
	events, err := watchtools.NewRetryWatcherWithContext(ctx, from, &cache.ListWatch{WatchFuncWithContext: objects.Watch})
	if err != nil {
		return // it takes no such resourceVersion, so that everything is listed anew
	}
	defer events.Stop()
	for event := range events.ResultChan() {
		object, is := event.Object.(*unstructured.Unstructured)
		if !is || event.Type == watch.Error || event.Type == watch.Bookmark {
			continue
		}
		f := s.reduce(object)
		f.Gone = event.Type == watch.Deleted
		s.note(f, s.labelled(object))
	}
}

// listAgain returns the resourceVersion of a list that it has noted, or nothing
// once ctx has ended.
func (s *seen) listAgain(ctx context.Context, objects dynamic.ResourceInterface, k kind) string {
	for {
		now, err := objects.List(ctx, metav1.ListOptions{})
		if err == nil {
			s.noteList(k, now)
			return now.GetResourceVersion()
		}
		if !wait(ctx, again) {
			return ""
		}
	}
}

func (s *seen) noteList(k kind, now *unstructured.UnstructuredList) {
	s.learn(now)
	var facts []Fact
	labelled := map[string]bool{}
	for i := range now.Items {
		f := s.reduce(&now.Items[i])
		facts = append(facts, f)
		labelled[f.UID] = s.labelled(&now.Items[i])
	}
	s.relist(k.kind, number(now.GetResourceVersion()), facts, func(f Fact) bool { return labelled[f.UID] })
}

func (s *seen) reduce(object *unstructured.Unstructured) Fact {
	s.keys.learn(object)
	f := s.keys.reduce(object)
	f.Seen = time.Now()
	return f
}

// learn takes note of a key before what was made with it is looked at: a list isn't
// in the order in which things came.
func (s *seen) learn(list *unstructured.UnstructuredList) {
	for i := range list.Items {
		s.keys.learn(&list.Items[i])
	}
}

func (s *seen) labelled(object *unstructured.Unstructured) bool {
	_, is := object.GetLabels()[s.label]
	return is
}
