package oracle

import (
	"bytes"
	"encoding/base64"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/configpin/configpin/internal/wellknown"
)

// A history is told in objects, as the API server stores them, so that what makes
// facts of them is told with it.

const space = "shop"

// began is when everything was created; requests come ten minutes later.
var began = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

type change func(*unstructured.Unstructured)

// stored is an object of this history. Its UID is its kind and name, so that what
// is stored again is the same object, unless a change says otherwise.
func stored(revision uint64, kind, name string, content map[string]any, changes ...change) Fact {
	object := &unstructured.Unstructured{Object: maps.Clone(content)}
	if object.Object == nil {
		object.Object = map[string]any{}
	}
	object.SetKind(kind)
	object.SetNamespace(space)
	object.SetName(name)
	object.SetUID(uidOf(kind, name))
	object.SetCreationTimestamp(metav1.NewTime(began))
	for _, c := range changes {
		c(object)
	}
	f := testKeys.reduce(object)
	f.Revision, f.Seen = revision, began.Add(time.Duration(revision)*time.Second)
	return f
}

// unused marks a snapshot after a minute.
var unused = annotation(wellknown.UnusedSince, began.Add(time.Minute).Format(time.RFC3339))

func uidOf(kind, name string) types.UID { return types.UID("uid of " + key(kind, name)) }

func label(key, value string) change {
	return func(object *unstructured.Unstructured) {
		labels := object.GetLabels()
		if labels == nil {
			labels = map[string]string{}
		}
		labels[key] = value
		object.SetLabels(labels)
	}
}

func annotation(key, value string) change {
	return func(object *unstructured.Unstructured) {
		annotations := object.GetAnnotations()
		if annotations == nil {
			annotations = map[string]string{}
		}
		annotations[key] = value
		object.SetAnnotations(annotations)
	}
}

func uid(value string) change {
	return func(object *unstructured.Unstructured) { object.SetUID(types.UID(value)) }
}

func mutable(object *unstructured.Unstructured) {
	unstructured.RemoveNestedField(object.Object, "immutable")
}

func holding(colour string) map[string]any {
	return map[string]any{"data": map[string]any{"colour": colour}}
}

// snapshotName is how the snapshot of a content of app is called.
func snapshotName(colour string) string { return "app-" + digestOfColour(colour)[:12] }

func digestOfColour(colour string) string {
	return content{kind: configMap, data: map[string]string{"colour": colour}}.digest("app", nil)
}

// source is app, holding a colour.
func source(revision uint64, colour string, changes ...change) Fact {
	return stored(revision, configMap, "app", holding(colour), append([]change{annotation(wellknown.Versioned, "true")}, changes...)...)
}

// kept is the snapshot of a content of app, and its highest revision but for what
// a change says.
func kept(revision uint64, colour string, changes ...change) Fact {
	return keptAs(revision, snapshotName(colour), colour, changes...)
}

func keptAs(revision uint64, name, colour string, changes ...change) Fact {
	content := holding(colour)
	content["immutable"] = true
	return stored(revision, configMap, name, content, append([]change{
		label(wellknown.SnapshotOf, "app"),
		annotation(wellknown.Source, "app"),
		annotation(wellknown.Digest, digestOfColour(colour)),
		annotation(wellknown.Revision, "1"),
	}, changes...)...)
}

// The keys of Secrets' digests.
var (
	keyA, keyB = bytes.Repeat([]byte("a"), 32), bytes.Repeat([]byte("b"), 32)
	testKeys   = keys{keyID(keyA): keyA, keyID(keyB): keyB}
)

func holdingPassword(password string) map[string]any {
	return map[string]any{"type": "Opaque", "data": map[string]any{"password": base64.StdEncoding.EncodeToString([]byte(password))}}
}

func secretDigest(password string, key []byte) string {
	return content{kind: secret, secretType: "Opaque", data: map[string]string{"password": password}}.digest("db", key)
}

func secretName(password string, key []byte) string { return "db-" + secretDigest(password, key)[:12] }

// keptSecret is the snapshot of a content of db.
func keptSecret(revision uint64, password string, key []byte, changes ...change) Fact {
	return keptSecretAs(revision, secretName(password, key), password, key, changes...)
}

func keptSecretAs(revision uint64, name, password string, key []byte, changes ...change) Fact {
	content := holdingPassword(password)
	content["immutable"] = true
	return stored(revision, secret, name, content, append([]change{
		label(wellknown.SnapshotOf, "db"),
		annotation(wellknown.Source, "db"),
		annotation(wellknown.Digest, secretDigest(password, key)),
		annotation(wellknown.DigestKey, keyID(key)),
		annotation(wellknown.Revision, "1"),
	}, changes...)...)
}

