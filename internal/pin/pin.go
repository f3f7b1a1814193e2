// Package pin decides what a workload's template shall name. A Case is the whole of
// it: from what is written, what was there and what the named objects are, to the
// names, the keys and the words for the person. Admission applies its answer; the
// versioner asks it whether a workload is behind.
//
// The decision is taken per source, by the first rule of an ordered list that
// applies (rules.go). It deliberately reads nothing: Wanted says which objects
// it needs to know, and the caller brings the Facts.
package pin

import (
	"strings"

	"gomodules.xyz/jsonpatch/v2"

	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/wellknown"
	"github.com/configpin/configpin/internal/workload"
)

// Request is one write of a workload.
type Request struct {
	New workload.Object
	Old *workload.Object // nil when New is being created

	// NamespaceEnabled says that the namespace opts in what is written in it.
	NamespaceEnabled bool

	// Hashes are annotations of templates that don't make another template of one.
	Hashes wellknown.Hashes
}

// Role is what an object is to us.
type Role int

// The roles.
const (
	unasked  Role = iota // nobody said: to decide without is a bug
	Unserved             // its kind isn't served: its refs are none of our business
	Absent               // there is no such object
	Plain                // it is there, and neither a source nor a snapshot
	Source               // it is versioned
	Snapshot             // it is a snapshot, verified
)

// Fact is what is known of one object.
type Fact struct {
	Role Role

	// Of is the name of a snapshot's source.
	Of string

	// Digest identifies what a source or a snapshot holds. Where a source and
	// a snapshot of it hold the same, that snapshot is the current one,
	// whatever its name.
	Digest string

	// Current is the name of the snapshot of what a source holds now. It is
	// empty where that can't be made, and Problem says why.
	Current string
	Problem string

	// Hidden says that an object isn't served because it may not be read. That is most
	// likely a mistake, or not for long, so its pins are kept.
	Hidden bool

	// Invalid is the value of the object's versioned annotation where nobody
	// understands it.
	Invalid string
}

// holds says whether a suffix is of what a source holds, however long it is.
func (f Fact) holds(suffix string) bool {
	return suffix != "" && f.Role == Source && strings.HasPrefix(f.Digest, suffix)
}

// FactOf tells what an object is, from it and what it holds. The name of a source's
// current snapshot is taken to be the first that it can have: whoever makes it finds
// out.
func FactOf(object snapshot.Object) Fact {
	if source, digest, verified := snapshot.Verified(object); verified {
		return Fact{Role: Snapshot, Of: source, Digest: digest}
	}
	versioned, invalid := snapshot.Versioned(object)
	if !versioned {
		return Fact{Role: Plain, Invalid: invalid}
	}
	digest := object.Digest(object.Name).String()
	return Fact{
		Role:    Source,
		Digest:  digest,
		Current: snapshot.Name(object.Name, digest[:snapshot.Lengths[0]]),
	}
}

// Facts are what is known of objects.
type Facts map[refs.Target]Fact

// Decision is the answer to a Request.
type Decision struct {
	// Outcomes, sorted by source, say what becomes of each source that the
	// template refers to.
	Outcomes []Outcome

	// Denied is why the request can't be admitted, and what to do. It is empty
	// for a request that can.
	Denied string

	// Warnings are sentences of at most 120 characters for the person.
	Warnings []string

	// Patch makes of the written object what it shall be. It is empty when the
	// object is right as it is, and when the request is denied.
	Patch []jsonpatch.Operation
}

// Outcome is what becomes of one source in one template.
type Outcome struct {
	Source refs.Target

	// Name is what the refs will name: a snapshot, or the source itself.
	Name string

	// Observed is the value of the source's observed label, or empty for none.
	Observed string

	// Reason tells which rule decided.
	Reason Reason

	// In is what the template says, before anything is done about it.
	In string

	// Live is the snapshot of what the source holds now. It is empty where that
	// can't be told, or made: then Problem says why, if anything is known of it.
	Live    string
	Problem string

	// Held says that the refs will name something else than Live, on purpose.
	Held bool

	// Ended says that a hold is over, if there was one, although the name stays.
	Ended bool

	old string
}

// Pinned says whether the refs will name a snapshot.
func (o Outcome) Pinned() bool { return o.Name != o.Source.Name }

// Moves says whether a ref will name something else than the template says.
func (o Outcome) Moves() bool { return o.Name != o.In }
