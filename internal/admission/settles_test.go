package admission_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"pgregory.net/rapid"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/configpin/configpin/internal/admission"
	"github.com/configpin/configpin/internal/ownership"
	"github.com/configpin/configpin/internal/wellknown"
	"github.com/configpin/configpin/internal/workload"
)

// everyForm refers to app in each way, and to what isn't pinned.
const everyForm = `{"metadata": {"name": "web", "namespace": "shop", "labels": {"configpin.io/enabled": "%s"}}, "spec": {"template": {
	"metadata": {"annotations": {"checksum/config": "1", "example.com/other": "1"}},
	"spec": {
		"initContainers": [{"name": "web", "envFrom": [{"configMapRef": {"name": "app"}}]}],
		"containers": [
			{"name": "web", "image": "example.com/app:1", "envFrom": [{"configMapRef": {"name": "app"}}, {"configMapRef": {"name": "plain"}}], "env": [
				{"name": "COLOUR", "valueFrom": {"configMapKeyRef": {"name": "app", "key": "colour"}}},
				{"name": "PLAIN", "valueFrom": {"configMapKeyRef": {"name": "plain", "key": "colour"}}}]},
			{"name": "plain", "envFrom": [{"configMapRef": {"name": "plain"}}]}],
		"volumes": [
			{"name": "a", "configMap": {"name": "app"}},
			{"name": "b", "projected": {"sources": [{"configMap": {"name": "app"}}]}},
			{"name": "c", "configMap": {"name": "plain"}}]}}}}`

// ownable are fields of that which somebody may own, and notes.
var ownable = func() []fieldpath.Path {
	name := func(name string) any { return fieldpath.KeyByFields("name", name) }
	var all []fieldpath.Path
	for _, parts := range [][]any{
		{"metadata", "annotations", wellknown.Pins},
		{"metadata", "annotations", "checksum/config"},
		{"metadata", "annotations", "example.com/other"},
		{"metadata", "annotations", wellknown.NotePrefix + "containers.web.envFrom"},
		{"metadata", "annotations", wellknown.NotePrefix + "volumes.b.projected"},
		{"metadata", "annotations", wellknown.NotePrefix + "containers.gone.envFrom"},
		{"metadata", "annotations", wellknown.NotePrefix + "annotations.checksum/config"},
		{"spec", "initContainers", name("web"), "envFrom"},
		{"spec", "containers", name("web")},
		{"spec", "containers", name("web"), "image"},
		{"spec", "containers", name("web"), "envFrom"},
		{"spec", "containers", name("web"), "env", name("COLOUR"), "valueFrom", "configMapKeyRef"},
		{"spec", "containers", name("web"), "env", name("PLAIN"), "valueFrom", "configMapKeyRef"},
		{"spec", "containers", name("plain"), "envFrom"},
		{"spec", "volumes", name("a"), "configMap", "name"},
		{"spec", "volumes", name("a"), "configMap", "defaultMode"},
		{"spec", "volumes", name("b"), "projected", "sources"},
		{"spec", "volumes", name("c"), "configMap", "name"},
	} {
		all = append(all, fieldpath.MakePathOrDie(append([]any{"spec", "template"}, parts...)...))
	}
	return all
}()

