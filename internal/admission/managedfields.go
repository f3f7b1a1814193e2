package admission

import (
	"cmp"
	"fmt"
	"iter"
	"reflect"
	"slices"

	"github.com/tidwall/gjson"
	"gomodules.xyz/jsonpatch/v2"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/configpin/configpin/internal/ownership"
	"github.com/configpin/configpin/internal/pin"
	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/wellknown"
	"github.com/configpin/configpin/internal/workload"
)

// own puts right who owns the names that are pinned, whichever write they come with,
// and those that this answer replaces.
//
// Nobody owns them by an update. `kubectl apply` writes the source's name and
// `kubectl rollout undo` an old snapshot's, which makes them owners of the field;
// every later server-side apply of the manifest, by helm or a GitOps tool, would
// conflict with them for ever. Where somebody applies, hashes of config are nobody's
// either: an undo takes them along with the names.
//
// Who owned them by apply before the update still does. Otherwise a ref that is
// taken out of their manifest later would stay in the object. Who sent a list that is
// owned as a whole leaves a note of it, for the day on which they apply: see settle.
//
// A write that changes nothing else leaves the list as it is stored. The API server
// sorts it by time, and takes another order for a change.
func own(c *pin.Case, decision pin.Decision) ([]jsonpatch.Operation, error) {
	request, object := c.Request(), c.Request().New
	entries := ownership.Entries(object.ManagedFields)
	if len(entries) == 0 || object.Terminating || object.Copied() {
		return nil, nil
	}
	a := answerOf(c, decision)
	amiss := ownership.Of(object.Kind, a.names(), request.Hashes).Amiss(entries)
	oneApplies := len(entries) == 1 && entries[0].Applied
	if !amiss && (oneApplies || !a.replaces()) && !pin.Releases(object) {
		return nil, nil
	}
	written, err := readOwners(object.ManagedFields)
	if err != nil {
		return nil, fmt.Errorf("reading the managedFields of %s %q: %w", object.Kind.Kind, object.Name, err)
	}
	var before owners
	if request.Old != nil {
		if before, err = readOwners(request.Old.ManagedFields); err != nil {
			return nil, fmt.Errorf("reading the managedFields of %s %q: %w", object.Kind.Kind, object.Name, err)
		}
	}
	fields := a.fields(ownership.Applied(entries) || slices.ContainsFunc(before, owner.applied))
	taken := written.byUpdate().Intersection(fields.names).Difference(before.byUpdate())
	now := written.disown(fields).giveBack(before, taken).settle(fields)
	if now.same(before) && a.leavesTemplate() {
		now = before
	}
	if reflect.DeepEqual(now, written) {
		return nil, nil
	}
	listed, err := now.entries()
	if err != nil {
		return nil, fmt.Errorf("writing the managedFields of %s %q: %w", object.Kind.Kind, object.Name, err)
	}
	return []jsonpatch.Operation{jsonpatch.NewOperation("replace", "/metadata/managedFields", listed)}, nil
}

// answer is what is stored of a template once it was answered.
type answer struct {
	request  pin.Request
	refs     []refs.Ref
	replaced map[string]string // what names become, by their pointers
	pinned   map[refs.Target]bool
}

func answerOf(c *pin.Case, decision pin.Decision) answer {
	request := c.Request()
	a := answer{request, c.Refs(), map[string]string{}, map[refs.Target]bool{}}
	for _, operation := range decision.Patch {
		if name, isName := operation.Value.(string); isName {
			a.replaced[operation.Path] = name
		}
	}
	for source, name := range pin.ParsePins(request.New.Template.Annotations[wellknown.Pins]) {
		a.pinned[refs.Target{Kind: source.Kind, Name: name}] = true
	}
	for _, outcome := range decision.Outcomes {
		if outcome.Pinned() {
			a.pinned[refs.Target{Kind: outcome.Source.Kind, Name: outcome.Name}] = true
		}
	}
	return a
}

// stored is what a ref names once this was answered.
func (a answer) stored(ref refs.Ref) string {
	return cmp.Or(a.replaced[a.request.New.Kind.PointerOf(ref.Pointer)], ref.Name)
}

func (a answer) isReplaced(ref refs.Ref) bool { return a.stored(ref) != ref.Name }

func (a answer) isPinned(ref refs.Ref) bool {
	return a.pinned[refs.Target{Kind: ref.Kind, Name: a.stored(ref)}]
}

func (a answer) replaces() bool { return slices.ContainsFunc(a.refs, a.isReplaced) }

// names are the refs that this is about.
func (a answer) names() iter.Seq[refs.Ref] {
	return func(yield func(refs.Ref) bool) {
		for _, ref := range a.refs {
			if (a.isPinned(ref) || a.isReplaced(ref)) && !yield(ref) {
				return
			}
		}
	}
}

