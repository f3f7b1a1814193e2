// Package workload says which kinds configpin serves and where their Pod
// template sits, and reads from a raw object the parts that decisions need. It
// reads JSON in place rather than decoding typed objects: nothing is lost that
// our version of an API type doesn't know, and admission is fast.
//
// It deliberately knows nothing of refs and pins: a template is opaque here.
package workload

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tidwall/gjson"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/configpin/configpin/internal/wellknown"
)

// Kind is a kind of workload.
type Kind struct {
	Group, Version, Kind, Resource string

	// Path leads to the PodTemplateSpec, from the root of the object.
	Path []string

	// Frozen says that the template can't change after creation.
	Frozen bool

	// Revisions is the resource, of the kind's group and version, in which its
	// controller keeps the templates it had: what `kubectl rollout undo` brings back
	// (k8s.io/kubectl/pkg/polymorphichelpers/rollback.go). It is empty where there
	// are none.
	Revisions string

	// MadeBy are the kinds whose controllers make objects of this kind out of their
	// templates, and hand their labels on. Whatever else controls such an object, as
	// an operator does, gives it a template of its own.
	MadeBy []schema.GroupKind
}

// Kinds are the kinds that are served. Pods, ReplicaSets and
// ControllerRevisions are left out for good: they are copies of a template, and
// rewriting a ReplicaSet makes the Deployment controller create another one,
// without end.
var Kinds = []*Kind{
	{Group: "apps", Version: "v1", Kind: "Deployment", Resource: "deployments", Path: []string{"spec", "template"}, Revisions: "replicasets"},
	{Group: "apps", Version: "v1", Kind: "StatefulSet", Resource: "statefulsets", Path: []string{"spec", "template"}, Revisions: "controllerrevisions"},
	{Group: "apps", Version: "v1", Kind: "DaemonSet", Resource: "daemonsets", Path: []string{"spec", "template"}, Revisions: "controllerrevisions"},
	{Group: "batch", Version: "v1", Kind: "CronJob", Resource: "cronjobs", Path: []string{"spec", "jobTemplate", "spec", "template"}},
	{Group: "batch", Version: "v1", Kind: "Job", Resource: "jobs", Path: []string{"spec", "template"}, Frozen: true, MadeBy: []schema.GroupKind{{Group: "batch", Kind: "CronJob"}}},
}

// Lookup finds the served kind of a group, whatever its version: requests of
// another version are converted to ours before we see them (matchPolicy
// Equivalent). It returns nil for a kind that isn't served.
func Lookup(group, kind string) *Kind {
	for _, k := range Kinds {
		if k.Group == group && k.Kind == kind {
			return k
		}
	}
	return nil
}

// Pointer is the JSON pointer of the template.
func (k *Kind) Pointer() string { return "/" + strings.Join(k.Path, "/") }

// PointerOf is the JSON pointer, from the root of the object, of what is at
// pointer in the template's PodSpec.
func (k *Kind) PointerOf(pointer string) string { return k.Pointer() + "/spec" + pointer }

// Object is what decisions need of a workload. Its text fields are parts of
// the JSON it was read from.
type Object struct {
	Kind            *Kind
	Namespace, Name string

	// Labels are those of configpin only.
	Labels map[string]string

	// HasLabels says whether the object has any labels at all.
	HasLabels bool

	// ManagedFields is a JSON list, or empty.
	ManagedFields string

	// Misowned says that they have to be put right, for those who keep no more of them.
	Misowned bool

	Terminating bool
	Template    Template

	// CopyOf is the workload of whose template the object is a copy, such as
	// "cronjob/report" of a Job, or empty. What it names was decided there.
	CopyOf string
}

// Template is a PodTemplateSpec.
type Template struct {
	// Metadata and Spec are JSON objects. Metadata is empty where the template
	// has none.
	Metadata, Spec string

	// Annotations are those of configpin only.
	Annotations map[string]string
}

// Read reads an object of kind from its JSON, which must be valid. It fails
// only when the object has no template.
func (k *Kind) Read(raw string) (Object, error) {
	root := gjson.Parse(raw)
	object := Object{Kind: k}
	root.Get("metadata").ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "name":
			object.Name = value.Str
		case "namespace":
			object.Namespace = value.Str
		case "deletionTimestamp":
			object.Terminating = value.Type != gjson.Null
		case "labels":
			object.HasLabels = value.IsObject()
			object.Labels = ours(value)
		case "managedFields":
			object.ManagedFields = value.Raw
		case "ownerReferences":
			object.CopyOf = k.copyOf(value)
		}
		return true
	})
	template := root.Get(strings.Join(k.Path, "."))
	spec := template.Get("spec")
	if !spec.IsObject() {
		return Object{}, fmt.Errorf("reading %s %q: %s/spec is not an object", k.Kind, object.Name, k.Pointer())
	}
	object.Template = Template{Spec: spec.Raw}
	if metadata := template.Get("metadata"); metadata.IsObject() {
		object.Template.Metadata = metadata.Raw
		object.Template.Annotations = ours(metadata.Get("annotations"))
	}
	return object, nil
}

// Copied says whether the object is a copy of another workload's template.
func (o Object) Copied() bool { return o.CopyOf != "" }

func (k *Kind) copyOf(owners gjson.Result) string {
	if len(k.MadeBy) == 0 {
		return ""
	}
	maker := ""
	owners.ForEach(func(_, owner gjson.Result) bool {
		group, _, _ := strings.Cut(owner.Get("apiVersion").Str, "/")
		by := schema.GroupKind{Group: group, Kind: owner.Get("kind").Str}
		if owner.Get("controller").Bool() && slices.Contains(k.MadeBy, by) {
			maker = strings.ToLower(by.Kind) + "/" + owner.Get("name").Str
		}
		return maker == ""
	})
	return maker
}

func ours(entries gjson.Result) map[string]string {
	var found map[string]string
	entries.ForEach(func(key, value gjson.Result) bool {
		prefix, _, _ := strings.Cut(key.Str, "/")
		if prefix == wellknown.Domain || strings.HasSuffix(prefix, "."+wellknown.Domain) {
			if found == nil {
				found = map[string]string{}
			}
			found[key.Str] = value.String()
		}
		return true
	})
	return found
}
