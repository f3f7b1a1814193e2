package conformance_test

import (
	"context"
	_ "embed" // for the kind of custom resources
	"flag"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"github.com/configpin/configpin/manifests"
	"github.com/configpin/configpin/test/conformance"
	"github.com/configpin/configpin/test/lab/clients"
	"github.com/configpin/configpin/test/lab/controlplane"
	"github.com/configpin/configpin/test/lab/controlplane/process"
	"github.com/configpin/configpin/test/lab/installation"
	"github.com/configpin/configpin/test/lab/markdown"
	"github.com/configpin/configpin/test/lab/tools"
)

// parallel is beyond the number of scenarios: the suite says itself how many of them
// run at a time.
const parallel = "10000"

func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", parallel); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

const settle = 500 * time.Millisecond

// minAge is more than what a mark without regard to it would take.
const minAge = 5 * time.Second

func TestConformance(t *testing.T) {
	conformance.Run(t, target(t))
}

// TestDisturbances has a cluster of its own, since its scenarios wait most of the time, and
// the others don't.
func TestDisturbances(t *testing.T) {
	conformance.Disturb(t, target(t))
}

// target starts a cluster, for a test that runs beside others.
func target(t *testing.T) conformance.Target {
	t.Helper()
	if testing.Short() {
		t.Skip("starts a control plane")
	}
	t.Parallel()
	dir := t.TempDir()
	auditLog := filepath.Join(dir, "audit.log")
	cluster, err := controlplane.Start(t.Context(), controlplane.Options{Dir: dir, Progress: t.Output(), AuditLog: auditLog})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, cluster.Stop()) })
	o := install(t, cluster)
	programs, err := clients.Build(t.Context(), t.Output())
	require.NoError(t, err)
	return conformance.Target{
		Config:     cluster.Config(),
		Kubeconfig: cluster.Kubeconfig(),
		Kubectl:    cluster.Binaries().Path("kubectl"),
		AuditLog:   auditLog,
		Clients: conformance.Clients{
			Helm3:     programs.Path(clients.Helm3),
			Helm4:     programs.Path(clients.Helm4),
			Kustomize: programs.Path(clients.Kustomize),
			GitOps:    programs.Path(clients.Gitops),
		},
		ArgoIgnores:   argoIgnores(t),
		Settle:        settle,
		MinAge:        minAge,
		ReferenceKind: anythingKind,
		Corpus:        os.Getenv("CONFIGPIN_CORPUS"),
		Operator:      o,
	}
}

// argoIgnores are read from the document, so that what it says is what is tested.
func argoIgnores(t *testing.T) []string {
	t.Helper()
	root, err := tools.Checkout()
	require.NoError(t, err)
	text, err := os.ReadFile(filepath.Join(root, "docs", "gitops.md"))
	require.NoError(t, err)
	var settings struct {
		Spec struct {
			IgnoreDifferences []struct{ JQPathExpressions []string }
		}
	}
	for _, block := range markdown.Parse("docs/gitops.md", string(text)).Blocks {
		if strings.Contains(strings.Join(block.Lines, "\n"), "ignoreDifferences:") {
			require.NoError(t, yaml.Unmarshal([]byte(strings.Join(block.Lines, "\n")), &settings))
		}
	}
	require.Len(t, settings.Spec.IgnoreDifferences, 1)
	return settings.Spec.IgnoreDifferences[0].JQPathExpressions
}

// The kind of custom resources that can name snapshots.
const anything = "conformance.configpin.io/v1/anythings"

var anythingKind = schema.GroupVersionKind{Group: "conformance.configpin.io", Version: "v1", Kind: "Anything"}

//go:embed testdata/anything.yaml
var anythingDefinition []byte

// bePatient has the API server wait longer for the webhook. A machine that plays six
// scenarios at a time, and whatever else, takes more than three seconds for some answers,
// and what is un-pinned until the next touch is for the scenarios in which the webhook is
// away.
func bePatient(t *testing.T, objects []*unstructured.Unstructured) {
	t.Helper()
	for _, object := range objects {
		if object.GetKind() != "MutatingWebhookConfiguration" {
			continue
		}
		webhooks, _, err := unstructured.NestedSlice(object.Object, "webhooks")
		require.NoError(t, err)
		for _, webhook := range webhooks {
			webhook.(map[string]any)["timeoutSeconds"] = int64(10)
		}
		require.NoError(t, unstructured.SetNestedSlice(object.Object, webhooks, "webhooks"))
	}
}

