package main

import (
	"context"
	"flag"
	"fmt"
	"io"

	"github.com/fluxcd/cli-utils/pkg/kstatus/polling"
	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/ssa"
	"github.com/fluxcd/pkg/ssa/jsondiff"
	"github.com/fluxcd/pkg/ssa/normalize"
	"github.com/fluxcd/pkg/ssa/utils"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

const (
	fluxDiffHelp = `Says for each object what Flux would do to it (unchanged, configured, created, skipped), and prints how what is
configured differs.

Example:
  gitops flux-diff --filename=app.yaml
`
	fluxApplyHelp = `Applies manifests as Flux reconciles a Kustomization, and prints what it did to each object. Flux takes over the fields
of others without asking; --force is something else.

Example:
  gitops flux-apply --filename=app.yaml
`
)

// fluxController is the name of the controller: it owns the fields (main.go, controllerName).
const fluxController = "kustomize-controller"

// fluxNamespace is where the Kustomization would be.
const fluxNamespace = "flux-system"

// flux does what Flux's controller of Kustomizations does, in internal/controller/kustomization_controller.go of
// github.com/fluxcd/kustomize-controller v1.9.6.
type flux struct {
	force  bool
	ignore list
}

func (f *flux) flags(flags *flag.FlagSet) {
	flags.BoolVar(&f.force, "force", false, "make an object anew when what can't change should: spec.force")
	flags.Var(&f.ignore, "ignore-json-pointer", "a path of spec.ignore, for all objects (repeatable)")
}

// prepare returns what the controller's reconcile makes before it applies: objects with the labels of their owner and
// in the form that the API server would give them.
func (f *flux) prepare(t target) (*ssa.ResourceManager, []*unstructured.Unstructured, error) {
	c, err := t.connect()
	if err != nil {
		return nil, nil, err
	}
	objects, err := t.objects(c.client)
	if err != nil {
		return nil, nil, err
	}
	poller := polling.NewStatusPoller(c.client, c.client.RESTMapper(), polling.Options{})
	manager := ssa.NewResourceManager(c.client, poller, ssa.Owner{Field: fluxController, Group: kustomizev1.GroupVersion.Group})
	manager.SetOwnerLabels(objects, t.name, fluxNamespace)
	if err := normalize.UnstructuredList(objects); err != nil {
		return nil, nil, fmt.Errorf("normalizing the manifests: %w", err)
	}
	return manager, objects, nil
}

// diff decides as the controller's apply does before it writes. The controller itself has no diff.
func (f *flux) diff(ctx context.Context, t target, out io.Writer) error {
	manager, objects, err := f.prepare(t)
	if err != nil {
		return err
	}
	apply, different := f.applyOptions(), false
	options := ssa.DiffOptions{
		Exclusions:           apply.ExclusionSelector,
		IfNotPresentSelector: apply.IfNotPresentSelector,
		Force:                apply.Force,
		ForceSelector:        apply.ForceSelector,
		DriftIgnoreRules:     apply.DriftIgnoreRules,
	}
	for _, o := range objects {
		entry, live, wanted, err := manager.Diff(ctx, o, options)
		if err != nil {
			return fmt.Errorf("comparing %s: %w", utils.FmtUnstructured(o), err)
		}
		fmt.Fprintln(out, entry)
		different = different || entry.Action == ssa.CreatedAction || entry.Action == ssa.ConfiguredAction
		if live == nil || wanted == nil {
			continue
		}
		if err := printDiff(out, entry.Subject, utils.ObjectToYAML(live), utils.ObjectToYAML(wanted)); err != nil {
			return fmt.Errorf("printing the difference of %s: %w", entry.Subject, err)
		}
	}
	if different {
		return errDifferent
	}
	return nil
}

func (f *flux) apply(ctx context.Context, t target, out io.Writer) error {
	manager, objects, err := f.prepare(t)
	if err != nil {
		return err
	}
	changes, err := manager.ApplyAllStaged(ctx, objects, f.applyOptions())
	if changes != nil && len(changes.Entries) > 0 {
		fmt.Fprintln(out, changes)
	}
	if err != nil {
		return fmt.Errorf("applying: %w", err)
	}
	return nil
}

// applyOptions are those of the controller's apply: what an object may say for itself, and what to take away from those
// who had applied it before, for a controller without --override-manager.
func (f *flux) applyOptions() ssa.ApplyOptions {
	reconcile, serverSide := kustomizev1.GroupVersion.Group+"/reconcile", kustomizev1.GroupVersion.Group+"/ssa"
	options := ssa.DefaultApplyOptions()
	options.Force = f.force
	options.ExclusionSelector = map[string]string{reconcile: kustomizev1.DisabledValue, serverSide: kustomizev1.IgnoreValue}
	options.IfNotPresentSelector = map[string]string{serverSide: kustomizev1.IfNotPresentValue}
	options.ForceSelector = map[string]string{kustomizev1.GroupVersion.Group + "/force": kustomizev1.EnabledValue}
	if len(f.ignore) > 0 {
		options.DriftIgnoreRules = []jsondiff.IgnoreRule{{Paths: f.ignore}}
	}
	options.Cleanup = ssa.ApplyCleanupOptions{
		Annotations: []string{
			corev1.LastAppliedConfigAnnotation, "kustomize.toolkit.fluxcd.io/checksum", "fluxcd.io/sync-checksum",
		},
		Labels: []string{"fluxcd.io/sync-gc-mark"},
		FieldManagers: []ssa.FieldManager{
			{Name: "kubectl", OperationType: metav1.ManagedFieldsOperationApply},
			{Name: "kubectl", OperationType: metav1.ManagedFieldsOperationUpdate},
			{Name: "before-first-apply", OperationType: metav1.ManagedFieldsOperationUpdate},
			{Name: fluxController, OperationType: metav1.ManagedFieldsOperationUpdate},
		},
		Exclusions: map[string]string{serverSide: kustomizev1.MergeValue},
	}
	return options
}