// TestATouchSettlesWhoOwnsNames: whoever owns what of a workload, once it was written it
// isn't amiss, so that nobody has to touch it again, and a second touch changes nothing.
// Who applied something still owns it.
func TestATouchSettlesWhoOwnsNames(t *testing.T) {
	mux := shop(1).Mux()
	kind := workload.Lookup("apps", "Deployment")
	created := post(t, mux, admission.PathWorkload, reviewed(fmt.Sprintf(everyForm, "true"), ""))
	pinned := patchedBy(t, fmt.Sprintf(everyForm, "true"), created)
	rapid.Check(t, func(rt *rapid.T) {
		entries := rapid.SliceOfN(rapid.Custom(drawEntry), 0, 4).Draw(rt, "entries")
		for i := range entries {
			entries[i].Manager = fmt.Sprint("manager-", i)
		}
		object := withEntries(t, pinned, entries)
		if rapid.Bool().Draw(rt, "opted out") {
			object = strings.Replace(object, `"configpin.io/enabled":"true"`, `"configpin.io/enabled":"false"`, 1)
		}
		response := post(t, mux, admission.PathWorkload, reviewed(object, object))
		after := patchedBy(t, object, response)
		stored, err := kind.Read(after)
		require.NoError(rt, err)
		require.False(rt, ownership.Amiss(stored, ownership.Entries(stored.ManagedFields), nil), after)
		again := post(t, mux, admission.PathWorkload, reviewed(after, after))
		require.Empty(rt, string(again.Patch))
		var left []metav1.ManagedFieldsEntry
		if stored.ManagedFields != "" {
			require.NoError(rt, json.Unmarshal([]byte(stored.ManagedFields), &left))
		}
		for _, entry := range entries {
			if entry.Operation == metav1.ManagedFieldsOperationApply {
				requireStillOwned(rt, entry, left)
			}
		}
	})
}

func drawEntry(t *rapid.T) metav1.ManagedFieldsEntry {
	operation := rapid.SampledFrom([]metav1.ManagedFieldsOperationType{"Apply", "Update"}).Draw(t, "operation")
	fields := fieldpath.NewSet(rapid.SliceOfN(rapid.SampledFrom(ownable), 1, 6).Draw(t, "fields")...)
	raw, err := fields.ToJSON()
	if err != nil {
		panic(err)
	}
	return metav1.ManagedFieldsEntry{
		Operation: operation, Subresource: rapid.SampledFrom([]string{"", "", "status"}).Draw(t, "subresource"),
		FieldsType: "FieldsV1", FieldsV1: metav1.NewFieldsV1(string(raw)),
	}
}

func requireStillOwned(t require.TestingT, was metav1.ManagedFieldsEntry, left []metav1.ManagedFieldsEntry) {
	for _, entry := range left {
		if entry.Manager != was.Manager {
			continue
		}
		before, after := &fieldpath.Set{}, &fieldpath.Set{}
		require.NoError(t, before.FromJSON(bytes.NewReader(was.FieldsV1.GetRawBytes())))
		require.NoError(t, after.FromJSON(bytes.NewReader(entry.FieldsV1.GetRawBytes())))
		before.Difference(after).Iterate(func(path fieldpath.Path) {
			require.Contains(t, path.String(), wellknown.NotePrefix, "%s lost it", was.Manager)
		})
		return
	}
	require.NotContains(t, was.FieldsV1.GetRawString(), "f:spec\":{\"f:template\":{\"f:spec", "%s lost everything", was.Manager)
}

func withEntries(t *testing.T, object string, entries []metav1.ManagedFieldsEntry) string {
	t.Helper()
	var content map[string]any
	require.NoError(t, json.Unmarshal([]byte(object), &content))
	content["metadata"].(map[string]any)["managedFields"] = entries
	text, err := json.Marshal(content)
	require.NoError(t, err)
	return string(text)
}

func reviewed(object, old string) admissionv1.AdmissionRequest {
	request := admissionv1.AdmissionRequest{
		UID: "1", Namespace: "shop", Operation: admissionv1.Create,
		Kind:   metav1.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"},
		Object: runtime.RawExtension{Raw: []byte(object)},
	}
	if old != "" {
		request.Operation, request.OldObject = admissionv1.Update, runtime.RawExtension{Raw: []byte(old)}
	}
	return request
}

func patchedBy(t *testing.T, object string, response *admissionv1.AdmissionResponse) string {
	t.Helper()
	if response.Patch == nil {
		return object
	}
	patch, err := jsonpatch.DecodePatch(response.Patch)
	require.NoError(t, err)
	after, err := patch.Apply([]byte(object))
	require.NoError(t, err)
	return string(after)
}
