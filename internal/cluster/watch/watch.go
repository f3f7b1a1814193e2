// Package watch knows, from watches, what there is: sources and snapshots by their metadata
// (sources.go), the opted-in workloads by their refs (workloads.go), and the namespaces that
// opt in (optedin.go). It carries what changes to the queues of controllers (feed.go,
// turns.go). The versioner is its consumer: who decides about a single request has to read
// what is stored now, and is in package live.
//
// It deliberately knows no content: its memory doesn't depend on what sources hold.
package watch

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync/atomic"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/tools/cache"

	"github.com/configpin/configpin/internal/cluster"
)

// bySource is the index by what an object is a snapshot of, or refers to.
const bySource = "source"

// watch is an informer of one namespace, or of all of them.
type watch struct {
	cache.SharedIndexInformer
	resource, namespace string
	failure             atomic.Pointer[failure] // the last
}

// failure is why a watch couldn't read, and how far it had got then.
type failure struct {
	error
	after string
}

// newWatch returns the watch of an informer of a resource that doesn't run yet.
func newWatch(informer cache.SharedIndexInformer, resource, namespace string) (*watch, error) {
	w := &watch{SharedIndexInformer: informer, resource: resource, namespace: namespace}
	return w, informer.SetWatchErrorHandlerWithContext(func(ctx context.Context, r *cache.Reflector, err error) {
		now := &failure{err, r.LastSyncResourceVersion()}
		before := w.failure.Swap(now)
		if w.refused(now) && w.refused(before) && before.after == now.after {
			return // that one namespace may not be read is said once
		}
		cache.DefaultWatchErrorHandler(ctx, r, err)
	})
}

// refused says whether the namespace of a watch may not be read: it was deleted with
// its Roles, or hasn't got them yet.
func (w *watch) refused(f *failure) bool {
	return w.namespace != metav1.NamespaceAll && f != nil && apierrors.IsForbidden(f.error)
}

// settled says whether all that there was at the start is known, or may not be.
func (w *watch) settled() bool { return w.HasSynced() || w.hidden() }

// hidden says whether nothing is known because nothing may be read. That one of many
// namespaces may not be is no reason to let the others wait.
func (w *watch) hidden() bool { return w.refused(w.failure.Load()) && !w.HasSynced() }

// waiting says what isn't known yet, and why, or nothing.
func (w *watch) waiting() string {
	if w.settled() {
		return ""
	}
	what := w.resource
	if w.namespace != metav1.NamespaceAll {
		what += " of namespace " + w.namespace
	}
	if failure := w.failure.Load(); failure != nil {
		what += " (" + plainly(failure.error) + ")"
	}
	return what
}

// plainly is what the API server or the network says, without what client-go was doing.
func plainly(err error) string {
	if status := apierrors.APIStatus(nil); errors.As(err, &status) {
		return status.Status().Message
	}
	if inner := errors.Unwrap(err); inner != nil {
		return inner.Error()
	}
	return err.Error()
}

// watches are those of some kinds.
type watches[K comparable] struct {
	// of is the watch of a kind that sees a namespace. One of NamespaceAll sees all.
	of map[K]map[string]*watch

	beside []*watch // of something else
}

// add begins to know a kind in some namespaces. The informers that are made don't run yet.
func (w *watches[K]) add(kind K, resource string, namespaces []string, informer func(namespace string) (cache.SharedIndexInformer, error)) error {
	if w.of == nil {
		w.of = map[K]map[string]*watch{}
	}
	w.of[kind] = map[string]*watch{}
	for _, namespace := range namespaces {
		made, err := informer(namespace)
		if err == nil {
			w.of[kind][namespace], err = newWatch(made, resource, namespace)
		}
		if err != nil {
			return fmt.Errorf("watching %s: %w", resource, err)
		}
	}
	return nil
}

// seeing is the watch of a kind that sees a namespace, or nil.
func (w *watches[K]) seeing(kind K, namespace string) *watch {
	if everywhere := w.of[kind][metav1.NamespaceAll]; everywhere != nil {
		return everywhere
	}
	return w.of[kind][namespace]
}

