package cluster

import (
	"context"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/tools/cache"

	"github.com/configpin/configpin/internal/wellknown"
)

// Changes says when a source or a snapshot of a namespace, or of all, may have changed,
// or an object of some other kinds. What may not be watched isn't.
func (r *Reader) Changes(ctx context.Context, namespace string, others []schema.GroupVersionResource) <-chan struct{} {
	changed := make(chan struct{}, 1)
	say := func(any) {
		select {
		case changed <- struct{}{}:
		default: // somebody is about to look anyway
		}
	}
	kinds := slices.Clone(others)
	for _, kind := range wellknown.Kinds {
		kinds = append(kinds, resourceOf(kind))
	}
	for _, kind := range kinds {
		watchAny(ctx, metadatainformer.NewFilteredMetadataInformer(r.metadata, kind, namespace, 0, nil, nil).Informer(), say)
	}
	return changed
}

func watchAny(ctx context.Context, informer cache.SharedIndexInformer, say func(any)) {
	_ = informer.SetTransform(onlyName)
	_ = informer.SetWatchErrorHandlerWithContext(func(context.Context, *cache.Reflector, error) {}) // it isn't running yet
	_, _ = informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    say,
		UpdateFunc: func(_, now any) { say(now) },
		DeleteFunc: say,
	})
	go informer.RunWithContext(ctx)
}

// onlyName drops everything but who an object is: that it changed is all that matters.
func onlyName(object any) (any, error) {
	full, ok := object.(*metav1.PartialObjectMetadata)
	if !ok {
		return object, nil // the tombstone of a deletion that was missed
	}
	return &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
		Namespace: full.Namespace, Name: full.Name, UID: full.UID, ResourceVersion: full.ResourceVersion,
	}}, nil
}
