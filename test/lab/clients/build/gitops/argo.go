package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"time"

	"github.com/argoproj/argo-cd/gitops-engine/pkg/diff"
	"github.com/argoproj/argo-cd/gitops-engine/pkg/sync"
	"github.com/argoproj/argo-cd/gitops-engine/pkg/sync/common"
	"github.com/argoproj/argo-cd/gitops-engine/pkg/utils/kube"
	"github.com/argoproj/argo-cd/gitops-engine/pkg/utils/tracing"
	argocommon "github.com/argoproj/argo-cd/v3/common"
	"github.com/argoproj/argo-cd/v3/pkg/apis/application/v1alpha1"
	argoutil "github.com/argoproj/argo-cd/v3/util/argo"
	argodiff "github.com/argoproj/argo-cd/v3/util/argo/diff"
	"github.com/argoproj/argo-cd/v3/util/argo/normalizers"
	"github.com/fluxcd/pkg/ssa/utils"
	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"
)

const (
	argoDiffHelp = `Says what Argo CD would call OutOfSync, and prints how it differs. Prints nothing for what is in sync.

Examples:
  gitops argo-diff --filename=app.yaml
  gitops argo-diff --server-side=false --filename=app.yaml --ignore-jq='.spec.template.spec.containers[].envFrom'
`
	argoSyncHelp = `Applies manifests as a sync of Argo CD does, and prints its message for each object. A server-side apply of
Argo CD's takes over the fields of others without asking (ForceConflicts), so there is no flag for it.

Example:
  gitops argo-sync --server-side --filename=app.yaml
`
)

// argo does what Argo CD's application controller does. Paths are those of github.com/argoproj/argo-cd v3.5.7.
type argo struct {
	serverSide, structured, includeMutationWebhooks bool

	ignorePointers, ignoreJQ, ignoreManagers list
}

func (a *argo) diffFlags(flags *flag.FlagSet) {
	flags.BoolVar(&a.serverSide, "server-side", true, "compare with a dry run of a server-side apply: ServerSideDiff=true")
	flags.BoolVar(&a.structured, "structured", false,
		"without --server-side: merge in the schema's terms, as for an Application that syncs with ServerSideApply=true")
	flags.BoolVar(&a.includeMutationWebhooks, "include-mutation-webhooks", false,
		"with --server-side: count what a webhook changes in the dry run: IncludeMutationWebhook=true")
	flags.Var(&a.ignorePointers, "ignore-json-pointer", "a jsonPointers of ignoreDifferences, for all objects (repeatable)")
	flags.Var(&a.ignoreJQ, "ignore-jq", "a jqPathExpressions of ignoreDifferences, for all objects (repeatable)")
	flags.Var(&a.ignoreManagers, "ignore-manager", "a managedFieldsManagers of ignoreDifferences, for all objects (repeatable)")
}

func (a *argo) syncFlags(flags *flag.FlagSet) {
	flags.BoolVar(&a.serverSide, "server-side", false, "apply on the server: the sync option ServerSideApply=true")
}

// kubectl is how Argo CD reaches a cluster.
var kubectl = &kube.KubectlCmd{Log: logr.Discard(), Tracer: tracing.NopTracer{}}

// wanted reads the manifests. Argo CD marks its objects with an annotation unless told otherwise
// (reposerver/repository/repository.go, where the manifests are rendered).
func (a *argo) wanted(c cluster, t target) ([]*unstructured.Unstructured, error) {
	objects, err := t.objects(c.client)
	if err != nil {
		return nil, err
	}
	for _, o := range objects {
		err := argoutil.NewResourceTracking().SetAppInstance(
			o, argocommon.LabelKeyAppInstance, t.name, t.namespace, v1alpha1.TrackingMethodAnnotation, "")
		if err != nil {
			return nil, fmt.Errorf("marking %s: %w", utils.FmtUnstructured(o), err)
		}
	}
	return objects, nil
}

