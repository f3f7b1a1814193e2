package oracle

import "time"

// Fact is what one write made of one object, reduced to what invariants are
// about. Facts of one namespace, in the order of their revisions, are its
// history: since Kubernetes 1.35 resourceVersions are comparable across kinds.
type Fact struct {
	Revision uint64 // etcd's, of the write or of the deletion

	Kind, Namespace, Name, UID string

	Born time.Time // to the second
	Seen time.Time // when the watch delivered it: never before it was stored

	// Gone says that this is the deletion.
	Gone bool

	// Terminating is of a namespace that is being deleted: everything in it
	// goes, and that is nobody's fault.
	Terminating bool

	Owner       string            // the UID of its controller
	Manager     string            // who owned the first fields, by the name in managedFields
	Labels      map[string]string // ours alone
	Annotations map[string]string // ours alone

	// Of a ConfigMap or a Secret: the hash of what it holds; what its snapshot's name
	// should end in, by the key that it names; whether it can change; and of what type
	// it is.
	Content, Digest string
	Immutable       bool
	Type            string

	Refs     []Ref     // what its Pods need
	Template *Template // of what has one

	Event *Event

	// Said is the text in which another namespace could be named: the metadata
	// of what claims to be a snapshot, the note of an Event of ours.
	Said string
}

// Ref is a name of a ConfigMap or Secret in a PodSpec.
type Ref struct {
	Kind, Name string
	Optional   bool
}

// String is as in "configmap/app".
func (r Ref) String() string { return key(r.Kind, r.Name) }

// Template is what of a PodTemplateSpec, beside its refs, is ours to judge.
type Template struct {
	Hash    string            // of all of it
	Pins    map[string]string // source to snapshot, as in "configmap/app" to "app-3f0c"
	Exclude []string          // as in "configmap/app"

	// Loose are targets that only variables name whose names repeat: those are never
	// pinned.
	Loose []string
}

// Event is what an Event of ours is about.
type Event struct{ Reason, RegardingNamespace string }

// Gap is a stretch in which writes of one kind may have been missed: the API
// server that was watched is gone, and the next one doesn't know what came
// before it.
type Gap struct {
	Kind        string
	From, Until uint64
}
