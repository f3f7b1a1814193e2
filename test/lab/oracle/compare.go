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

// Compare returns where two versions of an object, one right before our webhook and
// one right after it, differ that may differ only in what is ours (I11): our annotation
// of the template, our labels, managedFields, and the names in refs as far as they lead
// to the same source. old is what was stored before, if anything. The paths alone: what
// is there may be secret.
func Compare(old, before, after []byte) ([]string, error) {
	was, err := read(old)
	if err != nil {
		return nil, err
	}
	a, err := read(before)
	if err != nil {
		return nil, err
	}
	b, err := read(after)
	if err != nil {
		return nil, err
	}
	l := leadsOf(was, a, b)
	if added, _, _ := unstructured.NestedString(b, "metadata", "labels", wellknown.Enabled); added == wellknown.True && !says(a, wellknown.Enabled) {
		unstructured.RemoveNestedField(b, "metadata", "labels", wellknown.Enabled) // the stamp
	}
	without(a, func(key string) bool { return key == wellknown.Enabled && releases(a) && !says(b, key) }, "metadata", "labels")
	l.foreignPart(a)
	l.foreignPart(b)
	return differences("", a, b), nil
}

func read(text []byte) (map[string]any, error) {
	object := map[string]any{}
	if len(text) == 0 {
		return object, nil
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber() // large numbers that differ stay different
	if err := decoder.Decode(&object); err != nil {
		return nil, fmt.Errorf("reading an object: %w", err)
	}
	return object, nil
}

func says(object map[string]any, label string) bool {
	_, is, _ := unstructured.NestedString(object, "metadata", "labels", label)
	return is
}

// releases says whether an object carries the label that is consumed.
func releases(object map[string]any) bool {
	value, _, _ := unstructured.NestedString(object, "metadata", "labels", wellknown.Enabled)
	return value == wellknown.Released
}

// leads are the sources to which names lead, both as in "configmap/app". Each has one:
// what is read from the source db where somebody wrote app is another program's config.
type leads map[string]string

// leadsOf finds them in the pins of an object's versions, the last of which is our
// answer: that one is believed about what is called after the source, and the others, which
// are whatever somebody wrote, about all that it says nothing of. A snapshot that no pins
// know, as in what somebody exported, leads to the source that it is called after.
func leadsOf(versions ...map[string]any) leads {
	found := leads{}
	var named []Ref
	for i, object := range versions {
		named = append(named, refsIn(object["spec"])...)
		for _, path := range templatePaths {
			pins, _, _ := unstructured.NestedString(object, slices.Concat(path, []string{"metadata", "annotations", wellknown.Pins})...)
			for source, name := range pinsIn(pins) {
				if kind, of, _ := strings.Cut(source, "/"); i < len(versions)-1 || namedAfter(name, of) {
					found[key(kind, name)] = source
				}
			}
		}
	}
	pinned := slices.Sorted(maps.Values(found))
	sources := slices.Clone(pinned)
	for _, ref := range named {
		sources = append(sources, ref.String())
	}
	for _, ref := range named {
		if _, known := found[ref.String()]; known || slices.Contains(pinned, ref.String()) {
			continue
		}
		for _, source := range sources {
			if kind, of, _ := strings.Cut(source, "/"); strings.EqualFold(kind, ref.Kind) && namedAfter(ref.Name, of) {
				found[ref.String()] = source
			}
		}
	}
	return found
}

// foreignPart takes from an object what is ours.
func (l leads) foreignPart(object map[string]any) {
	unstructured.RemoveNestedField(object, "metadata", "managedFields")
	without(object, isOurLabel, "metadata", "labels")
	for _, path := range templatePaths {
		without(object, func(key string) bool { return key == wellknown.Pins }, slices.Concat(path, []string{"metadata", "annotations"})...)
	}
	walk(object["spec"], func(kind string, holder map[string]any, field string) {
		name, _ := holder[field].(string)
		if source, leads := l[key(kind, name)]; leads {
			_, holder[field], _ = strings.Cut(source, "/")
		}
	})
}

func isOurLabel(key string) bool {
	return key == wellknown.Resume || strings.HasPrefix(key, wellknown.ObservedPrefix)
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
