package watch

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	metadatafake "k8s.io/client-go/metadata/fake"
	"k8s.io/client-go/rest"
	clienttesting "k8s.io/client-go/testing"
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

// TestFactsOfWhatIsNotKnownYet: it is decided about the sources that are known. The other
// one stays as it is: held or not, and whatever it may hold.
func TestFactsOfWhatIsNotKnownYet(t *testing.T) {
	s, err := NewSources(&rest.Config{Host: "localhost"}, cluster.Scope{Namespaces: cluster.Everywhere}, nil)
	require.NoError(t, err)
	store := s.seeing(wellknown.ConfigMap, "shop").GetStore()
	target := func(name string) refs.Target { return refs.Target{Kind: wellknown.ConfigMap, Name: name} }
	kept := func(source, content string) snapshot.Object {
		object := snapshot.Object{Kind: wellknown.ConfigMap, Namespace: "shop", Name: source, Data: map[string]string{"colour": content}}
		made := snapshot.Of(object, snapshot.Lengths[0])
		require.NoError(t, store.Add(&metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: source, UID: "1", Annotations: map[string]string{wellknown.Versioned: wellknown.True},
		}}))
		require.NoError(t, store.Add(&metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: made.Name, UID: "2", Labels: made.Labels, Annotations: made.Annotations,
		}}))
		return made
	}
	known, unread, green := kept("known", "blue"), kept("unread", "blue"), kept("known", "green")
	s.SetCurrent(cluster.Key{Namespace: "shop", Target: target("known")}, Current{Name: green.Name, Digest: green.Annotations[wellknown.Digest]})

	for name, offered := range map[string]string{"it may be behind": snapshot.Suffix(unread.Name), "it may be held": "0123456789ab"} {
		t.Run(name, func(t *testing.T) {
			web, err := workload.Lookup("apps", "Deployment").Read(fmt.Sprintf(`{"metadata": {"name": "web", "namespace": "shop", "labels": {
				"configpin.io/enabled": "true", "observed.configpin.io/configmap.known": %q, "observed.configpin.io/configmap.unread": %q}}, "spec": {"template": {
				"metadata": {"annotations": {"configpin.io/pins": "configmap/known=%s,configmap/unread=%s"}},
				"spec": {"volumes": [{"configMap": {"name": %q}}, {"configMap": {"name": %q}}]}}}}`,
				snapshot.Suffix(known.Name), offered, known.Name, unread.Name, known.Name, unread.Name))
			require.NoError(t, err)
			touch := pin.NewCase(pin.Request{New: web, Old: &web})
			unknown := s.Tell("shop", touch)
			assert.Equal(t, map[refs.Target]bool{target("unread"): true}, unknown)
			decision := touch.Decide()
			named := map[string]string{}
			for _, outcome := range decision.Outcomes {
				named[outcome.Source.Name] = outcome.Name
				if outcome.Source == target("unread") {
					assert.Equal(t, offered, outcome.Observed)
					assert.False(t, outcome.Held)
				}
			}
			assert.Equal(t, map[string]string{"known": green.Name, "unread": unread.Name}, named)

			s.SetCurrent(cluster.Key{Namespace: "shop", Target: target("known")}, Current{Name: known.Name, Digest: known.Annotations[wellknown.Digest]})
			defer s.SetCurrent(cluster.Key{Namespace: "shop", Target: target("known")}, Current{Name: green.Name, Digest: green.Annotations[wellknown.Digest]})
			touch = pin.NewCase(touch.Request())
			s.Tell("shop", touch)
			assert.Empty(t, touch.Decide().Patch, "what isn't known makes nothing behind")
		})
	}
}

// pinnedTo is a workload that is pinned to a snapshot of the Secret db, and was offered it.
func pinnedTo(t *testing.T, name string) workload.Object {
	t.Helper()
	object, err := workload.Lookup("apps", "Deployment").Read(fmt.Sprintf(`{"metadata": {"name": "web", "namespace": "shop", "labels": {
		"configpin.io/enabled": "true", "observed.configpin.io/secret.db": %q}}, "spec": {"template": {
		"metadata": {"annotations": {"configpin.io/pins": "secret/db=%s"}},
		"spec": {"volumes": [{"secret": {"secretName": %q}}]}}}}`, snapshot.Suffix(name), name, name))
	require.NoError(t, err)
	return object
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
	store := s.seeing(wellknown.Secret, "shop").GetStore()
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
	web := pinnedTo(t, made.Name)
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

// TestExists: an answer, or none. What can't be told is no "no", and what nothing can be
// called isn't asked for.
func TestExists(t *testing.T) {
	scheme := metadatafake.NewTestScheme()
	require.NoError(t, metav1.AddMetaToScheme(scheme))
	client := metadatafake.NewSimpleMetadataClient(scheme, &metav1.PartialObjectMetadata{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "app"},
	})
	s := &Sources{client: client}
	key := func(name string) cluster.Key {
		return cluster.Key{Namespace: "shop", Target: refs.Target{Kind: wellknown.ConfigMap, Name: name}}
	}
	for name, want := range map[string]bool{"app": true, "other": false, "": false, "..": false, "a/b": false} {
		exists, err := s.Exists(t.Context(), key(name))
		require.NoError(t, err)
		assert.Equal(t, want, exists, name)
	}
	client.PrependReactor("get", "*", func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, errors.New("trouble") })
	_, err := s.Exists(t.Context(), key("app"))
	assert.EqualError(t, err, "reading configmap/shop/app: trouble")
	for _, name := range []string{"", "..", "../../other/configmaps/app"} {
		exists, err := s.Exists(t.Context(), key(name))
		require.NoError(t, err, "it isn't asked for")
		assert.False(t, exists)
	}
}

func testKey(t *testing.T, fill byte) *hashing.Key {
	t.Helper()
	key, err := hashing.NewKey(bytes.Repeat([]byte{fill}, hashing.KeySize))
	require.NoError(t, err)
	return key
}