// reconcile sets what is wanted beside what is there, hooks apart.
func reconcile(ctx context.Context, c cluster, namespace string, wanted []*unstructured.Unstructured) (sync.ReconciliationResult, error) {
	var targets []*unstructured.Unstructured
	live := map[kube.ResourceKey]*unstructured.Unstructured{}
	for _, o := range wanted {
		found, err := c.live(ctx, o)
		if err != nil {
			return sync.ReconciliationResult{}, err
		}
		if found != nil {
			live[kube.GetResourceKey(found)] = found
		}
		targets = append(targets, o.DeepCopy())
	}
	return sync.Reconcile(targets, live, namespace, scopes{c}), nil
}

func (a *argo) diff(ctx context.Context, t target, out io.Writer) error {
	c, err := t.connect()
	if err != nil {
		return err
	}
	wanted, err := a.wanted(c, t)
	if err != nil {
		return err
	}
	state, err := reconcile(ctx, c, t.namespace, wanted)
	if err != nil {
		return err
	}
	config, done, err := a.diffConfig(c)
	if err != nil {
		return err
	}
	defer done()
	different := false
	for i, target := range state.Target {
		if target == nil { // a hook that is there, and no part of the comparison
			continue
		}
		name := utils.FmtUnstructured(target)
		found, err := argodiff.StateDiff(state.Live[i], target, config)
		if err != nil {
			return fmt.Errorf("comparing %s: %w", name, err)
		}
		if !found.Modified {
			continue
		}
		different = true
		if err := printArgoDiff(out, name, found); err != nil {
			return fmt.Errorf("printing the difference of %s: %w", name, err)
		}
	}
	if different {
		return errDifferent
	}
	return nil
}

// diffConfig has the settings of controller/state.go, CompareAppState: those of an Application without options, in an
// Argo CD without settings, except for the flags.
func (a *argo) diffConfig(c cluster) (config argodiff.DiffConfig, done func(), err error) {
	_, parser, err := kubectl.LoadOpenAPISchema(c.config)
	if err != nil {
		return nil, nil, fmt.Errorf("loading the schema: %w", err)
	}
	runner, done, err := kubectl.ManageServerSideDiffDryRuns(c.config)
	if err != nil {
		return nil, nil, fmt.Errorf("preparing the dry run: %w", err)
	}
	config, err = argodiff.NewDiffConfigBuilder().
		WithDiffSettings(a.ignores(), overrides(), false, normalizers.IgnoreNormalizerOpts{}).
		WithTracking(argocommon.LabelKeyAppInstance, string(v1alpha1.TrackingMethodAnnotation)).
		WithNoCache().
		WithIgnoreMutationWebhook(!a.includeMutationWebhooks).
		WithGVKParser(parser).
		WithManager(argocommon.ArgoCDSSAManager).
		WithServerSideDiff(a.serverSide).
		WithServerSideDryRunner(diff.NewK8sServerSideDryRunner(runner)).
		WithStructuredMergeDiff(a.structured).
		WithLogger(logr.Discard()).
		Build()
	if err != nil {
		done()
		return nil, nil, fmt.Errorf("preparing the comparison: %w", err)
	}
	return config, done, nil
}

// ignores is the field ignoreDifferences of the Application.
func (a *argo) ignores() []v1alpha1.ResourceIgnoreDifferences {
	return []v1alpha1.ResourceIgnoreDifferences{{
		Group:                 "*",
		Kind:                  "*",
		JSONPointers:          a.ignorePointers,
		JQPathExpressions:     a.ignoreJQ,
		ManagedFieldsManagers: a.ignoreManagers,
	}}
}

// overrides is what util/settings/settings.go, GetResourceOverrides, returns of empty settings: nobody's status counts.
func overrides() map[string]v1alpha1.ResourceOverride {
	return map[string]v1alpha1.ResourceOverride{
		"*/*": {IgnoreDifferences: v1alpha1.OverrideIgnoreDiff{JSONPointers: []string{"/status"}}},
	}
}