func install(t *testing.T, cluster *controlplane.Cluster) *operator {
	t.Helper()
	objects, err := manifests.Objects(manifests.Secrets, manifests.DigestKey)
	require.NoError(t, err)
	bePatient(t, objects)
	options := installation.Options{
		Objects:      objects,
		WebhookFlags: []string{"--secrets", "--hash-annotations=" + conformance.OwnHash, "--drain=0s", "-v=1"},
		VersionerFlags: []string{
			"--secrets", "--hash-annotations=" + conformance.OwnHash, "--settle=" + settle.String(), "--settle-max=3s", "--rollout-burst=1000", "--snapshot-burst=1000", "--sweep=2s", "-v=1",
			"--gc-interval=3s", "--gc-min-age=" + minAge.String(), "--gc-grace=90s", "--gc-gone-after=95s", "--secrets-gc-gone-after=95s", "--gc-reference-kinds=" + anything,
			"--lease-duration=20s", // a machine that does something else too takes seconds to renew it
		},
		Progress: t.Output(),
	}
	i, err := installation.New(t.Context(), cluster, options)
	require.NoError(t, err)
	options.Dir, options.BuildFlags = filepath.Join(cluster.Dir(), "faults"), []string{"-tags=faults"}
	failing, err := installation.New(t.Context(), cluster, options)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, i.Stop()) })
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the webhook says last:\n%s", i.Webhook().LogTail(40))
			t.Logf("the versioner runs: %t; it says last:\n%s", i.Versioner("versioner").Running(), i.Versioner("versioner").LogTail(40))
		}
	})
	definition, err := manifests.Parse(anythingDefinition)
	require.NoError(t, err)
	require.NoError(t, i.Apply(t.Context(), definition))
	require.NoError(t, i.StartVersioner(t.Context())) // first: it makes the key that the webhook waits for
	require.NoError(t, i.StartWebhook(t.Context()))
	return &operator{
		Installation: i,
		failing:      failing,
		cluster:      cluster,
		lenient:      objects,
	}
}

// operator is what Run needs of an installation.
type operator struct {
	*installation.Installation
	failing *installation.Installation // of programs that can fail
	cluster *controlplane.Cluster
	lenient []*unstructured.Unstructured // what is installed by default
}

// BeStrict installs what kubectl makes of the overlay, as people do.
func (o *operator) BeStrict(ctx context.Context) error {
	root, err := tools.Checkout()
	if err != nil {
		return err
	}
	built, err := exec.CommandContext(ctx, o.cluster.Binaries().Path("kubectl"), "kustomize", filepath.Join(root, "manifests", "strict")).Output()
	if err != nil {
		return fmt.Errorf("building manifests/strict: %w", err)
	}
	objects, err := manifests.Parse(built)
	if err != nil {
		return err
	}
	return o.Apply(ctx, objects)
}

func (o *operator) BeLenient(ctx context.Context) error { return o.Apply(ctx, o.lenient) }

func (o *operator) Said(ctx context.Context) (string, error) {
	var said strings.Builder
	for _, p := range []*process.Process{o.Webhook(), o.Versioner("versioner")} {
		health, err := o.HealthURL(p.Name)
		if err != nil {
			return "", err
		}
		metrics, err := get(ctx, health+"/metrics")
		if err != nil {
			return "", err
		}
		said.WriteString(metrics + p.LogTail(math.MaxInt))
	}
	return said.String(), nil
}

func (o *operator) Readiness(ctx context.Context) (string, error) {
	health, err := o.HealthURL("versioner")
	if err != nil {
		return "", err
	}
	return get(ctx, health+"/readyz")
}

func get(ctx context.Context, url string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return string(body), err
}

func (o *operator) KillAPIServer() error { return o.cluster.Process("kube-apiserver").Kill() }

func (o *operator) StartAPIServer(ctx context.Context) error {
	if err := o.cluster.Process("kube-apiserver").Start(); err != nil {
		return err
	}
	return o.cluster.Ready(ctx)
}

func (o *operator) FreezeStore() error { return o.cluster.Process("etcd").Pause() }
func (o *operator) ThawStore() error   { return o.cluster.Process("etcd").Resume() }

func (o *operator) StartVersioner(ctx context.Context) error {
	return o.Installation.StartVersioner(ctx)
}

func (o *operator) StopVersioner() error { return o.Installation.StopVersioner() }
func (o *operator) KillVersioner() error { return o.Installation.KillVersioner() }

func (o *operator) StartRivals(ctx context.Context, flags []string, names ...string) error {
	return o.Variant(append([]string{"--leader-elect=false"}, flags...), nil).StartVersioner(ctx, names...)
}

// StopRivals finds them by their names, whoever started them.
func (o *operator) StopRivals(names ...string) error { return o.Installation.StopVersioner(names...) }

// StartFailing doesn't let the versioner elect: one that exits keeps its lease,
// and the next would have to wait for it. Nor does it collect, since what it has to
// do then, and so its number of calls, would depend on the time.
func (o *operator) StartFailing(ctx context.Context, when conformance.Failure) (conformance.Failing, error) {
	name, variable := fmt.Sprintf("failing-before-%d", when.Call), "CONFIGPIN_EXIT_BEFORE_CALL"
	if when.After {
		name, variable = fmt.Sprintf("failing-after-%d", when.Call), "CONFIGPIN_EXIT_AFTER_CALL"
	}
	variant := o.failing.Variant([]string{"--leader-elect=false", "--gc=off"}, []string{fmt.Sprintf("%s=%d", variable, when.Call)})
	failing := &failing{variant, variant.Versioner(name)}
	err := variant.StartVersioner(ctx, name)
	if failing.Failed() {
		return failing, nil
	}
	return failing, err
}

// failing is a versioner that exits at one of its calls.
type failing struct {
	variant *installation.Installation
	process *process.Process
}

// Failed believes the log, since nobody else saw the exit code.
func (f *failing) Failed() bool {
	return !f.process.Running() && strings.Contains(f.process.LogTail(10), "fault: exit at call")
}

func (f *failing) Stop() error { return f.variant.StopVersioner(f.process.Name) }
