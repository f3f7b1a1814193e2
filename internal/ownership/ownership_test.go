package ownership_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/configpin/configpin/internal/ownership"
	"github.com/configpin/configpin/internal/wellknown"
	"github.com/configpin/configpin/internal/workload"
)

// web names app-1, which is pinned, in each form, and plain, which isn't.
const web = `{
	"metadata": {"name": "web"%s},
	"spec": {"template": {
		"metadata": {"annotations": {"configpin.io/pins": "configmap/app=app-1,secret/db=db-1", "checksum/config": "1", "example.com/hash": "1", "example.com/other": "1"}},
		"spec": {
			"containers": [
				{"name": "web", "envFrom": [{"configMapRef": {"name": "app-1"}}], "env": [
					{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "app-1", "key": "a"}}},
					{"name": "B", "valueFrom": {"secretKeyRef": {"name": "db-1", "key": "b"}}},
					{"name": "C", "valueFrom": {"configMapKeyRef": {"name": "plain", "key": "c"}}}
				]},
				{"name": "other", "envFrom": [{"configMapRef": {"name": "plain"}}]}
			],
			"initContainers": [{"name": "init", "envFrom": [{"secretRef": {"name": "db-1"}}]}],
			"ephemeralContainers": [{"name": "debug", "envFrom": [{"configMapRef": {"name": "app-1"}}]}],
			"volumes": [
				{"name": "a", "configMap": {"name": "app-1"}},
				{"name": "b", "secret": {"secretName": "db-1"}},
				{"name": "c", "projected": {"sources": [{"configMap": {"name": "plain"}}, {"secret": {"name": "db-1"}}]}},
				{"name": "d", "configMap": {"name": "plain"}}
			]
		}
	}}
}`

const (
	annotations = `{"f:spec":{"f:template":{"f:metadata":{"f:annotations":{%s}}}}}`
	containers  = `{"f:spec":{"f:template":{"f:spec":{"f:%s":{"k:{\"name\":\"%s\"}":{".":{},"f:image":{},%s}}}}}}`
)

func container(name, fields string) string {
	return fmt.Sprintf(containers, "containers", name, fields)
}

func volume(name, fields string) string { return fmt.Sprintf(containers, "volumes", name, fields) }

func annotation(name string) string { return fmt.Sprintf(annotations, `"f:`+name+`":{}`) }

func TestAmiss(t *testing.T) {
	update, apply := metav1.ManagedFieldsOperationUpdate, metav1.ManagedFieldsOperationApply
	entry := func(operation metav1.ManagedFieldsOperationType, fields string) metav1.ManagedFieldsEntry {
		return metav1.ManagedFieldsEntry{Manager: "somebody", Operation: operation, FieldsType: "FieldsV1", FieldsV1: metav1.NewFieldsV1(fields)}
	}
	gitops := entry(apply, container("web", `"f:envFrom":{}`))
	status := entry(update, container("web", `"f:envFrom":{}`))
	status.Subresource = "status"
	variable := func(name, selector string) string {
		return container("web", fmt.Sprintf(`"f:env":{".":{},"k:{\"name\":\"%s\"}":{".":{},"f:name":{},"f:valueFrom":{".":{},"f:%s":{}}}}`, name, selector))
	}
	for _, test := range []struct {
		name    string
		meta    string // further metadata
		entries []metav1.ManagedFieldsEntry
		want    bool
	}{
		{"nobody owns anything", "", nil, false},
		{"envFrom, by apply", "", []metav1.ManagedFieldsEntry{gitops}, false},
		{"envFrom", "", []metav1.ManagedFieldsEntry{gitops, entry(update, container("web", `"f:envFrom":{}`))}, true},
		{"envFrom, of an older API in which it wasn't owned as a whole", "", []metav1.ManagedFieldsEntry{entry(update, container("web", `"f:envFrom":{"i:0":{}}`))}, true},
		{"envFrom that isn't pinned", "", []metav1.ManagedFieldsEntry{entry(update, container("other", `"f:envFrom":{}`))}, false},
		{"envFrom of an initContainer", "", []metav1.ManagedFieldsEntry{entry(update, fmt.Sprintf(containers, "initContainers", "init", `"f:envFrom":{}`))}, true},
		{"envFrom of an ephemeral container", "", []metav1.ManagedFieldsEntry{entry(update, fmt.Sprintf(containers, "ephemeralContainers", "debug", `"f:envFrom":{}`))}, true},
		{"a container that is called like one of another list", "", []metav1.ManagedFieldsEntry{entry(update, fmt.Sprintf(containers, "initContainers", "web", `"f:envFrom":{}`))}, false},
		{"a variable of a ConfigMap", "", []metav1.ManagedFieldsEntry{entry(update, variable("A", "configMapKeyRef"))}, true},
		{"a variable of a Secret", "", []metav1.ManagedFieldsEntry{entry(update, variable("B", "secretKeyRef"))}, true},
		{"a variable that isn't pinned", "", []metav1.ManagedFieldsEntry{entry(update, variable("C", "configMapKeyRef"))}, false},
		{"a variable of another kind", "", []metav1.ManagedFieldsEntry{entry(update, variable("A", "fieldRef"))}, false},
		{"the name of a variable", "", []metav1.ManagedFieldsEntry{entry(update, container("web", `"f:env":{"k:{\"name\":\"A\"}":{".":{},"f:name":{},"f:valueFrom":{}}}`))}, false},
		{"a volume of a ConfigMap", "", []metav1.ManagedFieldsEntry{entry(update, volume("a", `"f:configMap":{".":{},"f:name":{}}`))}, true},
		{"the mode of a volume's files", "", []metav1.ManagedFieldsEntry{entry(update, volume("a", `"f:configMap":{".":{},"f:defaultMode":{}}`))}, false},
		{"a volume of a Secret", "", []metav1.ManagedFieldsEntry{entry(update, volume("b", `"f:secret":{"f:secretName":{}}`))}, true},
		{"a projected volume, one of whose sources is pinned", "", []metav1.ManagedFieldsEntry{entry(update, volume("c", `"f:projected":{"f:defaultMode":{},"f:sources":{}}`))}, true},
		{"a volume that isn't pinned", "", []metav1.ManagedFieldsEntry{entry(update, volume("d", `"f:configMap":{"f:name":{}}`))}, false},
		{"through the status", "", []metav1.ManagedFieldsEntry{gitops, status}, false},
		{"our annotation", "", []metav1.ManagedFieldsEntry{entry(update, annotation(wellknown.Pins))}, true},
		{"another annotation", "", []metav1.ManagedFieldsEntry{gitops, entry(update, annotation("example.com/other"))}, false},
		{"a hash of config, and nobody applies", "", []metav1.ManagedFieldsEntry{entry(update, annotation("checksum/config"))}, false},
		{"a hash of config, and somebody applies", "", []metav1.ManagedFieldsEntry{entry(update, annotation("checksum/config")), gitops}, true},
		{"a hash of config that a flag names, and somebody applies", "", []metav1.ManagedFieldsEntry{gitops, entry(update, annotation("example.com/hash"))}, true},
		{"a note", "", []metav1.ManagedFieldsEntry{gitops, entry(update, annotation(wellknown.NotePrefix+"containers.web.envFrom"))}, false},
		{"a note that came to an applier", "", []metav1.ManagedFieldsEntry{entry(apply, annotation(wellknown.NotePrefix+"containers.web.envFrom"))}, true},
		{"of what is being deleted", `, "deletionTimestamp": "2026-01-01T00:00:00Z"`, []metav1.ManagedFieldsEntry{entry(update, container("web", `"f:envFrom":{}`))}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			object, err := workload.Lookup("apps", "Deployment").Read(fmt.Sprintf(web, test.meta))
			require.NoError(t, err)
			text, err := json.Marshal(test.entries)
			require.NoError(t, err)
			hashes := wellknown.Hashes{"example.com/hash"}
			assert.Equal(t, test.want, ownership.Amiss(object, ownership.Entries(string(text)), hashes))
			assert.Equal(t, test.want, ownership.Amiss(object, ownership.EntriesOf(test.entries), hashes), "decoded")
		})
	}
}

