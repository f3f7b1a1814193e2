package watch

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/wellknown"
	"github.com/configpin/configpin/internal/workload"
)

// web is a Deployment that is pinned to app-1.
func web(meta metav1.ObjectMeta, annotations map[string]string) *appsv1.Deployment {
	from := corev1.EnvFromSource{ConfigMapRef: &corev1.ConfigMapEnvSource{}}
	from.ConfigMapRef.Name = "app-1"
	annotations[wellknown.Pins] = "configmap/app=app-1"
	full := &appsv1.Deployment{ObjectMeta: meta}
	full.Spec.Template.Annotations = annotations
	full.Spec.Template.Spec.Containers = []corev1.Container{{Name: "web", Args: []string{strings.Repeat("x", 1000)}, EnvFrom: []corev1.EnvFromSource{from}}}
	return full
}

func TestOfAWorkloadOnlyTargetsAreKept(t *testing.T) {
	deployment := workload.Lookup("apps", "Deployment")
	full := web(metav1.ObjectMeta{
		Namespace: "shop", Name: "web", UID: "1", ResourceVersion: "2",
		Labels:        map[string]string{"configpin.io/enabled": "true", "app": "web"},
		ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubectl"}},
	}, map[string]string{"big": strings.Repeat("x", 1000)})
	kept, err := toEntry(deployment, nil)(full)
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

func TestOfManagedFieldsOnlyIsKeptWhetherTheyAreRight(t *testing.T) {
	deployment := workload.Lookup("apps", "Deployment")
	hash := `{"f:spec":{"f:template":{"f:metadata":{"f:annotations":{"f:example.com/hash":{}}}}}}`
	applied := metav1.ManagedFieldsEntry{Manager: "gitops", Operation: metav1.ManagedFieldsOperationApply, FieldsV1: metav1.NewFieldsV1("{}")}
	for _, test := range []struct {
		name   string
		fields string
		want   bool
	}{
		{"somebody owns a name by an update", `{"f:spec":{"f:template":{"f:spec":{"f:containers":{"k:{\"name\":\"web\"}":{"f:envFrom":{}}}}}}}`, true},
		{"somebody owns something else by an update", `{"f:spec":{"f:template":{"f:spec":{"f:containers":{"k:{\"name\":\"web\"}":{"f:image":{}}}}}}}`, false},
		{"somebody owns, by an update, a hash of which the flag says so", hash, true},
	} {
		full := web(metav1.ObjectMeta{ManagedFields: []metav1.ManagedFieldsEntry{
			applied, {Manager: "kubectl", Operation: metav1.ManagedFieldsOperationUpdate, FieldsV1: metav1.NewFieldsV1(test.fields)},
		}}, map[string]string{"example.com/hash": "1"})
		kept, err := toEntry(deployment, wellknown.Hashes{"example.com/*"})(full)
		require.NoError(t, err)
		assert.Equal(t, test.want, kept.(*entry).object.Misowned, test.name)
		assert.Empty(t, kept.(*entry).object.ManagedFields, test.name)
	}
}

// TestUnlabelledAreListedAsFarAsTheyCanBe: a kind that can't be listed hides no other, and a
// namespace that can't be asked hides none.
func TestUnlabelledAreListedAsFarAsTheyCanBe(t *testing.T) {
	config := answering(func(path string) (int, string) {
		switch {
		case strings.Contains(path, "/gone/"), path == "/api/v1/namespaces/hidden":
			return http.StatusForbidden, "no"
		case path == "/api/v1/namespaces/bank", strings.HasSuffix(path, "/daemonsets"):
			return http.StatusInternalServerError, "no"
		case strings.HasSuffix(path, "/deployments"):
			return http.StatusOK, fmt.Sprintf(listed, `{"metadata":{"namespace":"shop","name":"web","labels":{"observed.configpin.io/configmap.app":"1"}}},
				{"metadata":{"namespace":"shop","name":"plain","labels":{"app":"plain"}}},
				{"metadata":{"namespace":"shop","name":"going","deletionTimestamp":"2026-01-01T00:00:00Z","labels":{"observed.configpin.io/configmap.app":"1"}}}`)
		case strings.HasPrefix(path, "/api/v1/namespaces/"):
			return http.StatusOK, `{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":{"labels":{"configpin.io/enabled":"true"}}}`
		default:
			return http.StatusOK, ""
		}
	})
	w, err := NewWorkloads(config, cluster.Scope{Namespaces: []string{"bank", "gone", "hidden", "shop"}}, nil)
	require.NoError(t, err)
	names := func(found []cluster.Workload) (names []string) {
		for _, of := range found {
			names = append(names, of.String())
		}
		return names
	}

	optedIn, unknown, err := w.OptedIn(t.Context())
	assert.ErrorContains(t, err, "reading namespace bank")
	assert.NotContains(t, err.Error(), "hidden")
	assert.Equal(t, []string{"gone", "shop"}, optedIn)
	assert.Equal(t, []string{"bank", "hidden"}, unknown)
	found, err := w.Unstamped(t.Context(), "shop")
	assert.ErrorContains(t, err, "listing daemonsets")
	assert.Equal(t, []string{"Deployment/shop/plain", "Deployment/shop/web"}, names(found))
	found, err = w.LeftPinned(t.Context(), "shop")
	assert.ErrorContains(t, err, "listing daemonsets")
	assert.Equal(t, []string{"Deployment/shop/web"}, names(found))
	found, err = w.LeftPinned(t.Context(), "gone")
	require.NoError(t, err, "nothing is served there any more")
	assert.Empty(t, found)
}
