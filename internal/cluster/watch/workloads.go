package watch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/ownership"
	"github.com/configpin/configpin/internal/pin"
	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/wellknown"
	"github.com/configpin/configpin/internal/workload"
)

// Workloads knows, from watches, the opted-in workloads whose template can
// change, and touches them. It is safe for concurrent use.
type Workloads struct {
	watches[*workload.Kind]
	scope   []string
	optedIn *optedIn
	writer  *cluster.Writer
	hashes  wellknown.Hashes
}

// entry is what is kept of a workload: of its template, nothing but the targets
// of its refs.
type entry struct {
	metav1.ObjectMeta
	object workload.Object
}

// NewWorkloads returns the Workloads of scope in the cluster at config, not watching
// yet. hashes are annotations of templates that are hashes of config.
func NewWorkloads(config *rest.Config, scope cluster.Scope, hashes wellknown.Hashes) (*Workloads, error) {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("connecting to the cluster: %w", err)
	}
	metadataReader, err := metadata.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("connecting to the cluster: %w", err)
	}
	w := &Workloads{scope: scope.Namespaces, hashes: hashes}
	if w.optedIn, err = newOptedIn(metadataReader, scope.Namespaces); err != nil {
		return nil, fmt.Errorf("watching namespaces: %w", err)
	}
	if w.optedIn.all != nil {
		w.beside = append(w.beside, w.optedIn.all)
	}
	if w.writer, err = cluster.NewWriter(config, wellknown.FieldManager); err != nil {
		return nil, err
	}
	for _, kind := range workload.Kinds {
		if kind.Frozen {
			continue
		}
		err := w.add(kind, kind.Resource, scope.Namespaces, func(namespace string) (cache.SharedIndexInformer, error) {
			return informerOf(client, kind, namespace, hashes)
		})
		if err != nil {
			return nil, err
		}
	}
	return w, nil
}

func informerOf(client kubernetes.Interface, kind *workload.Kind, namespace string, hashes wellknown.Hashes) (cache.SharedIndexInformer, error) {
	factory := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithNamespace(namespace), informers.WithTweakListOptions(onlyLabelled))
	generic, err := factory.ForResource(cluster.WorkloadKind(kind))
	if err != nil {
		return nil, err
	}
	informer := generic.Informer()
	return informer, errors.Join(informer.AddIndexers(cache.Indexers{bySource: sourcesOf}), informer.SetTransform(toEntry(kind, hashes)))
}

// onlyLabelled selects workloads that say whether they are opted in, where
// admission sees them at all.
func onlyLabelled(options *metav1.ListOptions) {
	options.LabelSelector = wellknown.Enabled
	var elsewhere []fields.Selector
	for _, namespace := range wellknown.UntouchedNamespaces {
		elsewhere = append(elsewhere, fields.OneTermNotEqualSelector("metadata.namespace", namespace))
	}
	options.FieldSelector = fields.AndSelectors(elsewhere...).String()
}

// toEntry reduces a workload to its entry. It comes as the type that our version
// of the API has, because the API server then sends what it sends to its own
// controllers, encoded once for all; what that type doesn't know, the walk over
// refs doesn't either. Who owns what takes more room than all else: only whether that
// is right is kept.
func toEntry(kind *workload.Kind, hashes wellknown.Hashes) cache.TransformFunc {
	return func(object any) (any, error) {
		full, ok := object.(metav1.Object)
		if _, done := object.(*entry); done || !ok {
			return object, nil // an entry already, or the tombstone of one
		}
		owners := ownership.EntriesOf(full.GetManagedFields())
		full.SetManagedFields(nil)
		raw, err := json.Marshal(full)
		if err != nil {
			return nil, fmt.Errorf("reading %s %s/%s: %w", kind.Kind, full.GetNamespace(), full.GetName(), err)
		}
		read, err := kind.Read(string(raw))
		if err != nil {
			return nil, err
		}
		read.Namespace, read.Name = full.GetNamespace(), full.GetName()
		read.Misowned = ownership.Amiss(read, owners, hashes)
		read.Labels = cloned(read.Labels)
		read.Template = workload.Template{
			Metadata:    "{}",
			Spec:        refs.Reduce(read.Template.Spec),
			Annotations: cloned(read.Template.Annotations),
		}
		return &entry{
			ObjectMeta: metav1.ObjectMeta{
				Namespace:       read.Namespace,
				Name:            read.Name,
				UID:             full.GetUID(),
				ResourceVersion: full.GetResourceVersion(),
			},
			object: read,
		}, nil
	}
}

// cloned copies entries out of the text that they are parts of, which would
// otherwise stay in memory as long as they do.
func cloned(entries map[string]string) map[string]string {
	var copied map[string]string
	for key, value := range entries {
		if copied == nil {
			copied = make(map[string]string, len(entries))
		}
		copied[strings.Clone(key)] = strings.Clone(value)
	}
	return copied
}

func sourcesOf(object any) ([]string, error) {
	e, ok := object.(*entry)
	if !ok {
		return nil, fmt.Errorf("indexing a %T: not a workload", object)
	}
	var keys []string
	for _, key := range e.sources() {
		keys = append(keys, key.String())
	}
	return keys, nil
}

