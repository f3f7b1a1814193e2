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
type optedIn interface {
	start(ctx context.Context)
	synced() bool
	watch() *watch // nil where there is none
	list(ctx context.Context) (found, unknown []string, err error)
}

func newOptedIn(client metadata.Interface, namespaces []string) (optedIn, error) {
	if !slices.Equal(namespaces, cluster.Everywhere) {
		return askedNamespaces{client, namespaces}, nil
	}
	informer := metadatainformer.NewFilteredMetadataInformer(plainMetadata{client}, cluster.Namespaces, "", 0, cache.Indexers{}, func(options *metav1.ListOptions) {
		options.LabelSelector = wellknown.Enabled + "=" + wellknown.True
	}).Informer()
	all, err := newWatch(informer, cluster.Namespaces.Resource, metav1.NamespaceAll)
	return watchedNamespaces{all}, err
}

// watchedNamespaces watches all that there are. Nothing is asked for while none is
// opted in.
type watchedNamespaces struct{ all *watch }

func (w watchedNamespaces) start(ctx context.Context) { go w.all.RunWithContext(ctx) }

func (w watchedNamespaces) synced() bool { return w.all.HasSynced() }

func (w watchedNamespaces) watch() *watch { return w.all }

func (w watchedNamespaces) list(context.Context) (found, unknown []string, err error) {
	return w.all.GetStore().ListKeys(), nil, nil
}

// plainMetadata has its informers list before they watch, whatever the API server is
// able to: the right to list is needed for older ones, and a right that is used on some
// of them alone can't be told from one too many.
type plainMetadata struct{ metadata.Interface }

// IsWatchListSemanticsUnSupported is asked by client-go's reflector
// (k8s.io/client-go/util/watchlist).
func (plainMetadata) IsWatchListSemanticsUnSupported() bool { return true }

// askedNamespaces asks for each of some: who may read no others can't watch any.
type askedNamespaces struct {
	client     metadata.Interface
	namespaces []string
}

func (askedNamespaces) start(context.Context) {}

func (askedNamespaces) synced() bool { return true }

func (askedNamespaces) watch() *watch { return nil }

func (a askedNamespaces) list(ctx context.Context) (found, unknown []string, err error) {
	var failed []error
	for _, name := range a.namespaces {
		namespace, err := a.client.Resource(cluster.Namespaces).Get(ctx, name, metav1.GetOptions{})
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
