package watch

import (
	"context"
	"errors"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/tools/cache"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/wellknown"
)

// optedIn knows the namespaces that opt in what is written in them.
type optedIn struct {
	// all watches all that there are: nothing is asked for while none is opted in. It is
	// nil where some are asked for: who may read no others can't watch any.
	all *watch

	client metadata.Interface
	some   []string
}

func newOptedIn(client metadata.Interface, namespaces []string) (*optedIn, error) {
	if !slices.Equal(namespaces, cluster.Everywhere) {
		return &optedIn{client: client, some: namespaces}, nil
	}
	plain := struct {
		metadata.Interface
		cluster.ListsFirst
	}{Interface: client}
	informer := metadatainformer.NewFilteredMetadataInformer(plain, cluster.Namespaces, "", 0, cache.Indexers{}, func(options *metav1.ListOptions) {
		options.LabelSelector = wellknown.Enabled + "=" + wellknown.True
	}).Informer()
	all, err := newWatch(informer, cluster.Namespaces.Resource, metav1.NamespaceAll)
	return &optedIn{all: all}, err
}

func (o *optedIn) list(ctx context.Context) (found, unknown []string, err error) {
	if o.all != nil {
		return o.all.GetStore().ListKeys(), nil, nil
	}
	var failed []error
	for _, name := range o.some {
		namespace, err := o.client.Resource(cluster.Namespaces).Get(ctx, name, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
		case apierrors.IsForbidden(err): // it was deleted with its Roles, most likely
			unknown = append(unknown, name)
		case err != nil:
			unknown = append(unknown, name)
			failed = append(failed, fmt.Errorf("reading namespace %s: %w", name, err))
		case namespace.Labels[wellknown.Enabled] == wellknown.True:
			found = append(found, name)
		}
	}
	return found, unknown, errors.Join(failed...)
}
