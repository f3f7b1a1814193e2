package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/configpin/configpin/internal/wellknown"
)

// OptedIn are the namespaces that opt in what is written in them, without those that
// admission never sees. With an error they are all that could be asked.
func (w *Workloads) OptedIn(ctx context.Context) ([]string, error) {
	namespaces, err := w.optedIn.list(ctx)
	return slices.DeleteFunc(namespaces, untouched), err
}

func untouched(namespace string) bool {
	return slices.Contains(wellknown.UntouchedNamespaces, namespace)
}

// Unstamped lists, live, the workloads of a namespace that opts in which carry no label of
// their own: they were written while admission was away, or before their namespace opted
// in. With an error they are all that could be listed.
//
// One kind that can't be listed is no reason to leave the others as they are.
func (w *Workloads) Unstamped(ctx context.Context, namespace string) ([]Workload, error) {
	var found []Workload
	var failed []error
	for kind := range w.informers {
		resource := w.metadata.Resource(resource(kind)).Namespace(namespace)
		err := eachPage(ctx, resource, "!"+wellknown.Enabled, func(m *metav1.PartialObjectMetadata) {
			if m.DeletionTimestamp == nil {
				found = append(found, Workload{kind, m.Namespace, m.Name})
			}
		})
		switch {
		case err == nil:
		case apierrors.IsForbidden(err) && !slices.Equal(w.scope, Everywhere):
			// One of many namespaces was deleted with its Roles: then nothing is served there.
		default:
			failed = append(failed, fmt.Errorf("listing %s: %w", kind.Resource, err))
		}
	}
	slices.SortFunc(found, func(a, b Workload) int { return strings.Compare(a.String(), b.String()) })
	return found, errors.Join(failed...)
}
