package admission

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"

	"gomodules.xyz/jsonpatch/v2"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/configpin/configpin/internal/pin"
	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/wellknown"
	"github.com/configpin/configpin/internal/workload"
)

// own puts right who owns the names that this answer replaces, and those that a
// rollback brought back.
//
// Nobody owns them by an update. `kubectl apply` writes the source's name and
// `kubectl rollout undo` an old snapshot's, which makes them owners of the field;
// every later server-side apply of the manifest, by helm or a GitOps tool, would
// conflict with them for ever.
//
// Who owned them by apply before the update still does. Otherwise a ref that is
// taken out of their manifest later would stay in the object.
//
// A write that changes nothing else leaves the list as it is stored. The API server
// sorts it by time, and takes another order for a change.
func own(request pin.Request, decision pin.Decision) ([]jsonpatch.Operation, error) {
	object := request.New
	if len(decision.Patch) == 0 && !slices.ContainsFunc(decision.Outcomes, rolledBack) || hasOneApplier(object.ManagedFields) {
		return nil, nil
	}
	found := refs.Walk(object.Template.Spec)
	names := answered(object, found, decision)
	if names.Empty() {
		return nil, nil
	}
	written, err := readOwners(object.ManagedFields)
	if err != nil {
		return nil, fmt.Errorf("reading the managedFields of %s %q: %w", object.Kind.Kind, object.Name, err)
	}
	var before owners
	if request.Old != nil {
		if before, err = readOwners(request.Old.ManagedFields); err != nil {
			return nil, fmt.Errorf("reading the managedFields of %s %q: %w", object.Kind.Kind, object.Name, err)
		}
	}
	taken := written.byUpdate().Intersection(names).Difference(before.byUpdate())
	now := written.disown(names).giveBack(before, taken)
	if now.same(before) && leavesTemplate(request, found, decision) {
		now = before
	}
	if reflect.DeepEqual(now, written) {
		return nil, nil
	}
	entries, err := now.entries()
	if err != nil {
		return nil, fmt.Errorf("writing the managedFields of %s %q: %w", object.Kind.Kind, object.Name, err)
	}
	return []jsonpatch.Operation{jsonpatch.NewOperation("replace", "/metadata/managedFields", entries)}, nil
}

func rolledBack(outcome pin.Outcome) bool { return outcome.Reason == pin.ReasonRolledBack }

// leavesTemplate says whether the PodSpec is stored as it was.
func leavesTemplate(request pin.Request, found []refs.Ref, decision pin.Decision) bool {
	names := map[string]string{}
	for _, operation := range decision.Patch {
		if name, isName := operation.Value.(string); isName {
			names[operation.Path] = name
		}
	}
	object := request.New
	spec := refs.Rewrite(object.Template.Spec, found, func(ref refs.Ref) string {
		return cmp.Or(names[object.Kind.PointerOf(ref.Pointer)], ref.Name)
	})
	return request.Old != nil && spec == request.Old.Template.Spec
}

// answered is where the names that this answer is about are owned.
func answered(object workload.Object, found []refs.Ref, decision pin.Decision) *fieldpath.Set {
	replaced := map[string]bool{}
	for _, operation := range decision.Patch {
		replaced[operation.Path] = true
	}
	restored := map[refs.Target]bool{}
	for _, outcome := range decision.Outcomes {
		if rolledBack(outcome) {
			restored[refs.Target{Kind: outcome.Source.Kind, Name: outcome.Name}] = true
		}
	}
	names := fieldpath.NewSet()
	if len(restored) > 0 {
		names.Insert(pinsOwnedAt(object.Kind))
	}
	for _, ref := range found {
		if restored[ref.Target] || replaced[object.Kind.PointerOf(ref.Pointer)] {
			names.Insert(ownedAt(object.Kind, ref.Place))
		}
	}
	return names
}

// ownedAt is the path under which the name of a ref is owned. Some of the
// structures around a name are atomic, which means owned as a whole: the
// selectors of environment variables, and the lists envFrom and
// projected.sources (listType and structType in k8s.io/api/core/v1/types.go).
func ownedAt(kind *workload.Kind, place refs.Place) fieldpath.Path {
	parts := append(templateParts(kind), "spec", place.Section, fieldpath.KeyByFields("name", place.Owner))
	switch {
	case place.List == "env":
		parts = append(parts, "env", fieldpath.KeyByFields("name", place.Item), "valueFrom", place.Field)
	case place.List == "envFrom":
		parts = append(parts, "envFrom")
	case place.List == "projected":
		parts = append(parts, "projected", "sources")
	case place.Field == "secret":
		parts = append(parts, "secret", "secretName")
	default:
		parts = append(parts, place.Field, "name")
	}
	return fieldpath.MakePathOrDie(parts...)
}

// pinsOwnedAt is the path under which our own annotation is owned. An undo brings
// it back, and leaves an owner of it whom Flux would find and remove.
func pinsOwnedAt(kind *workload.Kind) fieldpath.Path {
	return fieldpath.MakePathOrDie(append(templateParts(kind), "metadata", "annotations", wellknown.Pins)...)
}

func templateParts(kind *workload.Kind) []any {
	var parts []any
	for _, field := range kind.Path {
		parts = append(parts, field)
	}
	return parts
}
