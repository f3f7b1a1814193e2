package admission

import (
	"bytes"
	"encoding/json"
	"reflect"

	"github.com/tidwall/gjson"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
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

// changedByUpdate says, without reading who owns what, whether anybody does by an
// update: where a tool applies server-side, nobody does.
func changedByUpdate(managedFields string) bool {
	found := false
	gjson.Parse(managedFields).ForEach(func(_, entry gjson.Result) bool {
		found = entry.Get("operation").Str == string(metav1.ManagedFieldsOperationUpdate) && entry.Get("subresource").Str == ""
		return !found
	})
	return found
}

func (o owner) updated() bool {
	return o.entry.Operation == metav1.ManagedFieldsOperationUpdate && o.entry.Subresource == ""
}

func (o owner) applied() bool {
	return o.entry.Operation == metav1.ManagedFieldsOperationApply && o.entry.Subresource == ""
}

// as says whether two entries are those of one manager.
func (o owner) as(other owner) bool {
	a, b := o.entry, other.entry
	return a.Manager == b.Manager && a.Operation == b.Operation && a.APIVersion == b.APIVersion && a.Subresource == b.Subresource
}

func (o owners) of(manager owner) (found owner, is bool) {
	for _, candidate := range o {
		if candidate.as(manager) {
			return candidate, true
		}
	}
	return owner{}, false
}

// disown takes names away from whoever owns them by an update, and tells which
// those were. Nothing is left of an entry that owned nothing else.
func (o owners) disown(names *fieldpath.Set) (left owners, taken *fieldpath.Set) {
	taken = &fieldpath.Set{}
	for _, owner := range o {
		if owner.updated() {
			fields := owner.fields.RecursiveDifference(names)
			taken = taken.Union(owner.fields.Difference(fields).Intersection(names))
			if owner.fields = fields; fields.Empty() {
				continue
			}
		}
		left = append(left, owner)
	}
	return left, taken
}

// giveBack gives to whoever owned them by apply before what an update took.
func (o owners) giveBack(before owners, taken *fieldpath.Set) owners {
	for _, was := range before {
		back := was.fields.Intersection(taken)
		if !was.applied() || back.Empty() {
			continue
		}
		if _, there := o.of(was); !there {
			o = append(o, owner{was.entry, &fieldpath.Set{}})
		}
		for i := range o {
			if o[i].as(was) {
				o[i].fields = o[i].fields.Union(back)
			}
		}
	}
	return o
}

// same says whether two lists differ in nothing but times and order.
func (o owners) same(other owners) bool {
	if len(o) != len(other) {
		return false
	}
	for _, owner := range o {
		found, is := other.of(owner)
		if !is || !found.fields.Equals(owner.fields) {
			return false
		}
		if owner.entry.Subresource != "" && !reflect.DeepEqual(found.entry.FieldsV1, owner.entry.FieldsV1) {
			return false
		}
	}
	return true
}

func (o owners) entries() ([]metav1.ManagedFieldsEntry, error) {
	entries := []metav1.ManagedFieldsEntry{}
	for _, owner := range o {
		if owner.entry.Subresource != "" {
			entries = append(entries, owner.entry)
			continue
		}
		raw, err := owner.fields.ToJSON()
		if err != nil {
			return nil, err
		}
		owner.entry.FieldsV1 = metav1.NewFieldsV1(string(raw))
		entries = append(entries, owner.entry)
	}
	return entries, nil
}
