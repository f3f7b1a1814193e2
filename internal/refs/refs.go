// Package refs is the one walk over a PodSpec: it finds every field that names
// a ConfigMap or a Secret, tells where it is, and rewrites it. Reading and
// rewriting share the walk, so a ref that is read can always be pinned. A test
// proves by reflection over the API types that the walk misses no field.
//
// The walk works on JSON text and replaces nothing but names, so that fields
// of a newer Kubernetes survive. It deliberately leaves out imagePullSecrets, a
// list that is keyed by name, in which a renamed element would make `kubectl
// apply` add a second one, and the Secrets of storage drivers, which are read
// by the driver and not by the Pod.
package refs

import (
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/configpin/configpin/internal/wellknown"
)

// Target is what a ref names: an object of the workload's own namespace. There
// is no field for another namespace, so that no name can ever cross one.
type Target struct {
	Kind wellknown.Kind
	Name string
}

// String is the target as keys and messages spell it: "configmap/app".
func (t Target) String() string { return string(t.Kind) + "/" + t.Name }

// Compare orders targets by kind, then by name.
func (t Target) Compare(other Target) int {
	if t.Kind != other.Kind {
		return strings.Compare(string(t.Kind), string(other.Kind))
	}
	return strings.Compare(t.Name, other.Name)
}

// Ref is a field of a PodSpec that names a ConfigMap or a Secret.
type Ref struct {
	Target

	// Optional refs don't keep a Pod from starting when their target is missing.
	Optional bool

	// Repeated says that the ref is of an environment variable whose name is in
	// its list more than once. Such an entry can't be told from the others: a
	// strategic merge patch, which merges the list by name
	// (k8s.io/api/core/v1, Container.Env), would merge what a manifest says of one
	// into another. Of all lists that hold refs, env alone is merged by a key and
	// may have one twice: the API server refuses volumes and containers of one
	// name (k8s.io/kubernetes/pkg/apis/core/validation), and envFrom and
	// projected.sources are replaced as a whole.
	Repeated bool

	// Pointer is the JSON pointer of the name, from the PodSpec.
	Pointer string

	// Place tells where the ref is by the names around it, which stay when
	// elements move.
	Place Place

	start, end int // of the name's JSON text in the PodSpec
}

// Place of a ref.
type Place struct {
	Section string // "containers", "initContainers", "ephemeralContainers" or "volumes"
	Owner   string // the name of the container or volume
	List    string // "env", "envFrom" or "projected"; empty for a volume's own source
	Item    string // the name of the environment variable; empty elsewhere
	Field   string // the field that holds the name's object: "configMapKeyRef", "secret", …
}

// form is a field that refers to an object of a kind.
type form struct {
	field, name string // the JSON fields of the reference and, in it, of the name
	kind        wellknown.Kind
}

var (
	envForms = []form{
		{"configMapKeyRef", "name", wellknown.ConfigMap},
		{"secretKeyRef", "name", wellknown.Secret},
	}
	envFromForms = []form{
		{"configMapRef", "name", wellknown.ConfigMap},
		{"secretRef", "name", wellknown.Secret},
	}
	volumeForms = []form{
		{"configMap", "name", wellknown.ConfigMap},
		{"secret", "secretName", wellknown.Secret},
	}
	projectedForms = []form{
		{"configMap", "name", wellknown.ConfigMap},
		{"secret", "name", wellknown.Secret},
	}
)

// Walk returns the refs of a PodSpec, in the order of the text. spec must be
// valid JSON; parts of it that aren't shaped as in the API are passed over.
func Walk(spec string) []Ref {
	w := walker{}
	gjson.Parse(spec).ForEach(func(key, list gjson.Result) bool {
		switch key.Str {
		case "containers", "initContainers", "ephemeralContainers":
			w.elements(list, "/"+key.Str, func(container gjson.Result, pointer string) {
				w.container(container, pointer, key.Str)
			})
		case "volumes":
			w.elements(list, "/volumes", w.volume)
		}
		return true
	})
	return w.refs
}

type walker struct{ refs []Ref }

func (w *walker) container(container gjson.Result, pointer, section string) {
	place := Place{Section: section, Owner: container.Get("name").String()}
	container.ForEach(func(key, list gjson.Result) bool {
		place.List = key.Str
		switch key.Str {
		case "env":
			w.env(list, pointer+"/env", place)
		case "envFrom":
			place.Item = ""
			w.elements(list, pointer+"/envFrom", func(source gjson.Result, pointer string) {
				w.forms(source, pointer, place, envFromForms)
			})
		}
		return true
	})
}

func (w *walker) env(list gjson.Result, pointer string, place Place) {
	first := len(w.refs)
	times := map[string]int{}
	w.elements(list, pointer, func(variable gjson.Result, pointer string) {
		place.Item = variable.Get("name").String()
		times[place.Item]++
		if from := variable.Get("valueFrom"); from.Exists() {
			w.forms(from, pointer+"/valueFrom", place, envForms)
		}
	})
	for i := first; i < len(w.refs); i++ {
		w.refs[i].Repeated = times[w.refs[i].Place.Item] > 1
	}
}

func (w *walker) volume(volume gjson.Result, pointer string) {
	place := Place{Section: "volumes", Owner: volume.Get("name").String()}
	w.forms(volume, pointer, place, volumeForms)
	place.List = "projected"
	w.elements(volume.Get("projected.sources"), pointer+"/projected/sources", func(source gjson.Result, pointer string) {
		w.forms(source, pointer, place, projectedForms)
	})
}

func (w *walker) elements(list gjson.Result, pointer string, visit func(element gjson.Result, pointer string)) {
	if !list.IsArray() {
		return
	}
	index := 0
	list.ForEach(func(_, element gjson.Result) bool {
		if element.IsObject() {
			visit(element, pointer+"/"+strconv.Itoa(index))
		}
		index++
		return true
	})
}

func (w *walker) forms(holder gjson.Result, pointer string, place Place, forms []form) {
	for _, form := range forms {
		reference := holder.Get(form.field)
		name := reference.Get(form.name)
		if name.Type != gjson.String || name.Str == "" {
			continue
		}
		place.Field = form.field
		w.refs = append(w.refs, Ref{
			Target:   Target{Kind: form.kind, Name: name.Str},
			Optional: reference.Get("optional").Bool(),
			Pointer:  pointer + "/" + form.field + "/" + form.name,
			Place:    place,
			start:    name.Index,
			end:      name.Index + len(name.Raw),
		})
	}
}
