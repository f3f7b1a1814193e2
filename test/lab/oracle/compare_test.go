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

// Names of snapshots: digests have 12 characters here, whatever they are of.
const (
	app1, app2, db1 = "app-000000000001", "app-000000000002", "db-000000000001"

	anyLabels = `,"labels":{"configpin.io/enabled":"true","observed.configpin.io/configmap.app":"1"},"managedFields":[{"manager":"x"}]`
)

func pinnedTo(pins string) string { return `,"annotations":{"configpin.io/pins":"` + pins + `"}` }

func TestCompare(t *testing.T) {
	t.Parallel()
	before := object("app", "", "", "")
	for name, row := range map[string]struct {
		after []byte
		want  []string
	}{
		"nothing":          {after: before},
		"what is ours":     {after: object(app1, anyLabels, pinnedTo("configmap/app="+app1), "")},
		"a label":          {object("app", `,"labels":{"configpin.io/rollout":"manual"}`, "", ""), []string{".metadata.labels"}},
		"an opting out":    {object("app", `,"labels":{"configpin.io/enabled":"false"}`, "", ""), []string{".metadata.labels"}},
		"an annotation":    {object("app", "", `,"annotations":{"configpin.io/exclude":"configmap/app"}`, ""), []string{".spec.template.metadata.annotations"}},
		"another field":    {object("app", "", "", `,"restartPolicy":"Always"`), []string{".spec.template.spec.restartPolicy"}},
		"another ref":      {object("app", "", "", `,"volumes":[{"configMap":{"name":"b"}}]`), []string{".spec.template.spec.volumes"}},
		"a number's digit": {[]byte(`{"metadata":{"name":"web"},"spec":{"replicas":12345678901234567891}}`), []string{".spec.replicas", ".spec.template"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := Compare(nil, before, row.after)
			require.NoError(t, err)
			assert.Equal(t, row.want, got)
		})
	}
	for name, row := range map[string]struct {
		before, after string
		want          []string
	}{
		"the name of a Secret":         {`,"volumes":[{"secret":{"secretName":"a"}}]`, `,"volumes":[{"secret":{"secretName":"b"}}]`, []string{".spec.template.spec.volumes[0].secret.secretName"}},
		"the name of a pull secret":    {`,"imagePullSecrets":[{"name":"a"}]`, `,"imagePullSecrets":[{"name":"b"}]`, []string{".spec.template.spec.imagePullSecrets[0].name"}},
		"the mode of a Secret's files": {`,"volumes":[{"secret":{"secretName":"a","defaultMode":1}}]`, `,"volumes":[{"secret":{"secretName":"a","defaultMode":2}}]`, []string{".spec.template.spec.volumes[0].secret.defaultMode"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := Compare(nil, object("app", "", "", row.before), object("app", "", "", row.after))
			require.NoError(t, err)
			assert.Equal(t, row.want, got)
		})
	}
	for value, want := range map[string][]string{"released": nil, "false": {".metadata.labels"}} {
		t.Run("the label that was "+value+" is gone", func(t *testing.T) {
			t.Parallel()
			got, err := Compare(nil, object("app", `,"labels":{"configpin.io/enabled":"`+value+`"}`, "", ""), before)
			require.NoError(t, err)
			assert.Equal(t, want, got)
		})
	}
	t.Run("no object", func(t *testing.T) {
		t.Parallel()
		_, err := Compare(nil, before, []byte("x"))
		assert.Error(t, err)
	})
}

// names is a Deployment that reads two ConfigMaps, the second of them as files.
func names(first, second, pins string) []byte {
	return object(first, "", pinnedTo(pins), `,"volumes":[{"configMap":{"name":"`+second+`"}}]`)
}

const (
	changedEnv   = ".spec.template.spec.containers[0].envFrom[0].configMapRef.name"
	changedFiles = ".spec.template.spec.volumes[0].configMap.name"
)

func TestCompareFollowsNamesToTheirSources(t *testing.T) {
	t.Parallel()
	const pins, moved = "configmap/app=" + app1 + ",configmap/db=" + db1, "configmap/app=" + app2 + ",configmap/db=" + db1
	for name, row := range map[string]struct {
		old, before, after []byte
		want               []string
	}{
		"sources are pinned":                    {nil, names("app", "db", ""), names(app1, db1, pins), nil},
		"sources are swapped":                   {nil, names("app", "db", ""), names(db1, app1, pins), []string{changedEnv, changedFiles}},
		"one source is pinned for both":         {nil, names("app", "db", ""), names(app1, app1, pins), []string{changedFiles}},
		"a pin moves":                           {names(app1, db1, pins), names(app1, db1, pins), names(app2, db1, moved), nil},
		"pins are swapped":                      {names(app1, db1, pins), names(app1, db1, pins), names(db1, app2, moved), []string{changedEnv, changedFiles}},
		"a pin stays":                           {names(app1, db1, pins), names("app", "db", ""), names(app1, db1, pins), nil},
		"pins are taken off":                    {names(app1, db1, pins), names(app1, db1, pins), names("app", "db", ""), nil},
		"pins are taken off, and swapped":       {names(app1, db1, pins), names(app1, db1, pins), names("db", "app", ""), []string{changedEnv, changedFiles}},
		"a name of what was stored comes alone": {names(app1, db1, pins), names(app1, "db", ""), names(app2, db1, moved), nil},
		"a snapshot that was exported moves":    {nil, names(app1, "db", ""), names(app2, db1, moved), nil},
		"a snapshot is taken for another's":     {nil, names(app1, "db", ""), names(db1, db1, pins), []string{changedEnv}},
		"a pin of another's name":               {nil, names("app", "db", ""), names(db1, app1, "configmap/app="+db1+",configmap/db="+app1), []string{changedEnv, changedFiles}},
		"a pin that somebody made up":           {nil, names("weird", "db", "configmap/app=weird"), names(app1, db1, pins), nil},
		"a pin that somebody swapped":           {nil, names("app", "db", "configmap/app="+db1+",configmap/db="+app1), names(db1, app1, pins), []string{changedEnv, changedFiles}},
		"a ref that isn't pinned":               {nil, names("app", "plain", ""), names(app1, "other", pins), []string{changedFiles}},
		"a source that is called like a snapshot": {
			nil, names("app", app2, ""), names(app1, app2+"-000000000001", "configmap/app="+app1+",configmap/"+app2+"="+app2+"-000000000001"), nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := Compare(row.old, row.before, row.after)
			require.NoError(t, err)
			assert.Equal(t, row.want, got)
		})
	}
}
