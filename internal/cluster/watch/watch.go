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
	"iter"
	"slices"
	"sync/atomic"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/tools/cache"
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

// allWaiting says what watches don't know yet, sorted.
func allWaiting(watches iter.Seq[*watch]) []string {
	var all []string
	for w := range watches {
		if waiting := w.waiting(); waiting != "" {
			all = append(all, waiting)
		}
	}
	slices.Sort(all)
	return all
}

// watches are those of one kind, by the namespace that each watches. One of
// NamespaceAll watches all.
type watches map[string]*watch

// of is the watch that sees a namespace, or nil.
func (w watches) of(namespace string) *watch {
	if everywhere := w[metav1.NamespaceAll]; everywhere != nil {
		return everywhere
	}
	return w[namespace]
}

// event is what a watch saw: an object that came (before is nil), changed, or
// went (after is nil). initial says that it didn't come: it was there when the
// watch began.
type event struct {
	before, after any
	initial       bool
}

// object is the last that was seen of it.
func (e event) object() any {
	if e.after == nil {
		return e.before
	}
	return e.after
}

// onEvents calls f with every event.
func onEvents(informer cache.SharedIndexInformer, f func(event)) error {
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerDetailedFuncs{
		AddFunc:    func(object any, initial bool) { f(event{after: object, initial: initial}) },
		UpdateFunc: func(before, after any) { f(event{before: before, after: after}) },
		DeleteFunc: func(object any) { f(event{before: object}) },
	})
	return err
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
