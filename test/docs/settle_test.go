package docs

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/wellknown"
	"github.com/configpin/configpin/internal/workload"
)

// moving says, in a sentence each, what in the namespace will change by itself.
func (s *shell) moving() []string {
	s.t.Helper()
	return slices.Concat(s.notKept(), s.behind(), s.rollingOut())
}

func (s *shell) list(into client.ObjectList) {
	s.t.Helper()
	require.NoError(s.t, s.API.List(s.t.Context(), into, client.InNamespace(s.namespace)))
}

// notKept are the sources whose content isn't in their latest snapshot.
func (s *shell) notKept() []string {
	s.t.Helper()
	var found []string
	var all corev1.ConfigMapList
	s.list(&all)
	for i := range all.Items {
		source := snapshot.FromConfigMap(&all.Items[i])
		if versioned, _ := snapshot.Versioned(source); !versioned {
			continue
		}
		kept, highest := 0, 0
		for j := range all.Items {
			other := snapshot.FromConfigMap(&all.Items[j])
			of, digest, verified := snapshot.Verified(other)
			if !verified || of != source.Name {
				continue
			}
			revision, _ := strconv.Atoi(other.Annotations[wellknown.Revision]) // absent for a moment
			highest = max(highest, revision)
			if digest == source.Digest(source.Name).String() {
				kept = revision
			}
		}
		if kept == 0 || kept < highest {
			found = append(found, fmt.Sprintf("what ConfigMap %s holds isn't kept as its latest snapshot", source.Name))
		}
	}
	return found
}

// behind are the workloads that admission would change if they were written as
// they are. It is asked by a touch that isn't stored.
func (s *shell) behind() []string {
	s.t.Helper()
	var found []string
	for _, kind := range workload.Kinds {
		if kind.Frozen {
			continue
		}
		items := &unstructured.UnstructuredList{}
		items.SetGroupVersionKind(schema.GroupVersionKind{Group: kind.Group, Version: kind.Version, Kind: kind.Kind + "List"})
		s.list(items)
		for i := range items.Items {
			stored := &items.Items[i]
			touched := stored.DeepCopy()
			err := s.API.Patch(s.t.Context(), touched, client.RawPatch("application/merge-patch+json", []byte("{}")), client.DryRunAll)
			if apierrors.IsNotFound(err) {
				continue // deleted since
			}
			require.NoError(s.t, err)
			if !reflect.DeepEqual(stored.GetLabels(), touched.GetLabels()) || !reflect.DeepEqual(template(kind, stored), template(kind, touched)) {
				found = append(found, fmt.Sprintf("%s %s is behind", kind.Kind, stored.GetName()))
			}
		}
	}
	return found
}

func template(kind *workload.Kind, object *unstructured.Unstructured) any {
	found, _, _ := unstructured.NestedFieldNoCopy(object.Object, kind.Path...) // nil is as good for comparing
	return found
}

// rollingOut are the workloads whose Pods aren't all of their template. Those
// that wait for a person don't count.
func (s *shell) rollingOut() []string {
	s.t.Helper()
	var found []string
	say := func(kind, name string) { found = append(found, fmt.Sprintf("%s %s is rolling out", kind, name)) }
	var deployments appsv1.DeploymentList
	s.list(&deployments)
	for _, d := range deployments.Items {
		want, status := *d.Spec.Replicas, d.Status
		if !d.Spec.Paused && (status.ObservedGeneration != d.Generation || status.Replicas != want || status.UpdatedReplicas != want || status.AvailableReplicas != want) {
			say("Deployment", d.Name)
		}
	}
	var statefulSets appsv1.StatefulSetList
	s.list(&statefulSets)
	for _, set := range statefulSets.Items {
		want, status := *set.Spec.Replicas, set.Status
		waits := set.Spec.UpdateStrategy.Type == appsv1.OnDeleteStatefulSetStrategyType ||
			set.Spec.UpdateStrategy.RollingUpdate != nil && set.Spec.UpdateStrategy.RollingUpdate.Partition != nil && *set.Spec.UpdateStrategy.RollingUpdate.Partition > 0
		if status.ObservedGeneration != set.Generation || status.Replicas != want || status.ReadyReplicas != want || !waits && status.UpdateRevision != status.CurrentRevision {
			say("StatefulSet", set.Name)
		}
	}
	var daemonSets appsv1.DaemonSetList
	s.list(&daemonSets)
	for _, set := range daemonSets.Items {
		want, status := set.Status.DesiredNumberScheduled, set.Status
		waits := set.Spec.UpdateStrategy.Type == appsv1.OnDeleteDaemonSetStrategyType
		if status.ObservedGeneration != set.Generation || status.NumberAvailable != want || !waits && status.UpdatedNumberScheduled != want {
			say("DaemonSet", set.Name)
		}
	}
	return found
}