func printArgoDiff(out io.Writer, name string, found diff.DiffResult) error {
	live, err := asYAML(found.NormalizedLive)
	if err != nil {
		return err
	}
	wanted, err := asYAML(found.PredictedLive)
	if err != nil {
		return err
	}
	return printDiff(out, name, live, wanted)
}

// asYAML is the text of an object, and of no object none.
func asYAML(object []byte) (string, error) {
	if string(object) == "null" {
		return "", nil
	}
	text, err := yaml.JSONToYAML(object)
	return string(text), err
}

// syncInterval is how often a sync looks whether what it waits for has happened.
const syncInterval = 100 * time.Millisecond

// sync goes on step by step, each with a fresh look at the cluster, until the engine says that it is over. One step is
// enough where nothing has hooks or waves.
func (a *argo) sync(ctx context.Context, t target, out io.Writer) error {
	c, err := t.connect()
	if err != nil {
		return err
	}
	wanted, err := a.wanted(c, t)
	if err != nil {
		return err
	}
	next := time.NewTicker(syncInterval)
	defer next.Stop()
	for s := (progress{phase: common.OperationRunning, began: metav1.Now()}); ; {
		if s, err = a.step(ctx, c, t.namespace, wanted, s); err != nil {
			return err
		}
		if s.phase.Completed() {
			return s.report(out)
		}
		select {
		case <-next.C:
		case <-ctx.Done():
			return fmt.Errorf("syncing: %w; so far: %s", context.Cause(ctx), s.message)
		}
	}
}

// progress is what one step of a sync leaves to the next.
type progress struct {
	phase   common.OperationPhase
	message string
	results []common.ResourceSyncResult
	began   metav1.Time
}

func (a *argo) step(
	ctx context.Context, c cluster, namespace string, wanted []*unstructured.Unstructured, s progress,
) (progress, error) {
	state, err := reconcile(ctx, c, namespace, wanted)
	if err != nil {
		return s, err
	}
	running, done, err := sync.NewSyncContext("", state, c.config, c.config, kubectl, namespace, a.syncOptions(s)...)
	if err != nil {
		return s, fmt.Errorf("preparing the sync: %w", err)
	}
	defer done()
	running.Sync()
	s.phase, s.message, s.results = running.GetState()
	return s, nil
}

// report prints what the engine says of each object.
func (s progress) report(out io.Writer) error {
	for _, r := range s.results {
		fmt.Fprintf(out, "%s/%s/%s %s: %s\n", r.ResourceKey.Kind, r.ResourceKey.Namespace, r.ResourceKey.Name, r.Status, r.Message)
	}
	if !s.phase.Successful() {
		return errors.New("syncing: " + s.message)
	}
	return nil
}

// syncOptions are those of controller/sync.go, SyncAppState, for an operation that prunes nothing and an Application
// without sync options, except for the flag. What is left out are health checks in Lua, which no built-in kind needs,
// and the permissions of projects.
func (a *argo) syncOptions(s progress) []sync.SyncOpt {
	foreground := metav1.DeletePropagationForeground
	return []sync.SyncOpt{
		sync.WithLogr(logr.Discard()),
		sync.WithOperationSettings(false, false, false, false),
		sync.WithInitialState(s.phase, s.message, s.results, s.began),
		sync.WithManifestValidation(true),
		sync.WithPrunePropagationPolicy(&foreground),
		sync.WithServerSideApply(a.serverSide),
		sync.WithServerSideApplyManager(argocommon.ArgoCDSSAManager),
		sync.WithClientSideApplyMigration(true, common.DefaultClientSideApplyMigrationManager),
	}
}

// scopes knows which kinds have a namespace.
type scopes struct{ cluster }

func (s scopes) IsNamespaced(kind schema.GroupKind) (bool, error) {
	mapping, err := s.client.RESTMapper().RESTMapping(kind)
	if err != nil {
		return false, err
	}
	return mapping.Scope.Name() == meta.RESTScopeNameNamespace, nil
}
