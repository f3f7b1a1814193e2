package pin

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/configpin/configpin/internal/workload"
)

func TestReturns(t *testing.T) {
	object, err := workload.Lookup("apps", "Deployment").Read(`{"metadata": {"name": "web"}, "spec": {"template": {
		"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": "v1", "resources": {}}]}}}}`)
	require.NoError(t, err)
	for name, test := range map[string]struct {
		kept string
		want bool
	}{
		"a ReplicaSet's": {
			`{"metadata": {"creationTimestamp": null, "labels": {"app": "web", "pod-template-hash": "x"}}, "spec": {"containers": [{"name": "web", "image": "v1"}]}}`, true,
		},
		"a ControllerRevision's": {
			`{"$patch": "replace", "metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"image": "v1", "name": "web", "resources": {}}]}}`, true,
		},
		"a list of nothing": {
			`{"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": "v1", "env": []}], "volumes": []}}`, true,
		},
		"another image":  {`{"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": "v2"}]}}`, false},
		"another label":  {`{"metadata": {"labels": {"app": "other"}}, "spec": {"containers": [{"name": "web", "image": "v1"}]}}`, false},
		"no object":      {`[]`, false},
		"an empty one":   {`{}`, false},
		"no JSON at all": {`{`, false},
	} {
		assert.Equal(t, test.want, returns(object.Template, test.kept), name)
	}
	bare := workload.Template{Spec: `{"containers": []}`}
	assert.True(t, returns(bare, `{"metadata": {"labels": {"pod-template-hash": "x"}}, "spec": {}}`), "a template without metadata")
}