// sources are those that a workload refers to or is pinned for, and the snapshots that
// it names.
func (e *entry) sources() []cluster.Key {
	var keys []cluster.Key
	for _, ref := range refs.Walk(e.object.Template.Spec) {
		keys = append(keys, cluster.Key{Namespace: e.Namespace, Target: ref.Target})
	}
	for source := range pin.ParsePins(e.object.Template.Annotations[wellknown.Pins]) {
		keys = append(keys, cluster.Key{Namespace: e.Namespace, Target: source})
	}
	return keys
}

// Change is what a watch saw of a workload.
type Change struct {
	cluster.Workload

	// Before and After are what is known of it: Before is nil when it came, After
	// when it went.
	Before, After *workload.Object

	// Initial says that it didn't come but was there when the watch began.
	Initial bool

	UID             types.UID
	ResourceVersion string
}

// OnChange calls f for every workload that comes, goes, or changes in a way that
// matters here. It must be called before Start.
func (w *Workloads) OnChange(f func(Change)) error {
	return w.onEvents(func(kind *workload.Kind, e event, m metav1.Object) {
		if sameEntry(e.before, e.after) {
			return // its status changed, most likely
		}
		f(Change{
			Workload:        cluster.Workload{Kind: kind, Namespace: m.GetNamespace(), Name: m.GetName()},
			Before:          objectOf(e.before),
			After:           objectOf(e.after),
			Initial:         e.initial,
			UID:             m.GetUID(),
			ResourceVersion: m.GetResourceVersion(),
		})
	})
}

func objectOf(known any) *workload.Object {
	if e, ok := known.(*entry); ok {
		return &e.object
	}
	return nil
}

func sameEntry(a, b any) bool {
	x, ok := a.(*entry)
	y, alsoOK := b.(*entry)
	return ok && alsoOK && x.UID == y.UID && reflect.DeepEqual(x.object, y.object)
}

// All returns the workloads that are known.
func (w *Workloads) All() []cluster.Workload {
	var all []cluster.Workload
	for kind, informer := range w.all() {
		for _, object := range informer.GetStore().List() {
			e := object.(*entry)
			all = append(all, cluster.Workload{Kind: kind, Namespace: e.Namespace, Name: e.Name})
		}
	}
	return all
}

// UsedBy returns the workloads that refer to a source or are pinned for it.
func (w *Workloads) UsedBy(source cluster.Key) []cluster.Workload {
	var users []cluster.Workload
	for kind := range w.of {
		for _, object := range w.indexed(kind, source) {
			e := object.(*entry)
			users = append(users, cluster.Workload{Kind: kind, Namespace: e.Namespace, Name: e.Name})
		}
	}
	return users
}

// PinnedFor returns how many workloads are pinned for a source. It isn't known before all
// workloads are.
func (w *Workloads) PinnedFor(source cluster.Key) (count int, known bool) {
	for _, of := range w.UsedBy(source) {
		object, _, _ := w.Object(of)
		if _, pinned := pin.ParsePins(object.Template.Annotations[wellknown.Pins])[source.Target]; pinned {
			count++
		}
	}
	return count, w.Synced()
}

// Object returns what is known of a workload. Of its template that is nothing
// but the targets of its refs, and our annotations; it may be behind what is
// stored.
func (w *Workloads) Object(of cluster.Workload) (object workload.Object, uid types.UID, found bool) {
	e, found := w.entry(of)
	return e.object, e.UID, found
}

// entry is what is known of a workload, or an empty one.
func (w *Workloads) entry(of cluster.Workload) (e *entry, found bool) {
	if e, found = w.known(of.Kind, of.Namespace, of.Name).(*entry); !found {
		e = &entry{}
	}
	return e, found
}

// ResourceVersion is that of what is known of a workload, or empty.
func (w *Workloads) ResourceVersion(of cluster.Workload) string {
	e, _ := w.entry(of)
	return e.ResourceVersion
}

// Sources returns the objects that a workload has to do with.
func (w *Workloads) Sources(of cluster.Workload) []cluster.Key {
	e, _ := w.entry(of)
	return e.sources()
}

// released is a patch that labels what carries no such label: whoever opts it in again at
// the same time wins.
var released = fmt.Appendf(nil, `[{"op": "test", "path": "/metadata/labels/%[1]s", "value": null}, {"op": "add", "path": "/metadata/labels/%[1]s", "value": %[2]q}]`,
	strings.ReplaceAll(wellknown.Enabled, "/", "~1"), wellknown.Released)

// Release has admission opt out a workload that lost its label. Where admission doesn't see
// it, the label stays on it.
func (w *Workloads) Release(ctx context.Context, of cluster.Workload, dryRun bool) (cluster.Touched, error) {
	touched, err := w.writer.Patch(ctx, of, types.JSONPatchType, released, dryRun)
	if err != nil {
		return cluster.Touched{}, fmt.Errorf("releasing %s: %w", of, err)
	}
	return touched, nil
}

// Touch sends a workload through admission.
func (w *Workloads) Touch(ctx context.Context, of cluster.Workload) (cluster.Touched, error) {
	touched, err := w.writer.Touch(ctx, of, false)
	if err != nil {
		return cluster.Touched{}, err
	}
	touched.Object.Misowned = ownership.Amiss(touched.Object, ownership.Entries(touched.Object.ManagedFields), w.hashes)
	return touched, nil
}
