package pin

import (
	"encoding/json"
	"reflect"
	"slices"

	"github.com/configpin/configpin/internal/workload"
)

// AsksHistory says whether Decide answers otherwise if the template is one that the
// workload had before (Remember): it changes while the workload is behind, and names a pin
// that is there. A new image is to have what the sources hold by now; an undo is to bring
// back what was, and nothing newer. Nothing in the request tells them apart. It is rare, so
// that whoever asks may read for it.
func (c *Case) AsksHistory() bool {
	now, old := c.request.New, c.request.Old
	if old == nil || now.Kind.Revisions == "" || c.course != pinning {
		return false
	}
	if now.Template.Spec == old.Template.Spec && now.Template.Metadata == old.Template.Metadata {
		return false // as of most writes, a touch among them: told before anything is worked out
	}
	_, all := c.situations()
	if !slices.ContainsFunc(all, situation.behind) || slices.ContainsFunc(all, situation.outdated) {
		return false
	}
	hashes := c.request.Hashes
	return slices.ContainsFunc(all, func(s situation) bool { return s.in != s.old }) || !sameRest(c.new, c.old, hashes, c.saidSource) || !sameHashes(now.Template, old.Template, hashes)
}

// Remember tells the case which templates the workload had, in JSON, as the ReplicaSets
// or ControllerRevisions have them.
func (c *Case) Remember(templates []string) {
	c.returned = slices.ContainsFunc(templates, func(kept string) bool { return returns(c.request.New.Template, kept) })
}

// podTemplateHash is the label that the Deployment controller adds to the templates of
// ReplicaSets, and an undo takes off (k8s.io/api/apps/v1, DefaultDeploymentUniqueLabelKey).
const podTemplateHash = "pod-template-hash"

// returns says whether a template is one that a controller kept.
func returns(template workload.Template, kept string) bool {
	var before map[string]any
	if json.Unmarshal([]byte(kept), &before) != nil {
		return false
	}
	delete(before, "$patch") // k8s.io/kubernetes/pkg/controller/statefulset/stateful_set_utils.go, getPatch
	metadata, _ := before["metadata"].(map[string]any)
	labels, _ := metadata["labels"].(map[string]any)
	delete(labels, podTemplateHash)
	var now map[string]any
	text := `{"metadata":` + orEmpty(template.Metadata) + `,"spec":` + template.Spec + `}`
	return json.Unmarshal([]byte(text), &now) == nil && reflect.DeepEqual(withoutNothing(now), withoutNothing(before))
}

func orEmpty(object string) string {
	if object == "" {
		return "{}"
	}
	return object
}

// withoutNothing leaves out fields that hold nothing: whether they are written is up to
// the encoder.
func withoutNothing(value any) any {
	switch value := value.(type) {
	case map[string]any:
		for key, inner := range value {
			if inner = withoutNothing(inner); inner == nil {
				delete(value, key)
			}
		}
		if len(value) == 0 {
			return nil
		}
	case []any:
		for i := range value {
			value[i] = withoutNothing(value[i])
		}
		if len(value) == 0 {
			return nil
		}
	}
	return value
}
