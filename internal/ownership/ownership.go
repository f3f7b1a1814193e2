// Package ownership says which fields of a template nobody is to own by an update,
// and whether somebody does, by what managedFields say. Admission asks so that it can
// put it right, and the versioner asks the same in order to know which workloads have
// to be sent there: so a touch always settles it.
//
// It is apart from package pin because names are decided without asking who owns them,
// and it only asks: admission writes managedFields.
package ownership

import (
	"iter"
	"strings"

	"github.com/tidwall/gjson"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/configpin/configpin/internal/pin"
	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/wellknown"
	"github.com/configpin/configpin/internal/workload"
)

// Entry is what somebody owns by one operation.
type Entry struct {
	Applied bool   // or else by an update
	Fields  string // as in FieldsV1
}

// Entries are those of a JSON list of managedFields. What was written through a
// subresource, such as the status, has no part in templates.
func Entries(managedFields string) []Entry {
	var entries []Entry
	gjson.Parse(managedFields).ForEach(func(_, entry gjson.Result) bool {
		if entry.Get("subresource").Str == "" {
			entries = append(entries, Entry{
				Applied: entry.Get("operation").Str == string(metav1.ManagedFieldsOperationApply),
				Fields:  entry.Get("fieldsV1").Raw,
			})
		}
		return true
	})
	return entries
}

// EntriesOf are those of managedFields that were decoded already.
func EntriesOf(managedFields []metav1.ManagedFieldsEntry) []Entry {
	var entries []Entry
	for _, entry := range managedFields {
		if entry.Subresource == "" && entry.FieldsV1 != nil {
			entries = append(entries, Entry{
				Applied: entry.Operation == metav1.ManagedFieldsOperationApply,
				Fields:  entry.FieldsV1.GetRawString(),
			})
		}
	}
	return entries
}

// Fields are those of a workload that nobody is to own by an update. The names of refs
// are, for what is stored isn't what was sent, and so is our own annotation. Hashes of
// config are where somebody applies: an undo takes them, and would be in the way.
type Fields struct {
	kind   *workload.Kind
	hashes wellknown.Hashes
	places map[refs.Place]bool

	// within are the containers and volumes that have some, and the containers that have
	// some among their variables: nobody has to look into the others.
	within map[refs.Place]bool
}

// Of returns the fields of an object of kind with refs whose names are pinned.
func Of(kind *workload.Kind, pinned iter.Seq[refs.Ref], hashes wellknown.Hashes) Fields {
	f := Fields{kind, hashes, map[refs.Place]bool{}, map[refs.Place]bool{}}
	for ref := range pinned {
		at := Place(ref.Place)
		f.places[at] = true
		f.within[refs.Place{Section: at.Section, Owner: at.Owner}] = true
		f.within[refs.Place{Section: at.Section, Owner: at.Owner, List: at.List}] = true
	}
	return f
}

// Place is where the name of a ref is owned: some lists are owned as a whole.
func Place(of refs.Place) refs.Place {
	if List(of) {
		of.Item, of.Field = "", ""
	}
	return of
}

// List says whether a ref is in a list that is owned as a whole (listType in
// k8s.io/api/core/v1/types.go).
func List(place refs.Place) bool { return place.List == "envFrom" || place.List == "projected" }

// Amiss says whether who owns what of a stored workload has to be put right. What isn't
// ours is left alone, as admission leaves it.
func Amiss(object workload.Object, entries []Entry, hashes wellknown.Hashes) bool {
	pins, pinned := object.Template.Annotations[wellknown.Pins]
	if !pinned || object.Terminating || object.Copied() {
		return false
	}
	names := map[refs.Target]bool{}
	for source, name := range pin.ParsePins(pins) {
		names[refs.Target{Kind: source.Kind, Name: name}] = true
	}
	return Of(object.Kind, func(yield func(refs.Ref) bool) {
		for _, ref := range refs.Walk(object.Template.Spec) {
			if names[ref.Target] && !yield(ref) {
				return
			}
		}
	}, hashes).Amiss(entries)
}

