package ask

import (
	"context"
	"maps"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/tools/cache"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/wellknown"
)

// Changes says when a source or a snapshot of a namespace, or of all, may have changed,
// or an object of some other kinds. It tells unwatched of what can't be watched, whenever
// that was tried again: now and then, so that somebody looks all the same.
func (c *Client) Changes(ctx context.Context, namespace string, others []schema.GroupVersionResource, unwatched func(schema.GroupVersionResource, error)) <-chan struct{} {
	changed := make(chan struct{}, 1)
	say := func() {
		select {
		case changed <- struct{}{}:
		default: // somebody is about to look anyway
		}
	}
	kinds := slices.Clone(others)
	for _, kind := range wellknown.Kinds {
		kinds = append(kinds, cluster.SourceKind(kind))
	}
	for _, kind := range kinds {
		informer := metadatainformer.NewFilteredMetadataInformer(c.metadata, kind, namespace, 0, nil, nil).Informer()
		watchAny(ctx, informer, say, func(err error) {
			if apierrors.IsForbidden(err) || apierrors.IsNotFound(err) || apierrors.IsMethodNotSupported(err) {
				unwatched(kind, err)
				say()
			}
		})
	}
	return changed
}

func watchAny(ctx context.Context, informer cache.SharedIndexInformer, say func(), failed func(error)) {
	_ = informer.SetTransform(onlyVersion)
	_ = informer.SetWatchErrorHandlerWithContext(func(_ context.Context, _ *cache.Reflector, err error) { failed(err) }) // it isn't running yet
	_, _ = informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { say() },
		UpdateFunc: func(was, is any) {
			if !sameVersion(was, is) {
				say()
			}
		},
		DeleteFunc: func(any) { say() },
	})
	go informer.RunWithContext(ctx)
}

// onlyVersion drops everything but who an object is, and which version of it: that it
// changed is all that matters.
func onlyVersion(object any) (any, error) {
	full, ok := object.(*metav1.PartialObjectMetadata)
	if !ok {
		return object, nil // the tombstone of a deletion that was missed
	}
	version := cluster.Reduce(&full.ObjectMeta)
	version.Labels = full.Labels
	return &metav1.PartialObjectMetadata{ObjectMeta: version}, nil
}

// sameVersion says whether nothing but the status of an object changed, as it does all the
// time. What has no generation has no status either, or nobody can tell.
func sameVersion(was, is any) bool {
	a, aOK := was.(*metav1.PartialObjectMetadata)
	b, bOK := is.(*metav1.PartialObjectMetadata)
	return aOK && bOK && a.UID == b.UID && a.Generation != 0 && a.Generation == b.Generation &&
		maps.Equal(a.Labels, b.Labels) && a.DeletionTimestamp.Equal(b.DeletionTimestamp)
}
