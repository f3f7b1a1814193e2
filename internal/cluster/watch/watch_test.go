package watch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/hashing"
	"github.com/configpin/configpin/internal/pin"
	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/snapshot"
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
		full := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{ManagedFields: []metav1.ManagedFieldsEntry{
			applied, {Manager: "kubectl", Operation: metav1.ManagedFieldsOperationUpdate, FieldsV1: metav1.NewFieldsV1(test.fields)},
		}}}
		full.Spec.Template.Annotations = map[string]string{wellknown.Pins: "configmap/app=app-1", "example.com/hash": "1"}
		from := corev1.EnvFromSource{ConfigMapRef: &corev1.ConfigMapEnvSource{}}
		from.ConfigMapRef.Name = "app-1"
		full.Spec.Template.Spec.Containers = []corev1.Container{{Name: "web", EnvFrom: []corev1.EnvFromSource{from}}}
		kept, err := toEntry(deployment, wellknown.Hashes{"example.com/*"})(full)
		require.NoError(t, err)
		assert.Equal(t, test.want, kept.(*entry).object.Misowned, test.name)
		assert.Empty(t, kept.(*entry).object.ManagedFields, test.name)
	}
}

// TestInformers: what is watched is metadata of sources and
// namespaces, and workloads whose template can change. Nothing else is ever
// listed whole.
func TestInformers(t *testing.T) {
	for name, test := range map[string]struct {
		scope      cluster.Scope
		workloads  []string
		configMaps []string
		secrets    []string
		optedIn    any
	}{
		"everywhere": {
			cluster.Scope{Namespaces: cluster.Everywhere}, cluster.Everywhere, cluster.Everywhere, nil, watchedNamespaces{},
		},
		"everywhere, with Secrets": {
			cluster.Scope{Namespaces: cluster.Everywhere, Secrets: cluster.Everywhere}, cluster.Everywhere, cluster.Everywhere, cluster.Everywhere, watchedNamespaces{},
		},
		"everywhere, with Secrets of some": {
			cluster.Scope{Namespaces: cluster.Everywhere, Secrets: []string{"bank", "shop"}}, cluster.Everywhere, cluster.Everywhere, []string{"bank", "shop"}, watchedNamespaces{},
		},
		"some": {
			cluster.Scope{Namespaces: []string{"bank", "shop"}, Secrets: []string{"shop"}}, []string{"bank", "shop"}, []string{"bank", "shop"}, []string{"shop"}, askedNamespaces{},
		},
	} {
		t.Run(name, func(t *testing.T) {
			config := &rest.Config{Host: "localhost"}
			workloads, err := NewWorkloads(config, test.scope, nil)
			require.NoError(t, err)
			var watched []string
			for kind, watches := range workloads.informers {
				watched = append(watched, kind.Resource)
				assert.Equal(t, test.workloads, slices.Sorted(maps.Keys(watches)))
			}
			assert.ElementsMatch(t, []string{"deployments", "statefulsets", "daemonsets", "cronjobs"}, watched)
			assert.IsType(t, test.optedIn, workloads.optedIn)

			sources, err := NewSources(config, test.scope, nil)
			require.NoError(t, err)
			assert.Equal(t, test.configMaps, slices.Sorted(maps.Keys(sources.informers[wellknown.ConfigMap])))
			assert.Equal(t, test.secrets, slices.Sorted(maps.Keys(sources.informers[wellknown.Secret])))
		})
	}
}

