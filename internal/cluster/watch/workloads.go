package watch

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
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
	scope     []string
	informers map[*workload.Kind]watches
	optedIn   optedIn
	writer    *cluster.Writer
	hashes    wellknown.Hashes
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
	w := &Workloads{
		scope:     scope.Namespaces,
		informers: map[*workload.Kind]watches{},
		hashes:    hashes,
	}
	if w.optedIn, err = newOptedIn(metadataReader, scope.Namespaces); err != nil {
		return nil, fmt.Errorf("watching namespaces: %w", err)
	}
	if w.writer, err = cluster.NewWriter(config, wellknown.FieldManager); err != nil {
		return nil, err
	}
	for _, kind := range workload.Kinds {
		if kind.Frozen {
			continue
		}
		w.informers[kind] = watches{}
		for _, namespace := range scope.Namespaces {
			if w.informers[kind][namespace], err = watchWorkloads(client, kind, namespace, hashes); err != nil {
				return nil, fmt.Errorf("watching %s: %w", kind.Resource, err)
			}
		}
	}
	return w, nil
}

func watchWorkloads(client kubernetes.Interface, kind *workload.Kind, namespace string, hashes wellknown.Hashes) (*watch, error) {
	factory := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithNamespace(namespace), informers.WithTweakListOptions(onlyLabelled))
	generic, err := factory.ForResource(cluster.WorkloadKind(kind))
	if err != nil {
		return nil, err
	}
	informer := generic.Informer()
	if err := informer.AddIndexers(cache.Indexers{bySource: sourcesOf}); err != nil {
		return nil, err
	}
	if err := informer.SetTransform(toEntry(kind, hashes)); err != nil {
		return nil, err
	}
	return newWatch(informer, kind.Resource, namespace)
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
	for _, target := range targetsOf(e.object) {
		keys = append(keys, cluster.Key{Namespace: e.Namespace, Target: target}.String())
	}
	return keys, nil
}

// targetsOf are the sources that a workload refers to or is pinned for, and the
// snapshots that it names.
func targetsOf(object workload.Object) []refs.Target {
	var targets []refs.Target
	for _, ref := range refs.Walk(object.Template.Spec) {
		targets = append(targets, ref.Target)
	}
	for source := range pin.ParsePins(object.Template.Annotations[wellknown.Pins]) {
		targets = append(targets, source)
	}
	return targets
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
	for kind, informer := range w.all() {
		changed := func(e event) {
			if sameEntry(e.before, e.after) {
				return // its status changed, most likely
			}
			m, ok := metaOf(e.object())
			if !ok {
				return
			}
			f(Change{
				Workload:        cluster.Workload{Kind: kind, Namespace: m.GetNamespace(), Name: m.GetName()},
				Before:          objectOf(e.before),
				After:           objectOf(e.after),
				Initial:         e.initial,
				UID:             m.GetUID(),
				ResourceVersion: m.GetResourceVersion(),
			})
		}
		if err := onEvents(informer, changed); err != nil {
			return fmt.Errorf("watching %s: %w", kind.Resource, err)
		}
	}
	return nil
}

// all are the watches, each with what it watches.
func (w *Workloads) all() iter.Seq2[*workload.Kind, *watch] {
	return func(yield func(*workload.Kind, *watch) bool) {
		for kind, watches := range w.informers {
			for _, informer := range watches {
				if !yield(kind, informer) {
					return
				}
			}
		}
	}
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

// Start watches until ctx ends.
func (w *Workloads) Start(ctx context.Context) error {
	w.optedIn.start(ctx)
	for _, informer := range w.all() {
		go informer.RunWithContext(ctx)
	}
	<-ctx.Done()
	return nil
}

// NeedLeaderElection lets every replica watch, so that a new leader knows at
// once what there is.
func (w *Workloads) NeedLeaderElection() bool { return false }

// Synced says whether all that there was at the start is known, as far as it may be
// read.
func (w *Workloads) Synced() bool {
	for _, watch := range w.all() {
		if !watch.settled() {
			return false
		}
	}
	return w.optedIn.synced()
}

// Waiting says what isn't known yet of what there was at the start, and why.
func (w *Workloads) Waiting() []string {
	return allWaiting(func(yield func(*watch) bool) {
		for _, informer := range w.all() {
			if !yield(informer) {
				return
			}
		}
		if namespaces := w.optedIn.watch(); namespaces != nil {
			yield(namespaces)
		}
	})
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
	for kind, watches := range w.informers {
		informer := watches.of(source.Namespace)
		if informer == nil {
			continue
		}
		found, err := informer.GetIndexer().ByIndex(bySource, source.String())
		if err != nil {
			continue // there is no such index: never, it is made with the informer
		}
		for _, object := range found {
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
	informer := w.informers[of.Kind].of(of.Namespace)
	if informer == nil {
		return workload.Object{}, "", false
	}
	known, exists, err := informer.GetStore().GetByKey(of.Namespace + "/" + of.Name)
	if err != nil || !exists {
		return workload.Object{}, "", false
	}
	e := known.(*entry)
	return e.object, e.UID, true
}

// ResourceVersion is that of what is known of a workload, or empty.
func (w *Workloads) ResourceVersion(of cluster.Workload) string {
	informer := w.informers[of.Kind].of(of.Namespace)
	if informer == nil {
		return ""
	}
	known, exists, err := informer.GetStore().GetByKey(of.Namespace + "/" + of.Name)
	if err != nil || !exists {
		return ""
	}
	return known.(*entry).ResourceVersion
}

// Sources returns the objects that a workload has to do with.
func (w *Workloads) Sources(of cluster.Workload) []cluster.Key {
	object, _, found := w.Object(of)
	if !found {
		return nil
	}
	var keys []cluster.Key
	for _, target := range targetsOf(object) {
		keys = append(keys, cluster.Key{Namespace: of.Namespace, Target: target})
	}
	return keys
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