// secretive is a workload that is pinned to what the Secret db holds, by the first
// key.
func secretive(kept ...Fact) []Fact {
	name := secretName("hunter2", keyA)
	return append([]Fact{
		namespace(1),
		stored(2, secret, "db", holdingPassword("hunter2"), annotation(wellknown.Versioned, "true")),
		deployment(4, map[string]any{
			"metadata": map[string]any{"annotations": map[string]any{wellknown.Pins: "secret/db=" + name}},
			"spec":     map[string]any{"volumes": []any{map[string]any{"secret": map[string]any{"secretName": name}}}},
		}, label("observed.configpin.io/secret.db", strings.TrimPrefix(name, "db-"))),
	}, kept...)
}

func deleted(revision uint64, f Fact) Fact {
	f.Revision, f.Gone = revision, true
	return f
}

// template names ConfigMaps; those that aren't app are its pins.
func template(names ...string) map[string]any {
	var from []any
	annotations := map[string]any{}
	for _, name := range names {
		from = append(from, map[string]any{"configMapRef": map[string]any{"name": name}})
		if name != "app" {
			annotations[wellknown.Pins] = "configmap/app=" + name
		}
	}
	return map[string]any{
		"metadata": map[string]any{"annotations": annotations},
		"spec":     map[string]any{"containers": []any{map[string]any{"name": "app", "envFrom": from}}},
	}
}

// workload is one called web that is opted in.
func workload(revision uint64, kind string, template map[string]any, changes ...change) Fact {
	content := map[string]any{"spec": map[string]any{"template": template}}
	return stored(revision, kind, "web", content, append([]change{label(wellknown.Enabled, "true")}, changes...)...)
}

func deployment(revision uint64, template map[string]any, changes ...change) Fact {
	return workload(revision, "Deployment", template, changes...)
}

func replicaSet(revision uint64, name string, template map[string]any, changes ...change) Fact {
	yes := true
	owned := func(object *unstructured.Unstructured) {
		object.SetOwnerReferences([]metav1.OwnerReference{{Kind: "Deployment", Name: "web", UID: uidOf("Deployment", "web"), Controller: &yes}})
	}
	return stored(revision, "ReplicaSet", name, map[string]any{"spec": map[string]any{"template": template}}, append([]change{owned}, changes...)...)
}

// revisionOf is a ControllerRevision of a workload called web.
func revisionOf(revision uint64, kind, name string) Fact {
	yes := true
	return stored(revision, "ControllerRevision", name, nil, func(object *unstructured.Unstructured) {
		object.SetOwnerReferences([]metav1.OwnerReference{{Kind: kind, Name: "web", UID: uidOf(kind, "web"), Controller: &yes}})
	})
}

func nobodys(object *unstructured.Unstructured) { object.SetOwnerReferences(nil) }

func namespace(revision uint64, changes ...change) Fact {
	return stored(revision, "Namespace", space, nil, changes...)
}

func terminating(object *unstructured.Unstructured) {
	now := metav1.NewTime(began)
	object.SetDeletionTimestamp(&now)
}

func eventOf(revision uint64, note, regarding string) Fact {
	return stored(revision, "Event", "web.1", map[string]any{
		"reportingController": "configpin",
		"reason":              wellknown.ReasonPinned,
		"note":                note,
		"regarding":           map[string]any{"namespace": regarding},
	})
}

// asked is a request that succeeded. What our programs patch, they touch.
func asked(user, verb, resource, name string) Entry {
	e := Entry{At: began.Add(10 * time.Minute), User: user, Verb: verb, Resource: resource, Namespace: space, Name: name, Code: 200, Told: true}
	if e.ours() && verb == "patch" {
		e.Sent = emptyPatch
	}
	return e
}

func refused(message string) Entry {
	e := asked(person, "patch", "deployments", "web")
	e.Code, e.Message = 403, message
	return e
}

const person = "jane"

func TestReplayStopsWhereTheNamespaceEnds(t *testing.T) {
	t.Parallel()
	r := prepare(History{Namespace: space, Audited: true, Facts: []Fact{
		deleted(9, source(1, "blue")), namespace(5, terminating), source(2, "blue"), namespace(1),
	}})
	require.Len(t, r.Facts, 2)
	w := r.replay(nil)
	_, there := w.at("configmap/app")
	require.True(t, there)
}

func TestReplayIsInOrderOfRevisions(t *testing.T) {
	t.Parallel()
	again := source(7, "green", uid("another"))
	r := prepare(History{Facts: []Fact{again, deleted(5, source(1, "blue")), source(1, "blue")}})
	w := r.replay(nil)
	now, there := w.at("configmap/app")
	require.True(t, there)
	require.Equal(t, "another", now.UID)
}
