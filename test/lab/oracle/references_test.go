package oracle

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRefsIn(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct{ spec, want string }{
		"envFrom":                   {`{"containers":[{"envFrom":[{"configMapRef":{"name":"a"}},{"secretRef":{"name":"b"}}]}]}`, "configmap/a secret/b"},
		"env":                       {`{"initContainers":[{"env":[{"valueFrom":{"configMapKeyRef":{"name":"a"}}},{"valueFrom":{"secretKeyRef":{"name":"b"}}}]}]}`, "configmap/a secret/b"},
		"ephemeral containers":      {`{"ephemeralContainers":[{"envFrom":[{"configMapRef":{"name":"a"}}]}]}`, "configmap/a"},
		"volumes":                   {`{"volumes":[{"configMap":{"name":"a"}},{"secret":{"secretName":"b"}}]}`, "configmap/a secret/b"},
		"projected volumes":         {`{"volumes":[{"projected":{"sources":[{"configMap":{"name":"a"}},{"secret":{"name":"b"}}]}}]}`, "configmap/a secret/b"},
		"in a template":             {`{"jobTemplate":{"spec":{"template":{"spec":{"volumes":[{"configMap":{"name":"a"}}]}}}}}`, "configmap/a"},
		"each once":                 {`{"containers":[{"envFrom":[{"configMapRef":{"name":"a"}},{"configMapRef":{"name":"a"}}]}]}`, "configmap/a"},
		"what storage drivers need": {`{"imagePullSecrets":[{"name":"a"}],"volumes":[{"csi":{"nodePublishSecretRef":{"name":"b"}}},{"cephfs":{"secretRef":{"name":"c"}}}]}`, ""},
		"a name that is text":       {`{"containers":[{"env":[{"name":"configMap","value":"a"}]}]}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var spec any
			require.NoError(t, json.Unmarshal([]byte(row.spec), &spec))
			var got []string
			for _, r := range refsIn(spec) {
				got = append(got, r.String())
			}
			assert.Equal(t, row.want, strings.Join(got, " "))
		})
	}
}

func TestARefThatIsRequiredOnceIsRequired(t *testing.T) {
	t.Parallel()
	var spec any
	require.NoError(t, json.Unmarshal([]byte(`{"containers":[{"envFrom":[
		{"configMapRef":{"name":"a","optional":true}}, {"configMapRef":{"name":"a"}},
		{"configMapRef":{"name":"b","optional":true}}]}]}`), &spec))
	assert.Equal(t, []Ref{{configMap, "a", false}, {configMap, "b", true}}, refsIn(spec))
}
