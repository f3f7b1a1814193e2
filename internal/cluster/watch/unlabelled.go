package watch

import (
	"context"
	"errors"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/pin"
	"github.com/configpin/configpin/internal/wellknown"
)

// OptedIn are the namespaces that opt in what is written in them, without those that
// admission never sees, and those that may be such: they couldn't be asked. Where that is
// because of a right that is missing, it is no error.
func (w *Workloads) OptedIn(ctx context.Context) (namespaces, unknown []string, err error) {
	namespaces, unknown, err = w.optedIn.list(ctx)
	return slices.DeleteFunc(namespaces, untouched), unknown, err
}

// Scope are the namespaces in which workloads are served, or Everywhere.
func (w *Workloads) Scope() []string { return slices.Clone(w.scope) }

func untouched(namespace string) bool {
	return slices.Contains(wellknown.UntouchedNamespaces, namespace)
}

// Unstamped lists, live, the workloads of a namespace that opts in which carry no label of
// their own: they were written while admission was away, or before their namespace opted
// in. With an error they are all that could be listed.
func (w *Workloads) Unstamped(ctx context.Context, namespace string) ([]cluster.Workload, error) {
	return w.unlabelled(ctx, namespace, func(*metav1.ObjectMeta) bool { return true })
}

// LeftPinned lists, live, the workloads of a namespace, or of all, that carry no label but
// what admission writes on those that do: the label was taken away while admission was
// away. With an error they are all that could be listed.
func (w *Workloads) LeftPinned(ctx context.Context, namespace string) ([]cluster.Workload, error) {
	return w.unlabelled(ctx, namespace, func(m *metav1.ObjectMeta) bool {
		return !untouched(m.Namespace) && pin.Offered(m.Labels)
	})
}

// unlabelled lists kind by kind. One that can't be listed is no reason to leave the others
// as they are.
func (w *Workloads) unlabelled(ctx context.Context, namespace string, wanted func(*metav1.ObjectMeta) bool) ([]cluster.Workload, error) {
	var found []cluster.Workload
	var failed []error
	for kind := range w.of {
		unlabelled := cluster.List[cluster.Workload]{
			API:       w.writer.API,
			Kind:      cluster.WorkloadKind(kind),
			Namespace: namespace,
			Selector:  cluster.Selector{Labels: "!" + wellknown.Enabled},
			Metadata: func(m *metav1.ObjectMeta) (cluster.Workload, bool) {
				return cluster.Workload{Kind: kind, Namespace: m.Namespace, Name: m.Name}, m.DeletionTimestamp == nil && wanted(m)
			},
		}
		for of, err := range unlabelled.All(ctx) {
			switch {
			case err == nil:
				found = append(found, of)
			case apierrors.IsForbidden(err) && namespace != metav1.NamespaceAll && !slices.Equal(w.scope, cluster.Everywhere):
				// One of many namespaces was deleted with its Roles: then nothing is served there.
			default:
				failed = append(failed, err)
			}
		}
	}
	slices.SortFunc(found, func(a, b cluster.Workload) int { return strings.Compare(a.String(), b.String()) })
	return found, errors.Join(failed...)
}
