package live

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/tidwall/gjson"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/workload"
)

// History reads, live, the templates that workloads had.
type History struct{ api rest.Interface }

// NewHistory returns the History of the cluster at config.
func NewHistory(config *rest.Config) (*History, error) {
	api, err := cluster.Dial(config)
	return &History{api}, err
}

// Templates returns, in JSON, what the controller of a workload has kept of its
// templates. object is the workload's JSON; its kind has to have revisions.
func (h *History) Templates(ctx context.Context, kind *workload.Kind, namespace, object string) ([]string, error) {
	root := gjson.Parse(object)
	uid := root.Get("metadata.uid").Str
	var selector metav1.LabelSelector
	if err := json.Unmarshal([]byte(root.Get("spec.selector").Raw), &selector); err != nil {
		return nil, fmt.Errorf("reading the selector of %s %s/%s: %w", kind.Kind, namespace, root.Get("metadata.name").Str, err)
	}
	revisions := cluster.List[string]{
		API:       h.api,
		Kind:      schema.GroupVersionResource{Group: kind.Group, Version: kind.Version, Resource: kind.Revisions},
		Namespace: namespace,
		Selector:  cluster.Selector{Labels: metav1.FormatLabelSelector(&selector)},
		Whole: func(element []byte) (string, bool, error) {
			revision := gjson.ParseBytes(element)
			template := revision.Get("spec.template")
			if !template.Exists() {
				template = revision.Get("data.spec.template")
			}
			return template.Raw, template.IsObject() && controls(uid, revision), nil
		},
	}
	var templates []string
	for template, err := range revisions.All(ctx) {
		if err != nil {
			return nil, err
		}
		templates = append(templates, template)
	}
	return templates, nil
}

// controls says whether the object with uid is the controller of another.
func controls(uid string, of gjson.Result) bool {
	found := false
	of.Get("metadata.ownerReferences").ForEach(func(_, owner gjson.Result) bool {
		found = uid != "" && owner.Get("uid").Str == uid && owner.Get("controller").Bool()
		return !found
	})
	return found
}
