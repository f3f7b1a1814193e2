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

// disown takes names out of the managedFields of whoever wrote them by an update,
// where what is stored is not what they wrote: names that this answer replaces,
// and names that a rollback brought back. `kubectl apply` writes the source's name
// and `kubectl rollout undo` an old snapshot's, which makes them owners of the
// field; every later server-side apply of the manifest, by helm or a GitOps tool,
// would conflict with them for ever. Owners by apply keep what they own: else a
// ref that is taken out of their manifest would stay in the object.
func disown(object workload.Object, decision pin.Decision) ([]jsonpatch.Operation, error) {
	if object.ManagedFields == "" {
		return nil, nil
	}
	names := disowned(object, decision)
	if names.Empty() {
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

// disowned is where the names that nobody shall own by an update are owned.
func disowned(object workload.Object, decision pin.Decision) *fieldpath.Set {
	replaced := map[string]bool{}
	for _, operation := range decision.Patch {
		replaced[operation.Path] = true
	}
	restored := map[refs.Target]bool{}
	for _, outcome := range decision.Outcomes {
		if outcome.Reason == pin.ReasonRolledBack {
			restored[refs.Target{Kind: outcome.Source.Kind, Name: outcome.Name}] = true
		}
	}
	names := fieldpath.NewSet()
	if len(replaced) == 0 && len(restored) == 0 {
		return names
	}
	for _, ref := range refs.Walk(object.Template.Spec) {
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