// known is what is known of an object, or nil.
func (w *watches[K]) known(kind K, namespace, name string) any {
	watch := w.seeing(kind, namespace)
	if watch == nil {
		return nil
	}
	found, _, _ := watch.GetStore().GetByKey(namespace + "/" + name) // never fails
	return found
}

// indexed are the objects of a kind that a source is in the index of.
func (w *watches[K]) indexed(kind K, source cluster.Key) []any {
	watch := w.seeing(kind, source.Namespace)
	if watch == nil {
		return nil
	}
	found, _ := watch.GetIndexer().ByIndex(bySource, source.String()) // the index is made with the informer
	return found
}

// all are the watches of the kinds.
func (w *watches[K]) all() iter.Seq2[K, *watch] {
	return func(yield func(K, *watch) bool) {
		for kind, watches := range w.of {
			for _, watch := range watches {
				if !yield(kind, watch) {
					return
				}
			}
		}
	}
}

// each are all the watches.
func (w *watches[K]) each() []*watch {
	each := slices.Clone(w.beside)
	for _, watch := range w.all() {
		each = append(each, watch)
	}
	return each
}

// Start watches until ctx ends.
func (w *watches[K]) Start(ctx context.Context) error {
	for _, watch := range w.each() {
		go watch.RunWithContext(ctx)
	}
	<-ctx.Done()
	return nil
}

// NeedLeaderElection lets every replica watch, so that a new leader knows at
// once what there is.
func (w *watches[K]) NeedLeaderElection() bool { return false }

// Synced says whether all that there was at the start is known, as far as it may be
// read.
func (w *watches[K]) Synced() bool {
	return !slices.ContainsFunc(w.each(), func(w *watch) bool { return !w.settled() })
}

// Waiting says what isn't known yet of what there was at the start, and why.
func (w *watches[K]) Waiting() []string {
	var all []string
	for _, watch := range w.each() {
		if waiting := watch.waiting(); waiting != "" {
			all = append(all, waiting)
		}
	}
	slices.Sort(all)
	return all
}

// event is what a watch saw: an object that came (before is nil), changed, or
// went (after is nil). initial says that it didn't come: it was there when the
// watch began.
type event struct {
	before, after any
	initial       bool
}

// onEvents calls f with every event, and the metadata that was seen last of its object.
func (w *watches[K]) onEvents(f func(kind K, e event, m metav1.Object)) error {
	for kind, watch := range w.all() {
		tell := func(e event) {
			last := e.after
			if last == nil {
				last = e.before
			}
			if m, ok := metaOf(last); ok {
				f(kind, e, m)
			}
		}
		_, err := watch.AddEventHandler(cache.ResourceEventHandlerDetailedFuncs{
			AddFunc:    func(object any, initial bool) { tell(event{after: object, initial: initial}) },
			UpdateFunc: func(before, after any) { tell(event{before: before, after: after}) },
			DeleteFunc: func(object any) { tell(event{before: object}) },
		})
		if err != nil {
			return fmt.Errorf("watching %s: %w", watch.resource, err)
		}
	}
	return nil
}

// metaOf returns an object's metadata, also from the tombstone of a deletion
// that the watch missed.
func metaOf(object any) (metav1.Object, bool) {
	if tombstone, ok := object.(cache.DeletedFinalStateUnknown); ok {
		object = tombstone.Obj
	}
	m, ok := object.(metav1.Object)
	return m, ok
}

// syncPoll is how often a watch is asked whether it is complete; the watches
// themselves don't say when.
const syncPoll = 50 * time.Millisecond

// WaitSynced waits until all of synced are.
func WaitSynced(ctx context.Context, synced ...func() bool) error {
	err := wait.PollUntilContextCancel(ctx, syncPoll, true, func(context.Context) (bool, error) {
		for _, complete := range synced {
			if !complete() {
				return false, nil
			}
		}
		return true, nil
	})
	if err != nil {
		return errors.New("stopped before all that there is was known")
	}
	return nil
}
