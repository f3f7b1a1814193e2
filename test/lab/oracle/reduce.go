package oracle

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/configpin/configpin/internal/wellknown"
)

// keys are those of Secrets' digests, by their ID: all that there ever were.
type keys map[string][]byte

// learn takes note of the key that a Secret holds.
func (k keys) learn(object *unstructured.Unstructured) {
	if object.GetKind() != secret || object.GetNamespace() != system || object.GetName() != wellknown.DigestKeySecret {
		return
	}
	encoded, _, _ := unstructured.NestedString(object.Object, "data", wellknown.DigestKeyData)
	key := decoded(encoded)
	k[keyID(key)] = key
}

// reduce makes the fact of a stored object. Nothing of the object is kept, so
// that a long test fits into memory.
func (k keys) reduce(object *unstructured.Unstructured) Fact {
	f := Fact{
		Revision:    number(object.GetResourceVersion()),
		Kind:        object.GetKind(),
		Namespace:   object.GetNamespace(),
		Name:        object.GetName(),
		UID:         string(object.GetUID()),
		Born:        object.GetCreationTimestamp().Time,
		Labels:      ours(object.GetLabels()),
		Annotations: ours(object.GetAnnotations()),
	}
	if controller := metav1.GetControllerOf(object); controller != nil {
		f.Owner = string(controller.UID)
	}
	switch f.Kind {
	case "Namespace":
		f.Namespace, f.Terminating = f.Name, object.GetDeletionTimestamp() != nil
	case configMap, secret:
		k.reduceContent(&f, object)
	case "Event":
		reduceEvent(&f, object)
	case "ControllerRevision":
		f.Refs = refsIn(object.Object["data"])
	default:
		f.Refs = refsIn(object.Object["spec"])
		f.Template = templateIn(object)
	}
	return f
}

// number reads a resourceVersion, of which the API server makes no others.
func number(resourceVersion string) uint64 {
	revision, _ := strconv.ParseUint(resourceVersion, 10, 64)
	return revision
}

// ours are the labels or annotations that are ours. Others are large at times.
func ours(all map[string]string) map[string]string {
	kept := maps.Clone(all)
	maps.DeleteFunc(kept, func(key, _ string) bool { return !isOurs(key) })
	if len(kept) == 0 {
		return nil
	}
	return kept
}

func isOurs(key string) bool {
	prefix, _, _ := strings.Cut(key, "/")
	return prefix == wellknown.Domain || prefix+"/" == wellknown.ObservedPrefix
}

func (k keys) reduceContent(f *Fact, object *unstructured.Unstructured) {
	held := contentOf(f.Kind, object.Object)
	f.Content, f.Type = held.digest("", nil), held.secretType
	switch source := f.Annotations[wellknown.Source]; {
	case source == "":
	case f.Kind == configMap:
		f.Digest = held.digest(source, nil)
	default:
		if key := k[f.Annotations[wellknown.DigestKey]]; key != nil {
			f.Digest = held.digest(source, key)
		} else {
			f.Digest = f.Annotations[wellknown.Digest] // nobody can tell
		}
	}
	f.Immutable, _, _ = unstructured.NestedBool(object.Object, "immutable")
	if fields := object.GetManagedFields(); len(fields) > 0 {
		f.Manager = fields[0].Manager
	}
	if f.Labels[wellknown.SnapshotOf] != "" {
		f.Said = fmt.Sprintln(f.Name, object.GetLabels(), object.GetAnnotations())
	}
}

func reduceEvent(f *Fact, object *unstructured.Unstructured) {
	controller, _, _ := unstructured.NestedString(object.Object, "reportingController")
	if !strings.HasPrefix(controller, wellknown.FieldManager) {
		return
	}
	f.Event = &Event{}
	f.Event.Reason, _, _ = unstructured.NestedString(object.Object, "reason")
	f.Event.RegardingNamespace, _, _ = unstructured.NestedString(object.Object, "regarding", "namespace")
	note, _, _ := unstructured.NestedString(object.Object, "note")
	f.Said = fmt.Sprintln(f.Name, note, object.GetLabels(), object.GetAnnotations())
}

// templatePaths are where a PodTemplateSpec can be, the longest first.
var templatePaths = [][]string{{"spec", "jobTemplate", "spec", "template"}, {"spec", "template"}}

func templateIn(object *unstructured.Unstructured) *Template {
	for _, path := range templatePaths {
		content, found, _ := unstructured.NestedFieldNoCopy(object.Object, path...)
		if template, is := content.(map[string]any); found && is {
			return templateOf(template)
		}
	}
	return nil
}

func templateOf(content map[string]any) *Template {
	text, _ := json.Marshal(content) // it came as JSON
	annotations, _, _ := unstructured.NestedStringMap(content, "metadata", "annotations")
	t := &Template{Hash: hash(text), Pins: pinsIn(annotations[wellknown.Pins])}
	if excluded := annotations[wellknown.Exclude]; excluded != "" {
		t.Exclude = strings.Split(excluded, ",")
		for i := range t.Exclude {
			t.Exclude[i] = strings.TrimSpace(t.Exclude[i])
		}
		slices.Sort(t.Exclude)
	}
	firm := refsIn(withoutRepeated(content["spec"]))
	for _, ref := range refsIn(content["spec"]) {
		if !slices.ContainsFunc(firm, func(f Ref) bool { return f.String() == ref.String() }) {
			t.Loose = append(t.Loose, ref.String())
		}
	}
	return t
}

// withoutRepeated is a value without the variables whose names repeat in their lists.
func withoutRepeated(value any) any {
	switch v := value.(type) {
	case []any:
		kept := make([]any, len(v))
		for i := range v {
			kept[i] = withoutRepeated(v[i])
		}
		return kept
	case map[string]any:
		kept := map[string]any{}
		for field, inside := range v {
			if list, is := inside.([]any); is && field == "env" {
				inside = slices.DeleteFunc(slices.Clone(list), func(variable any) bool { return times(list, variable) > 1 })
			}
			kept[field] = withoutRepeated(inside)
		}
		return kept
	}
	return value
}

// times is how often a list has a variable of this one's name.
func times(list []any, variable any) int {
	named := func(v any) string {
		name, _, _ := unstructured.NestedString(map[string]any{"": v}, "", "name")
		return name
	}
	count := 0
	for _, other := range list {
		if named(other) == named(variable) {
			count++
		}
	}
	return count
}

// pinsIn reads the annotation of a template.
func pinsIn(annotation string) map[string]string {
	pins := map[string]string{}
	for entry := range strings.SplitSeq(annotation, ",") {
		if source, name, is := strings.Cut(entry, "="); is {
			pins[source] = name
		}
	}
	return pins
}