func TestAmissLooksWhereTheTemplateIs(t *testing.T) {
	object, err := workload.Lookup("batch", "CronJob").Read(`{"spec": {"jobTemplate": {"spec": {"template": {
		"metadata": {"annotations": {"configpin.io/pins": "configmap/app=app-1"}},
		"spec": {"volumes": [{"name": "a", "configMap": {"name": "app-1"}}]}}}}}}`)
	require.NoError(t, err)
	assert.True(t, ownership.Amiss(object, []ownership.Entry{{
		Fields: `{"f:spec":{"f:jobTemplate":{"f:spec":{"f:template":{"f:spec":{"f:volumes":{"k:{\"name\":\"a\"}":{"f:configMap":{"f:name":{}}}}}}}}}}`,
	}}, nil))
	assert.False(t, ownership.Amiss(object, []ownership.Entry{{Fields: volume("a", `"f:configMap":{"f:name":{}}`)}}, nil))
}

func TestNothingIsAmissWhereNothingWasPinned(t *testing.T) {
	object, err := workload.Lookup("apps", "Deployment").Read(`{"spec": {"template": {"spec": {"volumes": [{"name": "a", "configMap": {"name": "app"}}]}}}}`)
	require.NoError(t, err)
	assert.False(t, ownership.Amiss(object, []ownership.Entry{{Fields: volume("a", `"f:configMap":{"f:name":{}}`)}}, nil))
}

// FuzzAmiss: whatever managedFields hold, they are read without a panic.
func FuzzAmiss(f *testing.F) {
	f.Add(`[{"operation":"Update","fieldsV1":` + container("web", `"f:envFrom":{}`) + `}]`)
	f.Add(`[{"operation":"Apply","fieldsV1":` + annotation("owned.configpin.io/x") + `},{"operation":"Update","fieldsV1":` + annotation("checksum/config") + `}]`)
	f.Add(`[{"fieldsV1":{"f:spec":{"f:template":{"f:spec":{"f:containers":{"k:{":{"f:env":[]}},"f:volumes":7}}}}}]`)
	object, err := workload.Lookup("apps", "Deployment").Read(fmt.Sprintf(web, ""))
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, managedFields string) {
		if json.Valid([]byte(managedFields)) {
			ownership.Amiss(object, ownership.Entries(managedFields), nil)
		}
	})
}

// An undo that admission didn't see owns what it brought back, in the way of whoever
// applies the manifest.
func ExampleAmiss() {
	object, _ := workload.Lookup("apps", "Deployment").Read(`{
		"metadata": {"managedFields": [
			{"manager": "gitops", "operation": "Apply", "fieldsV1": {"f:spec": {"f:replicas": {}}}},
			{"manager": "kubectl", "operation": "Update", "fieldsV1":
				{"f:spec": {"f:template": {"f:spec": {"f:volumes": {"k:{\"name\":\"a\"}": {"f:configMap": {"f:name": {}}}}}}}}}
		]},
		"spec": {"template": {
			"metadata": {"annotations": {"configpin.io/pins": "configmap/app=app-1"}},
			"spec": {"volumes": [{"name": "a", "configMap": {"name": "app-1"}}]}
		}}}`)
	fmt.Println(ownership.Amiss(object, ownership.Entries(object.ManagedFields), nil))
	// Output: true
}