// leavesTemplate says whether the PodSpec is stored as it was.
func (a answer) leavesTemplate() bool {
	old := a.request.Old
	return old != nil && refs.Rewrite(a.request.New.Template.Spec, a.refs, a.stored) == old.Template.Spec
}

// fields are where what an answer is about is owned.
type fields struct {
	kind   *workload.Kind
	names  *fieldpath.Set // those that nobody is to own by an update, and a label that is consumed
	pinned *fieldpath.Set // and those of them that won't be anybody's own again

	// noted are those of which whoever loses one leaves a note; fresh, those of them that
	// nobody's note can be of that was there before. notes are all that a note can be of,
	// by what the note is called.
	noted, fresh *fieldpath.Set
	notes        map[string]fieldpath.Path
}

// fields are those of an object that somebody applies, or doesn't.
func (a answer) fields(applied bool) fields {
	object := a.request.New
	f := fields{kind: object.Kind, pinned: &fieldpath.Set{}, noted: &fieldpath.Set{}, fresh: &fieldpath.Set{}, notes: map[string]fieldpath.Path{}}
	replaced, before, now := &fieldpath.Set{}, sourcesOf(a.request.Old), sourcesOf(&object)
	for _, ref := range a.refs {
		path := ownedAt(object.Kind, ref.Place)
		if ownership.List(ref.Place) {
			f.notes[noteOf(ref.Place)] = path
		}
		if a.isPinned(ref) {
			f.pinned.Insert(path)
		}
		if a.isReplaced(ref) {
			replaced.Insert(path)
		}
		if a.isReplaced(ref) && ownership.List(ref.Place) {
			f.noted.Insert(path)
			if at := ownership.Place(ref.Place); !slices.Equal(before[at], now[at]) {
				f.fresh.Insert(path)
			}
		}
	}
	f.pinned.Insert(annotationOwnedAt(object.Kind, wellknown.Pins))
	pins := slices.ContainsFunc(a.refs, a.isPinned) // after an opt-out, a hash is its owners' again
	gjson.Get(object.Template.Metadata, "annotations").ForEach(func(key, _ gjson.Result) bool {
		if a.request.Hashes.Have(key.Str) {
			path := annotationOwnedAt(object.Kind, key.Str)
			f.notes[noteOfHash(key.Str)] = path
			if applied && pins {
				f.pinned.Insert(path)
				f.noted.Insert(path)
			}
		}
		return true
	})
	f.names = f.pinned.Union(replaced)
	if pin.Releases(object) {
		f.names.Insert(fieldpath.MakePathOrDie("metadata", "labels", wellknown.Enabled))
	}
	return f
}

// sourcesOf are the sources that an object's lists name, pinned or not.
func sourcesOf(object *workload.Object) map[refs.Place][]string {
	found := map[refs.Place][]string{}
	if object == nil {
		return found
	}
	pinned := map[refs.Target]string{}
	for source, name := range pin.ParsePins(object.Template.Annotations[wellknown.Pins]) {
		pinned[refs.Target{Kind: source.Kind, Name: name}] = source.Name
	}
	for _, ref := range refs.Walk(object.Template.Spec) {
		at := ownership.Place(ref.Place)
		found[at] = append(found[at], string(ref.Kind)+"/"+cmp.Or(pinned[ref.Target], ref.Name))
	}
	return found
}

// noteOf is what the note of a list is called.
func noteOf(place refs.Place) string {
	return wellknown.NotePrefix + place.Section + "." + place.Owner + "." + place.List
}

func noteOfHash(key string) string { return wellknown.NotePrefix + "annotations." + key }

// ownedAt is the path under which the name of a ref is owned. Some of the
// structures around a name are atomic, which means owned as a whole: the
// selectors of environment variables, and the lists envFrom and
// projected.sources (listType and structType in k8s.io/api/core/v1/types.go).
func ownedAt(kind *workload.Kind, place refs.Place) fieldpath.Path {
	parts := append(templateParts(kind), "spec", place.Section, fieldpath.KeyByFields("name", place.Owner))
	switch {
	case place.List == "env":
		parts = append(parts, "env", fieldpath.KeyByFields("name", place.Item), "valueFrom", place.Field)
	case place.List == "envFrom":
		parts = append(parts, "envFrom")
	case place.List == "projected":
		parts = append(parts, "projected", "sources")
	case place.Field == "secret":
		parts = append(parts, "secret", "secretName")
	default:
		parts = append(parts, place.Field, "name")
	}
	return fieldpath.MakePathOrDie(parts...)
}

// annotationOwnedAt is the path under which an annotation of the template is owned. An
// undo brings our own back, and leaves an owner of it whom Flux would find and remove.
func annotationOwnedAt(kind *workload.Kind, key string) fieldpath.Path {
	return fieldpath.MakePathOrDie(append(templateParts(kind), "metadata", "annotations", key)...)
}

func templateParts(kind *workload.Kind) []any {
	var parts []any
	for _, field := range kind.Path {
		parts = append(parts, field)
	}
	return parts
}
