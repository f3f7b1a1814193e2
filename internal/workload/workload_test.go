package workload_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/configpin/configpin/internal/workload"
)

func TestRead(t *testing.T) {
	const raw = `{
		"metadata": {
			"name": "web", "namespace": "shop", "deletionTimestamp": "2026-01-01T00:00:00Z",
			"labels": {"app": "web", "configpin.io/enabled": "true", "observed.configpin.io/configmap.app": "0", "notconfigpin.io/x": "1"},
			"managedFields": [{"manager": "kubectl"}]
		},
		"spec": {"template": {
			"metadata": {"annotations": {"configpin.io/pins": "configmap/a=a-1", "other": "x"}},
			"spec": {"containers": []}
		}}
	}`
	got, err := workload.Lookup("apps", "Deployment").Read(raw)
	require.NoError(t, err)
	assert.Equal(t, "web", got.Name)
	assert.Equal(t, "shop", got.Namespace)
	assert.True(t, got.Terminating)
	assert.True(t, got.HasLabels)
	assert.False(t, got.Copied())
	assert.Equal(t, map[string]string{"configpin.io/enabled": "true", "observed.configpin.io/configmap.app": "0"}, got.Labels)
	assert.Equal(t, map[string]string{"configpin.io/pins": "configmap/a=a-1"}, got.Template.Annotations)
	assert.JSONEq(t, `{"containers": []}`, got.Template.Spec)
	assert.JSONEq(t, `[{"manager": "kubectl"}]`, got.ManagedFields)
}

func TestReadFindsTheTemplateOfEveryKind(t *testing.T) {
	for kind, raw := range map[*workload.Kind]string{
		workload.Lookup("apps", "Deployment"):  `{"spec": {"template": {"spec": {"x": 1}}}}`,
		workload.Lookup("apps", "StatefulSet"): `{"spec": {"template": {"spec": {"x": 1}}}}`,
		workload.Lookup("apps", "DaemonSet"):   `{"spec": {"template": {"spec": {"x": 1}}}}`,
		workload.Lookup("batch", "Job"):        `{"spec": {"template": {"spec": {"x": 1}}}}`,
		workload.Lookup("batch", "CronJob"):    `{"spec": {"jobTemplate": {"spec": {"template": {"spec": {"x": 1}}}}}}`,
	} {
		got, err := kind.Read(raw)
		require.NoError(t, err, kind.Kind)
		assert.JSONEq(t, `{"x": 1}`, got.Template.Spec, kind.Kind)
	}
}

func TestReadWantsATemplate(t *testing.T) {
	_, err := workload.Lookup("apps", "Deployment").Read(`{"metadata": {"name": "web"}, "spec": {"template": {"spec": []}}}`)
	assert.EqualError(t, err, `reading Deployment "web": /spec/template/spec is not an object`)
}

func TestLookupServesNoCopiesOfTemplates(t *testing.T) {
	for group, kind := range map[string]string{"": "Pod", "apps": "ReplicaSet", "example.com": "Deployment"} {
		assert.Nil(t, workload.Lookup(group, kind), kind)
	}
	assert.Nil(t, workload.Lookup("apps", "ControllerRevision"))
}

func TestCopied(t *testing.T) {
	for owners, want := range map[string]bool{
		`[]`: false,
		`[{"apiVersion": "batch/v1", "kind": "CronJob", "controller": true}]`:                                                true,
		`[{"apiVersion": "batch/v1", "kind": "CronJob"}]`:                                                                    false,
		`[{"apiVersion": "example.com/v1", "kind": "Shop", "controller": true}]`:                                             false,
		`[{"apiVersion": "v1", "kind": "X"}, {"apiVersion": "batch/v1", "kind": "CronJob", "controller": true}, {"x": "y"}]`: true,
	} {
		got, err := workload.Lookup("batch", "Job").Read(`{"metadata": {"ownerReferences": ` + owners + `}, "spec": {"template": {"spec": {}}}}`)
		require.NoError(t, err)
		assert.Equal(t, want, got.Copied(), owners)
	}
}

// TestWhatAnOperatorOwnsIsAWorkload: its template is nobody's copy.
func TestWhatAnOperatorOwnsIsAWorkload(t *testing.T) {
	for _, kind := range workload.Kinds {
		for _, owner := range []string{
			`{"apiVersion": "apps/v1", "kind": "Deployment", "name": "operator", "controller": true}`,
			`{"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "operator", "controller": true}`,
			`{"apiVersion": "batch/v1", "kind": "Job", "name": "installer", "controller": true}`,
			`{"apiVersion": "v1", "kind": "Pod", "name": "operator-0", "controller": true}`,
			`{"apiVersion": "example.com/v1", "kind": "CronJob", "name": "report", "controller": true}`,
		} {
			raw := `{"metadata": {"ownerReferences": [` + owner + `]}, "spec": {"template": {"spec": {}}, "jobTemplate": {"spec": {"template": {"spec": {}}}}}}`
			got, err := kind.Read(raw)
			require.NoError(t, err)
			assert.Empty(t, got.CopyOf, "%s of %s", kind.Kind, owner)
		}
	}
	job, err := workload.Lookup("batch", "Job").Read(`{"metadata": {"ownerReferences": [
		{"apiVersion": "batch/v1", "kind": "CronJob", "name": "report", "controller": true}]}, "spec": {"template": {"spec": {}}}}`)
	require.NoError(t, err)
	assert.Equal(t, "cronjob/report", job.CopyOf)
}

func FuzzRead(f *testing.F) {
	f.Add(`{"metadata":{"labels":{"configpin.io/enabled":"true"}},"spec":{"template":{"spec":{}}}}`)
	f.Fuzz(func(t *testing.T, raw string) {
		object, err := workload.Lookup("apps", "Deployment").Read(raw)
		if err == nil {
			assert.NotEmpty(t, object.Template.Spec)
		}
	})
}

func ExampleKind_Read() {
	object, _ := workload.Lookup("apps", "Deployment").Read(`{
		"metadata": {"name": "web", "labels": {"configpin.io/enabled": "true", "app": "web"}},
		"spec": {"template": {"spec": {"containers": []}}}}`)
	fmt.Println(object.Name, object.Labels, object.Template.Spec)
	// Output: web map[configpin.io/enabled:true] {"containers": []}
}
