package races

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/wellknown"
)

// colour is the key that all sources hold.
const colour = "colour"

// Contents of sources. The snapshot of the first is what the races are about.
var (
	blue  = map[string]string{colour: "blue"}
	green = map[string]string{colour: "green"}
)

// raceLabel is on everything that is made from a workload's template.
const raceLabel = "race"

// history is a source that held blue once and holds green now, with a snapshot of
// each. Nothing names that of blue.
type history struct {
	*lab
	namespace, name string // of the source; the workload is called the same
	old, current    string // snapshots
}

// history makes one, and removes it and what was made with it when the test ends.
func (l *lab) history(t *testing.T, namespace string) *history {
	t.Helper()
	h := &history{lab: l, namespace: namespace, name: fmt.Sprint("app", l.names.Add(1))}
	t.Cleanup(func() { h.remove(t) })
	source := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: h.name, Annotations: map[string]string{wellknown.Versioned: wellknown.True}},
		Data:       blue,
	}
	source, err := l.api.CoreV1().ConfigMaps(namespace).Create(t.Context(), source, metav1.CreateOptions{})
	require.NoError(t, err)
	h.old = h.keep(t, source, 1)
	require.NoError(t, h.edit(t.Context(), green))
	source.Data = green
	h.current = h.keep(t, source, 2)
	return h
}

// keep makes a snapshot as the versioner does.
func (h *history) keep(t *testing.T, source *corev1.ConfigMap, revision int) (name string) {
	t.Helper()
	kept, err := h.objects.Keep(t.Context(), snapshot.FromConfigMap(source), false)
	require.NoError(t, err)
	_, err = h.objects.Annotate(t.Context(), kept.Snapshot, map[string]any{wellknown.Revision: strconv.Itoa(revision)})
	require.NoError(t, err)
	return kept.Snapshot.Name
}

// edit gives the source another content.
func (h *history) edit(ctx context.Context, content map[string]string) error {
	patch, err := json.Marshal(map[string]any{"data": content})
	if err != nil {
		return err
	}
	_, err = h.api.CoreV1().ConfigMaps(h.namespace).Patch(ctx, h.name, types.MergePatchType, patch, metav1.PatchOptions{})
	return err
}

func (h *history) remove(t *testing.T) {
	t.Helper()
	ctx, maps := context.WithoutCancel(t.Context()), h.api.CoreV1().ConfigMaps(h.namespace)
	err := h.api.AppsV1().Deployments(h.namespace).Delete(ctx, h.name, metav1.DeleteOptions{PropagationPolicy: ptr.To(metav1.DeletePropagationBackground)})
	assert.True(t, err == nil || apierrors.IsNotFound(err), err)
	assert.NoError(t, maps.DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: wellknown.SnapshotOf + "=" + h.name}))
	err = maps.Delete(ctx, h.name, metav1.DeleteOptions{})
	assert.True(t, err == nil || apierrors.IsNotFound(err), err)
}

// deployment is a workload that names a ConfigMap, as people write it. It keeps no
// ReplicaSet but that of its template.
func deployment(namespace, name, names string) *appsv1.Deployment {
	labels := map[string]string{raceLabel: name}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace,
			Name:      name,
			Labels:    map[string]string{wellknown.Enabled: wellknown.True, raceLabel: name},
		},
		Spec: appsv1.DeploymentSpec{
			Replicas:             ptr.To[int32](0),
			RevisionHistoryLimit: ptr.To[int32](0),
			Selector:             &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec: corev1.PodSpec{Containers: []corev1.Container{{
					Name:  "app",
					Image: "example.com/app:1",
					EnvFrom: []corev1.EnvFromSource{{
						ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: names}},
					}},
				}}},
			},
		},
	}
}

// pinned is deployment as admission would have made it of one that names the source
// at the time of a snapshot.
func (h *history) pinned(name string) *appsv1.Deployment {
	d := deployment(h.namespace, h.name, name)
	d.Labels[snapshot.ObservedLabel(wellknown.ConfigMap, h.name)] = snapshot.Suffix(name)
	d.Spec.Template.Annotations = map[string]string{wellknown.Pins: "configmap/" + h.name + "=" + name}
	return d
}