// TestFactsOfSecrets: what was made with another key is known once it was read.
func TestFactsOfSecrets(t *testing.T) {
	lost, present := testKey(t, 1), testKey(t, 2)
	now := present
	s, err := NewSources(&rest.Config{Host: "localhost"}, cluster.Scope{Namespaces: cluster.Everywhere, Secrets: cluster.Everywhere}, func() *hashing.Key { return now })
	require.NoError(t, err)
	source := snapshot.Object{
		Kind: wellknown.Secret, Namespace: "shop", Name: "db", Type: "Opaque", Key: present,
		Annotations: map[string]string{wellknown.Versioned: "true"}, Data: map[string]string{"password": "hunter2"},
	}
	old := source
	old.Key = lost
	made := snapshot.Of(old, 12)
	made.UID, made.Key = "old", present
	key := func(name string) cluster.Key {
		return cluster.Key{Namespace: "shop", Target: refs.Target{Kind: wellknown.Secret, Name: name}}
	}
	store := s.informers[wellknown.Secret].of("shop").GetStore()
	require.NoError(t, store.Add(&metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
		Namespace: "shop", Name: made.Name, UID: "old", Labels: made.Labels, Annotations: made.Annotations,
	}}))

	fact, ready := s.fact(key(made.Name))
	assert.True(t, ready, "without its source it is compared with nothing")
	assert.Equal(t, pin.Snapshot, fact.Role)

	require.NoError(t, store.Add(&metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
		Namespace: "shop", Name: "db", UID: "1", Annotations: source.Annotations,
	}}))
	_, ready = s.fact(key(made.Name))
	assert.False(t, ready)
	s.SetCurrent(key("db"), Current{Name: snapshot.Of(source, 12).Name, Digest: source.Digest("db").String()})
	web, err := workload.Lookup("apps", "Deployment").Read(fmt.Sprintf(`{"metadata": {"name": "web", "namespace": "shop", "labels": {
		"configpin.io/enabled": "true", "observed.configpin.io/secret.db": %q}}, "spec": {"template": {
		"metadata": {"annotations": {"configpin.io/pins": "secret/db=%s"}},
		"spec": {"volumes": [{"secret": {"secretName": %q}}]}}}}`, snapshot.Suffix(made.Name), made.Name, made.Name))
	require.NoError(t, err)
	touch := pin.NewCase(pin.Request{New: web, Old: &web})
	unknown := s.Tell("shop", touch)
	assert.Equal(t, map[refs.Target]bool{key("db").Target: true}, unknown, "it may be what the snapshot holds")
	assert.Empty(t, touch.Decide().Patch)
	s.SetRead(made)
	touch = pin.NewCase(touch.Request())
	unknown = s.Tell("shop", touch)
	assert.Empty(t, unknown)
	assert.Empty(t, touch.Decide().Patch, "it is")
	fact, ready = s.fact(key(made.Name))
	assert.True(t, ready)
	assert.Equal(t, pin.Fact{Role: pin.Snapshot, Of: "db", Digest: source.Digest("db").String()}, fact)

	forged := made
	forged.UID, forged.Immutable = "old", false
	s.SetRead(forged)
	fact, ready = s.fact(key(made.Name))
	assert.True(t, ready)
	assert.Equal(t, pin.Plain, fact.Role, "as admission sees it")
	s.SetRead(made)

	s.SetCurrent(key("db"), Current{Name: snapshot.Of(source, 12).Name, Digest: source.Digest("db").String()})
	for suffix, holds := range map[string]bool{"": true, snapshot.Suffix(made.Name): true, source.Digest("db").String()[:12]: true, "0123456789ab": false} {
		assert.Equal(t, holds, s.Holds(key("db"), suffix), suffix)
	}
	assert.False(t, s.Holds(key("other"), ""))

	now = testKey(t, 3)
	_, ready = s.fact(key(made.Name))
	assert.False(t, ready, "it was read with a key that is lost by now, too")
	s.SetCurrent(key("db"), Current{Name: "db-x", Digest: "x"})
	s.ForgetDigests()
	_, ready = s.fact(key("db"))
	assert.False(t, ready)
}

