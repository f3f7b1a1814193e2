package oracle

import (
	"maps"
	"slices"
)

// Kinds that a Pod can need.
const (
	configMap = "ConfigMap"
	secret    = "Secret"
)

// target is how a field of a PodSpec names something.
type target struct {
	kind string
	name string // the field in it that holds the name
	in   string // the field around it, if not any will do
}

// targets are the fields that name ConfigMaps and Secrets, by their own names,
// wherever they are: this walk knows no types, so it shares no mistake with one
// that does. A secretRef counts in envFrom alone, because storage drivers have
// fields of that name too.
var targets = map[string][]target{
	"configMapRef":    {{kind: configMap, name: "name"}},
	"configMapKeyRef": {{kind: configMap, name: "name"}},
	"configMap":       {{kind: configMap, name: "name"}},
	"secretRef":       {{kind: secret, name: "name", in: "envFrom"}},
	"secretKeyRef":    {{kind: secret, name: "name"}},
	"secret":          {{kind: secret, name: "secretName"}, {kind: secret, name: "name", in: "sources"}},
}

// walk visits every field of a JSON value that names something: the object that
// holds the name, and the name's field.
func walk(value any, visit func(kind string, holder map[string]any, field string)) {
	walkIn("", value, visit)
}

func walkIn(around string, value any, visit func(string, map[string]any, string)) {
	switch v := value.(type) {
	case []any:
		for _, element := range v {
			walkIn(around, element, visit)
		}
	case map[string]any:
		for _, field := range slices.Sorted(maps.Keys(v)) {
			if holder, is := v[field].(map[string]any); is {
				visitTargets(around, field, holder, visit)
			}
			walkIn(field, v[field], visit)
		}
	}
}

func visitTargets(around, field string, holder map[string]any, visit func(string, map[string]any, string)) {
	for _, t := range targets[field] {
		if name, named := holder[t.name].(string); named && name != "" && (t.in == "" || t.in == around) {
			visit(t.kind, holder, t.name)
		}
	}
}

// refsIn are the refs in a JSON value, each once. One that is optional in one
// place and required in another is required.
func refsIn(value any) []Ref {
	var found []Ref
	walk(value, func(kind string, holder map[string]any, field string) {
		name, _ := holder[field].(string)
		optional, _ := holder["optional"].(bool)
		at := slices.IndexFunc(found, func(r Ref) bool { return r.Kind == kind && r.Name == name })
		if at < 0 {
			found = append(found, Ref{kind, name, optional})
			return
		}
		found[at].Optional = found[at].Optional && optional
	})
	return found
}
