package refs

import "encoding/json"

// Reduce returns the smallest PodSpec that refers to the same targets: what is
// left of a template for those who need to know no more of it, such as a cache
// of ten thousand.
func Reduce(spec string) string {
	type volume map[string]map[string]string
	volumes := []volume{}
	seen := map[Target]bool{}
	for _, ref := range Walk(spec) {
		if seen[ref.Target] {
			continue
		}
		seen[ref.Target] = true
		for _, form := range volumeForms {
			if form.kind == ref.Kind {
				volumes = append(volumes, volume{form.field: {form.name: ref.Name}})
			}
		}
	}
	reduced, _ := json.Marshal(map[string][]volume{"volumes": volumes}) // strings always marshal
	return string(reduced)
}
