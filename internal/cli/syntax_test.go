package cli

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"k8s.io/cli-runtime/pkg/genericiooptions"
)

// Whoever misspells something is told so, whatever is in the cluster, and whether or not
// there is one.
func TestSyntaxIsCheckedBeforeTheClusterIsRead(t *testing.T) {
	t.Parallel()
	const (
		source   = `"app" is not a ConfigMap or a Secret: name one, as in configmap/app`
		workload = `"pod/web" is not a workload that configpin serves: name a Deployment, StatefulSet, DaemonSet, CronJob or Job, as in deployment/web`
		format   = `--output is "xml", not one of json, yaml, wide, name`
		dry      = `--dry-run is "perhaps", not one of none, server, client`
		goal     = `not of the form configmap/NAME=REVISION`
		which    = `say which with --revision: see kubectl configpin history configmap/app`
		both     = `--all-namespaces and --namespace exclude each other: give one of them`
	)
	for line, want := range map[string]string{
		"history":                          "name one ConfigMap or Secret, as in kubectl configpin history configmap/app",
		"history app":                      source,
		"history configmap/app -o xml":     format,
		"history configmap/app -n Shop":    `--namespace is "Shop": no namespace is called that`,
		"history configmap/app -n a/b":     `--namespace is "a/b": no namespace is called that`,
		"history configmap/Not_A_Name":     `"Not_A_Name" is no name that a ConfigMap can have`,
		"check --configpin-namespace=a.b":  `--configpin-namespace is "a.b": no namespace is called that`,
		"history configmap/app extra more": "name one ConfigMap or Secret, as in kubectl configpin history configmap/app",

		"diff app":                         source,
		"diff configmap/app --from 0":      `--from is "0", not a number from 1 up, the name of a snapshot, or "live"`,
		"diff configmap/app --from -3":     `--from is "-3", not a number from 1 up, the name of a snapshot, or "live"`,
		"diff configmap/app --to Not_A":    `--to is "Not_A", not a number from 1 up, the name of a snapshot, or "live"`,
		"diff configmap/app --to=":         `--to is "", not a number from 1 up, the name of a snapshot, or "live"`,
		"diff configmap/app --exit-code=x": `invalid argument "x" for "--exit-code" flag: strconv.ParseBool: parsing "x": invalid syntax`,

		"tree app":                  source,
		"tree configmap/app -o xml": format,

		"status pod/web":                workload,
		"status deployment/web pod/web": workload,
		"status -o xml":                 format,
		"status --watch --check":        "--watch goes on, and --check ends: give one of them",
		"status -A -n shop":             both,
		"status deployment/web -A":      "a workload is in one namespace: leave out --all-namespaces",

		"explain":                       "name one workload, as in kubectl configpin explain deployment/web",
		"explain pod/web":               workload,
		"explain deployment/web -o xml": format,

		"check extra":   "kubectl configpin check takes flags only, and not extra",
		"check -o xml":  format,
		"check -o name": "a check has no names to print: say --output json or yaml",

		"undo pod/web":                                workload,
		"undo job/once":                               "the template of job/once can't change: create another one",
		"undo deployment/web --to app=1":              `--to is "app=1", ` + goal,
		"undo deployment/web --to configmap/app":      `--to is "configmap/app", ` + goal,
		"undo deployment/web --to configmap/app=":     `--to is "configmap/app=", ` + goal,
		"undo deployment/web --to configmap/app=live": "what configmap/app holds now is no older content: see kubectl configpin resume --help",
		"undo deployment/web --to configmap/app=0":    `--to is "0", not a number from 1 up, or the name of a snapshot`,
		"undo deployment/web --to configmap/app=App":  `--to is "App", not a number from 1 up, or the name of a snapshot`,
		"undo deployment/web --dry-run=perhaps":       dry,

		"resume pod/web":                          workload,
		"resume job/once":                         "the template of job/once can't change: create another one",
		"resume deployment/web --dry-run=perhaps": dry,

		"restore app":                                          source,
		"restore configmap/app":                                which,
		"restore configmap/app --revision live":                `--revision is "live", not a number from 1 up, or the name of a snapshot`,
		"restore configmap/app --revision -1":                  `--revision is "-1", not a number from 1 up, or the name of a snapshot`,
		"restore configmap/app --revision 1 --dry-run=perhaps": dry,

		"adopt":                           "say which with --namespace, or --all-namespaces: each workload may roll out",
		"adopt extra":                     "kubectl configpin adopt takes flags only, and not extra",
		"adopt -A -n shop":                both,
		"adopt -n shop --every=-1s":       "--every is -1s, not 0 or more",
		"adopt -n shop --dry-run=perhaps": dry,

		"unpin":                                  "name workloads, or say --all or --all-namespaces",
		"unpin deployment/web --all":             "name workloads, or say --all or --all-namespaces",
		"unpin --all":                            "say of which with --namespace, or --all-namespaces: each workload may roll out",
		"unpin pod/web":                          workload,
		"unpin -A -n shop":                       both,
		"unpin deployment/web --every=-1s":       "--every is -1s, not 0 or more",
		"unpin deployment/web --dry-run=perhaps": dry,

		"purge app":                                            source,
		"purge configmap/app":                                  which,
		"purge configmap/app --revision live":                  `--revision is "live", not a number from 1 up, or the name of a snapshot`,
		"purge configmap/app --revision 1 --grace=-1s":         "--grace is -1s, not 0 or more",
		"purge configmap/app --revision 1 --reference-kinds=x": `--reference-kinds: "x" is not group/version/resource`,
	} {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			streams, _, out, complaint := genericiooptions.NewTestIOStreams()
			code := Run(t.Context(), streams, "test", append(strings.Fields(line), "--kubeconfig=/nonesuch", "--cache-dir="+t.TempDir()))
			assert.Equal(t, "error: "+want+"\n", complaint.String())
			assert.Equal(t, codeError, code)
			assert.Equal(t, bytes.Buffer{}, *out)
		})
	}
}