// Amiss says whether entries have to be put right: somebody owns such a field by an
// update, or took a note of one over from somebody who did. Where no name is pinned,
// hashes of config are their owners' business.
func (f Fields) Amiss(entries []Entry) bool {
	applied := Applied(entries)
	for _, entry := range entries {
		for field := range f.owned(entry.Fields) {
			switch {
			case entry.Applied:
				if field.note() {
					return true
				}
			case field.annotation == wellknown.Pins, f.places[field.place], applied && len(f.places) > 0 && f.hashes.Have(field.annotation):
				return true
			}
		}
	}
	return false
}

// Applied says whether somebody applies, server-side.
func Applied(entries []Entry) bool {
	for _, entry := range entries {
		if entry.Applied {
			return true
		}
	}
	return false
}

// field is one that somebody owns: an annotation of the template, or the name of what
// may be a ref.
type field struct {
	annotation string
	place      refs.Place
}

func (f field) note() bool { return strings.HasPrefix(f.annotation, wellknown.NotePrefix) }

// owned goes once through what an entry owns of a template.
func (f Fields) owned(fields string) iter.Seq[field] {
	return func(yield func(field) bool) {
		if fields == "" {
			return
		}
		template := gjson.Get(fields, "f:"+strings.Join(f.kind.Path, ".f:"))
		on := true
		template.Get("f:metadata.f:annotations").ForEach(func(key, _ gjson.Result) bool {
			if name, is := strings.CutPrefix(key.Str, "f:"); is {
				on = yield(field{annotation: name})
			}
			return on
		})
		visit := func(place refs.Place) bool {
			on = on && yield(field{place: place})
			return on
		}
		template.Get("f:spec").ForEach(func(key, list gjson.Result) bool {
			switch section := strings.TrimPrefix(key.Str, "f:"); {
			case !on:
			case section == "volumes":
				eachItem(list, func(name string, volume gjson.Result) bool {
					at := refs.Place{Section: section, Owner: name}
					return !f.within[at] || eachOfVolume(volume, at, visit)
				})
			case strings.HasSuffix(strings.ToLower(section), "containers"):
				eachItem(list, func(name string, container gjson.Result) bool {
					at := refs.Place{Section: section, Owner: name}
					return !f.within[at] || f.eachOfContainer(container, at, visit)
				})
			}
			return on
		})
	}
}

// eachItem calls visit for each element of a list that is keyed by names.
func eachItem(list gjson.Result, visit func(name string, element gjson.Result) bool) {
	list.ForEach(func(key, element gjson.Result) bool {
		if item, is := strings.CutPrefix(key.Str, "k:"); is {
			return visit(gjson.Get(item, "name").Str, element)
		}
		return true
	})
}

func (f Fields) eachOfContainer(container gjson.Result, at refs.Place, visit func(refs.Place) bool) bool {
	on := true
	variables := refs.Place{Section: at.Section, Owner: at.Owner, List: "env"}
	container.ForEach(func(key, list gjson.Result) bool {
		switch {
		case key.Str == "f:envFrom":
			at.List = "envFrom"
			on = visit(at)
		case key.Str == "f:env" && f.within[variables]:
			eachItem(list, func(name string, variable gjson.Result) bool {
				variable.Get("f:valueFrom").ForEach(func(key, _ gjson.Result) bool {
					if selector, is := strings.CutPrefix(key.Str, "f:"); is {
						on = visit(refs.Place{Section: at.Section, Owner: at.Owner, List: "env", Item: name, Field: selector})
					}
					return on
				})
				return on
			})
		}
		return on
	})
	return on
}

func eachOfVolume(volume gjson.Result, at refs.Place, visit func(refs.Place) bool) bool {
	for _, source := range []struct{ path, list, field string }{
		{"f:configMap.f:name", "", "configMap"},
		{"f:secret.f:secretName", "", "secret"},
		{"f:projected.f:sources", "projected", ""},
	} {
		if volume.Get(source.path).Exists() {
			at.List, at.Field = source.list, source.field
			if !visit(at) {
				return false
			}
		}
	}
	return true
}
