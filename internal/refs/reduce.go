package refs

import "encoding/json"

// Reduce returns a small PodSpec that refers to the same targets, those that only
// repeated variables name by such: what is left of a template for those who need to
// know no more of it, such as a cache of ten thousand.
func Reduce(spec string) string {
	firm, repeated := map[Target]bool{}, map[Target]bool{}
	var order []Target
	for _, ref := range Walk(spec) {
		if !firm[ref.Target] && !repeated[ref.Target] {
			order = append(order, ref.Target)
		}
		if ref.Repeated {
			repeated[ref.Target] = true
		} else {
			firm[ref.Target] = true
		}
	}
	reduced := reducedSpec{Volumes: []reference{}}
	var env []any
	for _, target := range order {
		if firm[target] {
			reduced.Volumes = append(reduced.Volumes, referTo(target, volumeForms))
		} else {
			env = append(env, map[string]reference{"valueFrom": referTo(target, envForms)})
		}
	}
	if len(env) > 0 { // nameless all, and so repeated; beside an empty one where there is one only
		reduced.Containers = []map[string][]any{{"env": append(env, struct{}{})}}
	}
	text, _ := json.Marshal(reduced) // strings always marshal
	return string(text)
}

type reducedSpec struct {
	Volumes    []reference        `json:"volumes"`
	Containers []map[string][]any `json:"containers,omitempty"`
}

// reference holds, by the field that refers to an object, the object's name.
type reference map[string]map[string]string

func referTo(target Target, forms []form) reference {
	for _, form := range forms {
		if form.kind == target.Kind {
			return reference{form.field: {form.name: target.Name}}
		}
	}
	return nil
}
