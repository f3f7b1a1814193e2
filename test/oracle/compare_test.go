package oracle

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// plain is a Deployment as somebody writes it, with a place for a name, for
// metadata, for annotations of the template, and for more of the spec.
const plain = `{"metadata":{"name":"web"%[2]s},"spec":{"replicas":12345678901234567890,"template":{"metadata":{"labels":{"app":"web"}%[3]s},` +
	`"spec":{"containers":[{"name":"app","envFrom":[{"configMapRef":{"name":"%[1]s"}}]}]%[4]s}}}}`

func object(name, metadata, template, spec string) []byte {
	return fmt.Appendf(nil, plain, name, metadata, template, spec)
}

func TestCompare(t *testing.T) {
	t.Parallel()
	before := object("app", "", "", "")
	for name, row := range map[string]struct {
		after []byte
		want  []string
	}{
		"nothing": {after: before},
		"what is ours": {after: object("app-1",
			`,"labels":{"configpin.io/enabled":"true","observed.configpin.io/configmap.app":"1"},"managedFields":[{"manager":"x"}]`,
			`,"annotations":{"configpin.io/pins":"configmap/app=app-1"}`, "")},
		"a label":          {object("app", `,"labels":{"configpin.io/rollout":"manual"}`, "", ""), []string{".metadata.labels"}},
		"an annotation":    {object("app", "", `,"annotations":{"configpin.io/exclude":"configmap/app"}`, ""), []string{".spec.template.metadata.annotations"}},
		"another field":    {object("app", "", "", `,"restartPolicy":"Always"`), []string{".spec.template.spec.restartPolicy"}},
		"another ref":      {object("app", "", "", `,"volumes":[{"configMap":{"name":"b"}}]`), []string{".spec.template.spec.volumes"}},
		"a number's digit": {[]byte(`{"metadata":{"name":"web"},"spec":{"replicas":12345678901234567891}}`), []string{".spec.replicas", ".spec.template"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := Compare(before, row.after)
			require.NoError(t, err)
			assert.Equal(t, row.want, got)
		})
	}
	for name, row := range map[string]struct {
		before, after string
		want          []string
	}{
		"the name of a Secret":         {`,"volumes":[{"secret":{"secretName":"a"}}]`, `,"volumes":[{"secret":{"secretName":"b"}}]`, nil},
		"the name of a pull secret":    {`,"imagePullSecrets":[{"name":"a"}]`, `,"imagePullSecrets":[{"name":"b"}]`, []string{".spec.template.spec.imagePullSecrets[0].name"}},
		"the mode of a Secret's files": {`,"volumes":[{"secret":{"secretName":"a","defaultMode":1}}]`, `,"volumes":[{"secret":{"secretName":"a","defaultMode":2}}]`, []string{".spec.template.spec.volumes[0].secret.defaultMode"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := Compare(object("app", "", "", row.before), object("app", "", "", row.after))
			require.NoError(t, err)
			assert.Equal(t, row.want, got)
		})
	}
	t.Run("no object", func(t *testing.T) {
		t.Parallel()
		_, err := Compare(before, []byte("x"))
		assert.Error(t, err)
	})
}
