package plugin

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// shell is where one session is typed in: it has a namespace of its own.
type shell struct {
	*shop
	t         *testing.T
	namespace string
	env       []string
	exact     bool // how the columns of tables lie is written down, too
	said      strings.Builder
}

func (s *shop) begin(t *testing.T) *shell {
	t.Helper()
	namespace, env := s.Namespace(t, "plugin-")
	return &shell{shop: s, t: t, namespace: namespace, env: env}
}

// deadline is how long a command may take, and how long to wait for something.
const deadline = time.Minute

// bash runs a line, and returns what it printed, and its exit code: that of the first
// program that fails, wherever in a pipe it is.
func (s *shell) bash(line, input string) (out, complaint string, code int) {
	s.t.Helper()
	command := exec.CommandContext(s.t.Context(), "bash", "-o", "pipefail", "-c", line)
	command.Env = s.env
	command.Stdin = strings.NewReader(input)
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	err := command.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !assert.ErrorAs(s.t, err, &exit) {
		s.t.FailNow()
	}
	return stdout.String(), stderr.String(), command.ProcessState.ExitCode()
}

// do runs a line that has to work and that nobody reads about.
func (s *shell) do(line string) string {
	s.t.Helper()
	out, complaint, code := s.bash(line, "")
	require.Zero(s.t, code, "%s\n%s%s", line, out, complaint)
	return out
}

// apply applies a manifest.
func (s *shell) apply(manifest string) {
	s.t.Helper()
	out, complaint, code := s.bash("kubectl apply --server-side -f -", manifest)
	require.Zero(s.t, code, "%s%s", out, complaint)
}

// types runs a line of the plugin, and writes it down with all that comes back.
func (s *shell) types(line string) { s.answers(line, "") }

// answers is types, with something to say when asked.
func (s *shell) answers(line, input string) {
	s.t.Helper()
	order := ""
	if s.exact {
		order = " 2>&1" // as a terminal shows it
	}
	out, complaint, code := s.bash("kubectl configpin "+line+order, input)
	fmt.Fprintf(&s.said, "$ kubectl configpin %s\n%s", strings.ReplaceAll(line, s.namespace, "NAMESPACE"), s.usual(out))
	for text := range strings.Lines(s.usual(complaint)) {
		fmt.Fprintf(&s.said, "! %s", text)
	}
	if complaint != "" && !strings.HasSuffix(complaint, "\n") {
		s.said.WriteString("\n")
	}
	if code != 0 {
		fmt.Fprintf(&s.said, "(exit code %d)\n", code)
	}
	s.said.WriteString("\n")
}

// remark is a line of the transcript about what happens in between.
func (s *shell) remark(text string) { fmt.Fprintf(&s.said, "# %s\n\n", text) }

// until waits until a line works, and prints something. One that fails may print what is
// wanted, too: of nothing, wc counts 0 lines.
func (s *shell) until(want, line string) {
	s.t.Helper()
	require.Eventually(s.t, func() bool {
		out, _, code := s.bash(line, "")
		return code == 0 && strings.TrimSpace(out) == want
	}, deadline, 200*time.Millisecond, "%s should print %q", line, want)
}

// rolledOut waits until a Deployment has rolled out, and its old Pods are gone.
func (s *shell) rolledOut(name string) {
	s.t.Helper()
	s.do("kubectl rollout status deployment/" + name + " --timeout=60s")
	replicas := strings.TrimSpace(s.do("kubectl get deployment " + name + " -o jsonpath={.spec.replicas}"))
	s.until(replicas, "kubectl get pods -l app="+name+" --no-headers --field-selector=status.phase=Running | wc -l")
	s.until(replicas, "kubectl get pods -l app="+name+" --no-headers | wc -l")
}

// usuals are what differs from run to run, and what stands for it.
var usuals = []struct {
	varies *regexp.Regexp
	usual  string
}{
	{regexp.MustCompile(`\b(web|other|plain|manual|one|two)-[0-9a-f]{7,10}-[0-9a-z]{5}\b`), "$1-HASH-RANDOM"},
	{regexp.MustCompile(`\b(web|other|plain|manual|one|two)-[0-9a-f]{7,10}\b`), "$1-HASH"},
	{regexp.MustCompile(`\b(store|agent)-[0-9a-f]{7,10}\b`), "$1-HASH"},
	{regexp.MustCompile(`\b(agent)-[0-9a-z]{5}\b`), "$1-RANDOM"},
	{regexp.MustCompile(`\S+_[0-9a-f]{8}-[0-9a-f-]{27}`), "HOLDER"},
	{regexp.MustCompile(`(OK +workloads +)\d.*`), "${1}SUMMARY"}, // of those of other scenes
	{regexp.MustCompile(`\bdb-[0-9a-v]{12}\b`), "db-SUFFIX"},     // by the key of this cluster
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?(\.\d+)?Z`), "TIME"},
	{regexp.MustCompile(`\b(\d+h)?(\d+m)?\d+(\.\d+)?(ms|s)\b`), "TIME"},
	{regexp.MustCompile(`(\S) {3,}`), "$1  "}, // how far columns are apart
	{regexp.MustCompile(`(--cache-dir string .*\(default )".*"`), "$1..."},
}

// usual is text without what differs from run to run.
func (s *shell) usual(text string) string {
	if s.exact {
		return exact(text)
	}
	text = strings.ReplaceAll(text, s.namespace, "NAMESPACE")
	for _, u := range usuals {
		text = u.varies.ReplaceAllString(text, u.usual)
	}
	var lines strings.Builder
	for line := range strings.Lines(text) {
		lines.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
	return lines.String()
}

var ages = regexp.MustCompile(` {2}(\d+m)?\d+s +`)

// exact is text with the usual ages and times, of which each takes as much room as what it
// stands for in most runs.
func exact(text string) string {
	text = ages.ReplaceAllStringFunc(text, func(age string) string { return fmt.Sprintf("%-*s", len(age), "  42s") })
	return regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\dZ`).ReplaceAllString(text, "2026-11-28T14:03Z")
}

func (s *shell) compare(file string) {
	s.t.Helper()
	if *update {
		require.NoError(s.t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(s.t, os.WriteFile(file, []byte(s.said.String()), 0o644))
		return
	}
	want, err := os.ReadFile(file)
	require.NoError(s.t, err)
	assert.Equal(s.t, string(want), s.said.String(), "run go test ./test/plugin -update, and see how the files differ")
}

// runInPods creates what the programs run in on a real node. Nobody starts containers here,
// and the programs run beside the cluster; the plugin reads their settings off it all the
// same.
func (s *shop) runInPods(t *testing.T) {
	t.Helper()
	for _, object := range s.Objects {
		if object.GetKind() != "Deployment" {
			continue
		}
		object = object.DeepCopy()
		containers, _, err := unstructured.NestedSlice(object.Object, "spec", "template", "spec", "containers")
		require.NoError(t, err)
		args, _, err := unstructured.NestedSlice(containers[0].(map[string]any), "args")
		require.NoError(t, err)
		containers[0].(map[string]any)["args"] = append(args, "--secrets")
		require.NoError(t, unstructured.SetNestedSlice(object.Object, containers, "spec", "template", "spec", "containers"))
		require.NoError(t, s.API.Create(t.Context(), object))
	}
}
