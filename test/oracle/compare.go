package oracle

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/configpin/configpin/internal/wellknown"
)

// Compare returns where two versions of an object differ that may differ only in
// what is ours (I11): names of ConfigMaps and Secrets in refs, our annotation of the template,
// our labels, and managedFields. The paths alone: what is there may be secret.
func Compare(before, after []byte) ([]string, error) {
	a, err := foreignPart(before)
	if err != nil {
		return nil, err
	}
	b, err := foreignPart(after)
	if err != nil {
		return nil, err
	}
	return differences("", a, b), nil
}

// foreignPart is an object without what is ours.
func foreignPart(text []byte) (map[string]any, error) {
	var object map[string]any
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber() // large numbers that differ stay different
	if err := decoder.Decode(&object); err != nil {
		return nil, fmt.Errorf("reading an object: %w", err)
	}
	unstructured.RemoveNestedField(object, "metadata", "managedFields")
	without(object, isOurLabel, "metadata", "labels")
	for _, path := range templatePaths {
		without(object, func(key string) bool { return key == wellknown.Pins }, slices.Concat(path, []string{"metadata", "annotations"})...)
	}
	walk(object["spec"], func(_ string, holder map[string]any, field string) { holder[field] = "" })
	return object, nil
}

func isOurLabel(key string) bool {
	return key == wellknown.Enabled || key == wellknown.Resume || strings.HasPrefix(key, wellknown.ObservedPrefix)
}

// without removes keys of a map, and the map where nothing else was in it: one
// that is empty is the same as none.
func without(object map[string]any, drop func(string) bool, path ...string) {
	found, _, _ := unstructured.NestedFieldNoCopy(object, path...)
	entries, is := found.(map[string]any)
	if !is {
		return
	}
	maps.DeleteFunc(entries, func(key string, _ any) bool { return drop(key) })
	if len(entries) == 0 {
		unstructured.RemoveNestedField(object, path...)
	}
}

// differences are the paths at which two JSON values differ.
func differences(at string, a, b any) []string {
	switch x := a.(type) {
	case map[string]any:
		if y, same := b.(map[string]any); same {
			return differentFields(at, x, y)
		}
	case []any:
		if y, same := b.([]any); same && len(x) == len(y) {
			var found []string
			for i := range x {
				found = append(found, differences(fmt.Sprintf("%s[%d]", at, i), x[i], y[i])...)
			}
			return found
		}
	default:
		switch b.(type) {
		case map[string]any, []any:
		default:
			if a == b {
				return nil
			}
		}
	}
	return []string{at}
}

func differentFields(at string, a, b map[string]any) []string {
	all := maps.Clone(a)
	maps.Copy(all, b)
	var found []string
	for _, field := range slices.Sorted(maps.Keys(all)) {
		x, inA := a[field]
		y, inB := b[field]
		switch path := at + "." + field; {
		case inA && inB:
			found = append(found, differences(path, x, y)...)
		default:
			found = append(found, path)
		}
	}
	return found
}
