package cluster

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/wellknown"
	"github.com/configpin/configpin/internal/workload"
)

func TestOfMetadataOnlyOurOwnIsKept(t *testing.T) {
	kept, err := onlyOurs(&metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
		Namespace: "shop", Name: "app", UID: "1", ResourceVersion: "2",
		Labels: map[string]string{wellknown.SnapshotOf: "app", "app": "shop"},
		Annotations: map[string]string{
			wellknown.Versioned: "true",
			"kubectl.kubernetes.io/last-applied-configuration": strings.Repeat("x", 1<<20),
		},
		ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubectl"}},
	}})
	require.NoError(t, err)
	assert.Equal(t, &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
		Namespace: "shop", Name: "app", UID: "1", ResourceVersion: "2",
		Labels:      map[string]string{wellknown.SnapshotOf: "app"},
		Annotations: map[string]string{wellknown.Versioned: "true"},
	}}, kept)

	tombstone := cache.DeletedFinalStateUnknown{Key: "shop/app"}
	kept, err = onlyOurs(tombstone)
	require.NoError(t, err)
	assert.Equal(t, tombstone, kept)
}

func TestOfAWorkloadOnlyTargetsAreKept(t *testing.T) {
	deployment := workload.Lookup("apps", "Deployment")
	full := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{
		Namespace: "shop", Name: "web", UID: "1", ResourceVersion: "2",
		Labels:        map[string]string{"configpin.io/enabled": "true", "app": "web"},
		ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubectl"}},
	}}
	full.Spec.Template.Annotations = map[string]string{wellknown.Pins: "configmap/app=app-1", "big": strings.Repeat("x", 1000)}
	from := corev1.EnvFromSource{ConfigMapRef: &corev1.ConfigMapEnvSource{}}
	from.ConfigMapRef.Name = "app-1"
	full.Spec.Template.Spec.Containers = []corev1.Container{{Name: "web", Args: []string{strings.Repeat("x", 1000)}, EnvFrom: []corev1.EnvFromSource{from}}}
	kept, err := toEntry(deployment)(full)
	require.NoError(t, err)
	e := kept.(*entry)
	assert.Equal(t, "web", e.Name)
	assert.Equal(t, workload.Object{
		Kind: deployment, Namespace: "shop", Name: "web",
		Labels:    map[string]string{"configpin.io/enabled": "true"},
		HasLabels: true,
		Template: workload.Template{
			Metadata:    "{}",
			Spec:        `{"volumes":[{"configMap":{"name":"app-1"}}]}`,
			Annotations: map[string]string{wellknown.Pins: "configmap/app=app-1"},
		},
	}, e.object)
	keys, err := sourcesOf(e)
	require.NoError(t, err)
	assert.Equal(t, []string{"configmap/shop/app-1", "configmap/shop/app"}, keys)
}

// TestInformers: what is watched is metadata of sources and
// namespaces, and workloads whose template can change. Nothing else is ever
// listed whole.
func TestInformers(t *testing.T) {
	config := &rest.Config{Host: "localhost"}
	workloads, err := NewWorkloads(config)
	require.NoError(t, err)
	var watched []string
	for kind := range workloads.informers {
		watched = append(watched, kind.Resource)
	}
	assert.ElementsMatch(t, []string{"deployments", "statefulsets", "daemonsets", "cronjobs"}, watched)

	sources, err := NewSources(config)
	require.NoError(t, err)
	assert.Len(t, sources.informers, 1)
	assert.Contains(t, sources.informers, wellknown.ConfigMap)
	assert.NotContains(t, sources.informers, wellknown.Secret)
}

func TestControlled(t *testing.T) {
	yes := true
	for kind, want := range map[string]bool{"CronJob": true, "Shop": false} {
		m := &metav1.PartialObjectMetadata{}
		m.OwnerReferences = []metav1.OwnerReference{{APIVersion: "batch/v1", Kind: kind, Controller: &yes}}
		assert.Equal(t, want, controlled(m), kind)
	}
	assert.False(t, controlled(&metav1.PartialObjectMetadata{}))
}

func TestKeyString(t *testing.T) {
	key := Key{Namespace: "shop", Target: refs.Target{Kind: wellknown.ConfigMap, Name: "app"}}
	assert.Equal(t, "configmap/shop/app", key.String())
}
