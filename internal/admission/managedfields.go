package admission

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"gomodules.xyz/jsonpatch/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/configpin/configpin/internal/pin"
	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/workload"
)

// disown takes the names that a rollback brought back out of the managedFields
// of whoever rolled back. `kubectl rollout undo` writes them by an update, which
// makes kubectl their owner, and every later server-side apply of the manifest,
// by helm or a GitOps tool, would conflict with it for ever. Owners by apply
// keep what they own.
func disown(object workload.Object, decision pin.Decision) ([]jsonpatch.Operation, error) {
	names := rolledBack(object, decision)
	if names.Empty() || object.ManagedFields == "" {
		return nil, nil
	}
	var entries []metav1.ManagedFieldsEntry
	if err := json.Unmarshal([]byte(object.ManagedFields), &entries); err != nil {
		return nil, fmt.Errorf("reading the managedFields of %s %q: %w", object.Kind.Kind, object.Name, err)
	}
	var operations []jsonpatch.Operation
	for i, entry := range slices.Backward(entries) { // removals must not move what comes next
		if entry.Operation != metav1.ManagedFieldsOperationUpdate || entry.Subresource != "" || entry.FieldsV1 == nil {
			continue
		}
		operation, changed, err := without(entry, names, "/metadata/managedFields/"+strconv.Itoa(i))
		if err != nil {
			return nil, fmt.Errorf("reading the managedFields of %s %q: %w", object.Kind.Kind, object.Name, err)
		}
		if changed {
			operations = append(operations, operation)
		}
	}
	return operations, nil
}

// without removes names from an entry, and the entry if nothing is left of it.
func without(entry metav1.ManagedFieldsEntry, names *fieldpath.Set, pointer string) (operation jsonpatch.Operation, changed bool, err error) {
	var owned fieldpath.Set
	if err := owned.FromJSON(bytes.NewReader(entry.FieldsV1.GetRawBytes())); err != nil {
		return operation, false, err
	}
	left := owned.RecursiveDifference(names)
	if left.Size() == owned.Size() {
		return operation, false, nil
	}
	if left.Empty() {
		return jsonpatch.NewOperation("remove", pointer, nil), true, nil
	}
	raw, err := left.ToJSON()
	if err != nil {
		return operation, false, err
	}
	return jsonpatch.NewOperation("replace", pointer+"/fieldsV1", json.RawMessage(raw)), true, nil
}

// rolledBack is where the names that were rolled back are owned.
func rolledBack(object workload.Object, decision pin.Decision) *fieldpath.Set {
	names := fieldpath.NewSet()
	for _, outcome := range decision.Outcomes {
		if outcome.Reason != pin.ReasonRolledBack {
			continue
		}
		for _, ref := range refs.Walk(object.Template.Spec) {
			if ref.Kind == outcome.Source.Kind && ref.Name == outcome.Name {
				names.Insert(ownedAt(object.Kind, ref.Place))
			}
		}
	}
	return names
}

// ownedAt is the path under which the name of a ref is owned. Some of the
// structures around a name are atomic, which means owned as a whole: the
// selectors of environment variables, and the lists envFrom and
// projected.sources (listType and structType in k8s.io/api/core/v1/types.go).
func ownedAt(kind *workload.Kind, place refs.Place) fieldpath.Path {
	var parts []any
	for _, field := range kind.Path {
		parts = append(parts, field)
	}
	parts = append(parts, "spec", place.Section, fieldpath.KeyByFields("name", place.Owner))
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