// TestAWatchThatIsRefused: one of several namespaces lets nobody wait, and what is
// there isn't served.
func TestAWatchThatIsRefused(t *testing.T) {
	var refused atomic.Int64
	refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if strings.Contains(request.URL.Path, "/namespaces/bank/") {
			refused.Add(1)
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte(`{"kind":"Status","apiVersion":"v1","status":"Failure","message":"not in bank","reason":"Forbidden","code":403}`))
			return
		}
		_, _ = w.Write([]byte(`{"kind":"PartialObjectMetadataList","apiVersion":"meta.k8s.io/v1","metadata":{"resourceVersion":"1"},"items":[]}`))
	}))
	t.Cleanup(refusing.Close)
	s, err := NewSources(&rest.Config{Host: refusing.URL}, cluster.Scope{Namespaces: []string{"bank", "shop"}}, nil)
	require.NoError(t, err)
	var said atomic.Int64
	log := funcr.New(func(_, line string) {
		if strings.Contains(line, "Failed to watch") && strings.Contains(line, "bank") {
			said.Add(1)
		}
	}, funcr.Options{})
	ctx, stop := context.WithCancel(logr.NewContext(t.Context(), log))
	ended := make(chan error)
	go func() { ended <- s.Start(ctx) }()
	require.NoError(t, WaitSynced(ctx, s.Synced))
	for namespace, want := range map[string]pin.Fact{"bank": {Role: pin.Unserved, Hidden: true}, "shop": {Role: pin.Absent}} {
		fact, ready := s.fact(cluster.Key{Namespace: namespace, Target: refs.Target{Kind: wellknown.ConfigMap, Name: "app"}})
		assert.True(t, ready, namespace)
		assert.Equal(t, want, fact, namespace)
	}
	const tries = 2 * 3 // of each a watch, and a list
	require.NoError(t, WaitSynced(ctx, func() bool { return refused.Load() >= tries }))
	assert.EqualValues(t, 1, said.Load(), "that it is refused is said once")
	stop()
	require.NoError(t, <-ended)
}

// TestWhatIsWaitedForIsTold: by the name that people know, and with the words of whoever
// is in the way.
func TestWhatIsWaitedForIsTold(t *testing.T) {
	var open atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if request.URL.Path == "/api/v1/configmaps" && !open.Load() {
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte(`{"kind":"Status","apiVersion":"v1","status":"Failure","message":"no","reason":"Forbidden","code":403}`))
			return
		}
		_, _ = w.Write([]byte(`{"kind":"PartialObjectMetadataList","apiVersion":"meta.k8s.io/v1","metadata":{"resourceVersion":"1"},"items":[]}`))
	}))
	t.Cleanup(server.Close)
	scope := cluster.Scope{Namespaces: cluster.Everywhere, Secrets: []string{"bank", "shop"}}
	key := testKey(t, 1)
	s, err := NewSources(&rest.Config{Host: server.URL}, scope, func() *hashing.Key { return key })
	require.NoError(t, err)
	assert.Equal(t, []string{"configmaps", "secrets of namespace bank", "secrets of namespace shop"}, s.Waiting())
	w, err := NewWorkloads(&rest.Config{Host: server.URL}, scope, nil)
	require.NoError(t, err)
	assert.Equal(t, []string{"cronjobs", "daemonsets", "deployments", "namespaces", "statefulsets"}, w.Waiting())

	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- s.Start(ctx) }()
	told := []string{"configmaps (no)"}
	require.NoError(t, WaitSynced(ctx, func() bool { return slices.Equal(s.Waiting(), told) }))
	assert.False(t, s.Synced())
	open.Store(true)
	require.NoError(t, WaitSynced(ctx, s.Synced))
	assert.Empty(t, s.Waiting())
	stop()
	require.NoError(t, <-ended)
}

func TestPlainly(t *testing.T) {
	refused := apierrors.NewForbidden(appsv1.Resource("deployments"), "", errors.New("no"))
	for want, err := range map[string]error{
		"deployments.apps is forbidden: no": fmt.Errorf("failed to list *v1.Deployment: %w", refused),
		"connection refused":                fmt.Errorf("failed to list *v1.Deployment: %w", errors.New("connection refused")),
		"nothing else":                      errors.New("nothing else"),
	} {
		assert.Equal(t, want, plainly(err))
	}
}

func testKey(t *testing.T, fill byte) *hashing.Key {
	t.Helper()
	key, err := hashing.NewKey(bytes.Repeat([]byte{fill}, hashing.KeySize))
	require.NoError(t, err)
	return key
}
