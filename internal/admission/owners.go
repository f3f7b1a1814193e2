package admission

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/configpin/configpin/internal/wellknown"
)

// owners are managedFields, read.
type owners []owner

// owner is one entry: who owns which fields. Those that were written through a
// subresource, such as the status, have no part in templates: they stay as they
// are, and aren't read.
type owner struct {
	entry  metav1.ManagedFieldsEntry
	fields *fieldpath.Set
}

func readOwners(managedFields string) (owners, error) {
	if managedFields == "" {
		return nil, nil
	}
	var entries []metav1.ManagedFieldsEntry
	if err := json.Unmarshal([]byte(managedFields), &entries); err != nil {
		return nil, err
	}
	read := make(owners, len(entries))
	for i, entry := range entries {
		read[i] = owner{entry, &fieldpath.Set{}}
		if entry.FieldsV1 == nil || entry.Subresource != "" {
			continue
		}
		if err := read[i].fields.FromJSON(bytes.NewReader(entry.FieldsV1.GetRawBytes())); err != nil {
			return nil, err
		}
	}
	return read, nil
}

func (o owner) updated() bool {
	return o.entry.Operation == metav1.ManagedFieldsOperationUpdate && o.entry.Subresource == ""
}

func (o owner) applied() bool {
	return o.entry.Operation == metav1.ManagedFieldsOperationApply && o.entry.Subresource == ""
}

// as says whether two entries are those of one manager, as the API server tells
// them apart (k8s.io/apimachinery/pkg/util/managedfields/internal/managedfields.go,
// BuildManagerIdentifier): an applier is one whatever the API version.
func (o owner) as(other owner) bool {
	a, b := o.entry, other.entry
	return a.Manager == b.Manager && a.Operation == b.Operation && a.Subresource == b.Subresource &&
		(a.APIVersion == b.APIVersion || o.applied())
}

func (o owners) of(manager owner) (found owner, is bool) {
	i := slices.IndexFunc(o, manager.as)
	if i < 0 {
		return owner{}, false
	}
	return o[i], true
}

// byUpdate are the fields that somebody owns by an update.
func (o owners) byUpdate() *fieldpath.Set { return o.fieldsOf(owner.updated) }

// byApply are the fields that somebody owns by apply.
func (o owners) byApply() *fieldpath.Set { return o.fieldsOf(owner.applied) }

func (o owners) fieldsOf(wanted func(owner) bool) *fieldpath.Set {
	fields := &fieldpath.Set{}
	for _, each := range o {
		if wanted(each) {
			fields = fields.Union(each.fields)
		}
	}
	return fields
}

// disown takes names away from whoever owns them by an update, who leaves a note of
// those that are noted. To send what a list names already takes nothing from whoever has
// a note of it, as it takes no field without us.
func (o owners) disown(f fields) owners {
	left, owned := slices.Clone(o), o.byUpdate()
	for i, each := range o {
		if !each.updated() {
			continue
		}
		notes := &fieldpath.Set{}
		for note, path := range f.notes {
			at := annotationOwnedAt(f.kind, note)
			if f.noted.Has(path) && each.fields.Has(path) && (f.fresh.Has(path) || !owned.Has(at)) {
				notes.Insert(at)
			}
		}
		left[i].fields = each.fields.RecursiveDifference(f.names).Union(notes)
	}
	return left
}

// giveBack gives to whoever owned them by apply before what an update took.
func (o owners) giveBack(before owners, taken *fieldpath.Set) owners {
	for _, was := range before {
		back := was.fields.Intersection(taken)
		if !was.applied() || back.Empty() {
			continue
		}
		if i := slices.IndexFunc(o, was.as); i >= 0 {
			o[i].fields = o[i].fields.Union(back)
		} else {
			o = append(o, owner{was.entry, back})
		}
	}
	return o
}

// settle has notes be what they stand for, where that can be. A note is ownership in all
// but the conflict: it moves with whatever else a manager owns when that becomes an
// applier, as kubectl, helm and Flux have it on their way from client-side to server-side
// apply, and then it is the field itself. So what has left the manifest by that day leaves
// the object. Who opts out gets back what was noted, and a note of what isn't there any
// more, or belongs to an applier by now, is of no use.
//
// Nothing is left of an entry that owns nothing else.
func (o owners) settle(f fields) owners {
	applied := o.byApply()
	var left owners
	for _, each := range o {
		if each.entry.Subresource == "" {
			each.fields = each.settled(f, applied)
		}
		if each.entry.Subresource != "" || !each.fields.Empty() {
			left = append(left, each)
		}
	}
	return left
}

func (o owner) settled(f fields, applied *fieldpath.Set) *fieldpath.Set {
	notes, owned := &fieldpath.Set{}, &fieldpath.Set{}
	o.fields.Iterate(func(path fieldpath.Path) {
		if len(path) == 0 {
			return
		}
		last := path[len(path)-1].FieldName
		if last == nil || !strings.HasPrefix(*last, wellknown.NotePrefix) || !path.Equals(annotationOwnedAt(f.kind, *last)) {
			return
		}
		of, there := f.notes[*last]
		switch {
		case there && o.updated() && f.pinned.Has(of) && !applied.Has(of):
			return // it is of use some day
		case there && (o.applied() || !f.pinned.Has(of)):
			owned.Insert(of)
		}
		notes.Insert(path.Copy())
	})
	return o.fields.Difference(notes).Union(owned)
}

// same says whether two lists differ in nothing but times and order.
func (o owners) same(other owners) bool {
	return len(o) == len(other) && !slices.ContainsFunc(o, func(each owner) bool {
		found, is := other.of(each)
		return !is || !found.fields.Equals(each.fields) ||
			each.entry.Subresource != "" && !reflect.DeepEqual(found.entry.FieldsV1, each.entry.FieldsV1)
	})
}

func (o owners) entries() ([]metav1.ManagedFieldsEntry, error) {
	entries := []metav1.ManagedFieldsEntry{}
	for _, each := range o {
		if each.entry.Subresource == "" {
			raw, err := each.fields.ToJSON()
			if err != nil {
				return nil, err
			}
			each.entry.FieldsV1 = metav1.NewFieldsV1(string(raw))
		}
		entries = append(entries, each.entry)
	}
	return entries, nil
}