func (h *history) create(ctx context.Context, d *appsv1.Deployment) error {
	_, err := h.api.AppsV1().Deployments(h.namespace).Create(ctx, d, metav1.CreateOptions{})
	return err
}

func (h *history) patch(ctx context.Context, patchType types.PatchType, patch []byte) error {
	_, err := h.api.AppsV1().Deployments(h.namespace).Patch(ctx, h.name, patchType, patch, metav1.PatchOptions{})
	return err
}

// deploy creates the workload, with some Pods, and waits until controllers leave it
// alone: whoever patches it while they write is sent through admission again.
func (h *history) deploy(t *testing.T, replicas int32) {
	t.Helper()
	d := deployment(h.namespace, h.name, h.name)
	d.Spec.Replicas = &replicas
	require.NoError(t, h.create(t.Context(), d))
	h.settle(t)
	require.Equal(t, h.current, namedIn(h.workload(t).Spec.Template))
}

// settle waits until the workload has rolled out.
func (h *history) settle(t *testing.T) {
	t.Helper()
	eventually(t, "the workload has rolled out", func() bool {
		d := h.workload(t)
		if d.Status.ObservedGeneration != d.Generation || d.Status.UpdatedReplicas != *d.Spec.Replicas || d.Status.AvailableReplicas != *d.Spec.Replicas {
			return false
		}
		for _, condition := range d.Status.Conditions {
			if condition.Type == appsv1.DeploymentProgressing {
				return condition.Reason == "NewReplicaSetAvailable"
			}
		}
		return false
	})
}

func (h *history) workload(t *testing.T) *appsv1.Deployment {
	t.Helper()
	d, err := h.api.AppsV1().Deployments(h.namespace).Get(t.Context(), h.name, metav1.GetOptions{})
	require.NoError(t, err)
	return d
}

// namedIn is the one ConfigMap that a template names.
func namedIn(template corev1.PodTemplateSpec) string {
	return template.Spec.Containers[0].EnvFrom[0].ConfigMapRef.Name
}

// snapshot reads a snapshot, or returns nil if there is none.
func (h *history) snapshot(t *testing.T, name string) *corev1.ConfigMap {
	t.Helper()
	found, err := h.api.CoreV1().ConfigMaps(h.namespace).Get(t.Context(), name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	require.NoError(t, err)
	return found
}

// marked says whether the snapshot of blue is there and marked.
func (h *history) marked(t *testing.T) bool {
	t.Helper()
	found := h.snapshot(t, h.old)
	return found != nil && found.Annotations[wellknown.UnusedSince] != ""
}

// references are the ConfigMaps that are named by what was made for the workload:
// itself, its ReplicaSets, and its Pods.
func (h *history) references(t *testing.T) map[string]string {
	t.Helper()
	options := metav1.ListOptions{LabelSelector: raceLabel + "=" + h.name}
	names := map[string]string{}
	deployments, err := h.api.AppsV1().Deployments(h.namespace).List(t.Context(), options)
	require.NoError(t, err)
	for _, d := range deployments.Items {
		names["Deployment "+d.Name] = namedIn(d.Spec.Template)
	}
	sets, err := h.api.AppsV1().ReplicaSets(h.namespace).List(t.Context(), options)
	require.NoError(t, err)
	for _, set := range sets.Items {
		names["ReplicaSet "+set.Name] = namedIn(set.Spec.Template)
	}
	pods, err := h.api.CoreV1().Pods(h.namespace).List(t.Context(), options)
	require.NoError(t, err)
	for _, pod := range pods.Items {
		names["Pod "+pod.Name] = namedIn(corev1.PodTemplateSpec{Spec: pod.Spec})
	}
	return names
}

// dangling are the references that lead to nothing, or to something else than what
// the name stands for.
func (h *history) dangling(t *testing.T) map[string]string {
	t.Helper()
	contents := map[string]map[string]string{h.old: blue, h.current: green}
	dangling := map[string]string{}
	for by, name := range h.references(t) {
		found := h.snapshot(t, name)
		if found == nil || !assert.ObjectsAreEqual(contents[name], found.Data) || found.Immutable == nil || !*found.Immutable {
			dangling[by] = name
		}
	}
	return dangling
}
