package clients_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/configpin/configpin/test/lab/clients"
	"github.com/configpin/configpin/test/lab/controlplane"
)

func build(t *testing.T) clients.Programs {
	t.Helper()
	if testing.Short() {
		t.Skip("builds the deploy tools")
	}
	programs, err := clients.Build(t.Context(), t.Output())
	require.NoError(t, err)
	return programs
}

// outcome is what a program printed, and its exit code.
type outcome struct {
	stdout, stderr string
	code           int
}

func run(t *testing.T, program string, args ...string) outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if _, exited := errors.AsType[*exec.ExitError](err); !exited {
		require.NoError(t, err)
	}
	return outcome{stdout: stdout.String(), stderr: stderr.String(), code: cmd.ProcessState.ExitCode()}
}

func TestProgramsSayTheirVersions(t *testing.T) {
	programs := build(t)
	for _, test := range []struct {
		program, module string
		args            []string
	}{
		{program: clients.Helm3, module: "helm.sh/helm/v3", args: []string{"version", "--short"}},
		{program: clients.Helm4, module: "helm.sh/helm/v4", args: []string{"version", "--short"}},
		{program: clients.Kustomize, module: "sigs.k8s.io/kustomize/kustomize/v5", args: []string{"version"}},
		{program: clients.Gitops, module: "github.com/argoproj/argo-cd/v3", args: []string{"version"}},
	} {
		t.Run(test.program, func(t *testing.T) {
			version := programs.Version(test.module)
			require.NotEmpty(t, version)
			got := run(t, programs.Path(test.program), test.args...)
			assert.Contains(t, got.stdout, version)
			assert.Empty(t, got.stderr)
			assert.Zero(t, got.code)
		})
	}
}

func TestWrongUsageOfGitopsIsOneLineAndExitCode2(t *testing.T) {
	gitops := build(t).Path(clients.Gitops)
	for _, test := range []struct {
		name string
		args []string
		want string
	}{
		{"nothing", nil, "gitops: a command is needed; --help lists them\n"},
		{"something else", []string{"sync"}, "gitops: no command \"sync\"; --help lists them\n"},
		{
			"a flag of another command",
			[]string{"argo-sync", "--structured"},
			"gitops: flag provided but not defined: -structured; gitops argo-sync --help lists the flags\n",
		},
		{"more than flags", []string{"flux-diff", "app.yaml"}, "gitops: \"app.yaml\" is no flag; gitops flux-diff --help lists them\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			assert.Equal(t, outcome{stderr: test.want, code: 2}, run(t, gitops, test.args...))
		})
	}
}

func TestEachCommandOfGitopsHasAnExample(t *testing.T) {
	gitops := build(t).Path(clients.Gitops)
	for _, command := range []string{"argo-diff", "argo-sync", "flux-diff", "flux-apply"} {
		got := run(t, gitops, command, "--help")
		assert.Contains(t, got.stdout, "  gitops "+command+" --")
		assert.Contains(t, run(t, gitops, "--help").stdout, "  gitops "+command+" ")
		assert.Zero(t, got.code)
	}
}

const manifest = `apiVersion: v1
kind: ConfigMap
metadata:
  name: settings
data:
  colour: blue
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  replicas: 1
  selector:
    matchLabels: {app: web}
  template:
    metadata:
      labels: {app: web}
    spec:
      containers:
        - name: web
          image: example.com/web:1
          envFrom:
            - configMapRef: {name: settings}
`

// hook is a Job that Argo CD runs before it applies what is above, and doesn't compare.
const hook = `---
apiVersion: batch/v1
kind: Job
metadata:
  name: migrate
  annotations: {argocd.argoproj.io/hook: PreSync}
spec:
  template:
    spec:
      restartPolicy: Never
      containers:
        - name: migrate
          image: example.com/migrate:1
`

// TestADiffIsEmptyAfterAnApply is about the tools alone: without configpin, nothing they apply is a difference to them.
func TestADiffIsEmptyAfterAnApply(t *testing.T) {
	gitops := build(t).Path(clients.Gitops)
	cluster, err := controlplane.Start(t.Context(), controlplane.Options{Dir: t.TempDir(), Progress: t.Output()})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, cluster.Stop()) })
	kubectl := cluster.Binaries().Path("kubectl")

	for _, test := range []struct {
		name        string
		apply, diff []string
		manifest    string
	}{
		{"argo-server", []string{"argo-sync", "--server-side"}, []string{"argo-diff"}, manifest},
		{"argo-server-webhooks", []string{"argo-sync", "--server-side"}, []string{"argo-diff", "--include-mutation-webhooks"}, manifest},
		{"argo-server-structured", []string{"argo-sync", "--server-side"}, []string{"argo-diff", "--server-side=false", "--structured"}, manifest},
		{"argo-client", []string{"argo-sync"}, []string{"argo-diff", "--server-side=false"}, manifest},
		{"argo-client-server", []string{"argo-sync"}, []string{"argo-diff"}, manifest},
		{"argo-hook", []string{"argo-sync"}, []string{"argo-diff"}, manifest + hook},
		{"flux", []string{"flux-apply"}, []string{"flux-diff"}, manifest},
	} {
		t.Run(test.name, func(t *testing.T) {
			require.Zero(t, run(t, kubectl, "--kubeconfig="+cluster.Kubeconfig(), "create", "namespace", test.name).code)
			call := func(command []string, manifest string) outcome {
				file := filepath.Join(t.TempDir(), "app.yaml")
				require.NoError(t, os.WriteFile(file, []byte(manifest), 0o600))
				return run(t, gitops, append(command, "--kubeconfig="+cluster.Kubeconfig(), "--namespace="+test.name, "--filename="+file)...)
			}
			got := call(test.diff, test.manifest)
			assert.Equal(t, 1, got.code, "nothing is there: %s%s", got.stdout, got.stderr)
			got = call(test.apply, test.manifest)
			require.Zero(t, got.code, got.stderr)
			assert.Contains(t, got.stdout, "Deployment/"+test.name+"/web")
			got = call(test.diff, test.manifest)
			assert.Zero(t, got.code, "%s%s", got.stdout, got.stderr)

			got = call(test.diff, strings.ReplaceAll(test.manifest, "web:1", "web:2"))
			assert.Equal(t, 1, got.code, got.stderr)
			assert.Contains(t, got.stdout, "\n-        image: example.com/web:1\n+        image: example.com/web:2\n")
			assert.NotContains(t, got.stdout, "blue")
		})
	}
}
