// Package inspect tells what a person asks about sources, snapshots and workloads:
// which contents there were and what uses them, in which state a workload's refs
// are and why, and what would become of them. It is pure, and says what admission
// would: it asks the same functions (pin.Case, snapshot.Verified,
// retention.Mentions).
//
// It is separate from internal/cli so that answers can be tested from values alone,
// and are the same however they are printed. It deliberately knows neither how
// objects were read nor who may read them: what is hidden is said to be.
package inspect

import (
	"cmp"
	"strings"

	"github.com/configpin/configpin/internal/pin"
	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/wellknown"
)

// Index is what is known of the sources and snapshots of one namespace. The zero
// Index knows of none.
type Index struct {
	entries   map[refs.Target]entry
	snapshots map[refs.Target][]string // of a source
	hidden    map[refs.Target]string
	unserved  map[wellknown.Kind]string

	// OwnKey says that the digests of Secrets are by a key that isn't the programs': then
	// nobody can tell the name of a snapshot that isn't there.
	OwnKey bool
}

type entry struct {
	fact     pin.Fact
	revision int
}

// Add adds an object with what it holds.
func (x *Index) Add(o snapshot.Object) {
	fact := pin.FactOf(o)
	if err := snapshot.Keepable(o); fact.Role == pin.Source && err != nil {
		fact.Current, fact.Problem = "", err.Error()
	}
	x.add(o, fact)
}

// AddClaimed adds an object of which nothing but the metadata was read: that it is
// the snapshot which it claims to be is believed. Whatever else it may be needs Add.
func (x *Index) AddClaimed(o snapshot.Object) {
	if source, digest, claimed := snapshot.Claimed(o); claimed {
		x.add(o, pin.Fact{Role: pin.Snapshot, Of: source, Digest: digest})
	}
}

// Take is Add, or AddClaimed where nothing but the metadata was read.
func (x *Index) Take(o snapshot.Object, claimed bool) {
	if claimed {
		x.AddClaimed(o)
		return
	}
	x.Add(o)
}

func (x *Index) add(o snapshot.Object, fact pin.Fact) {
	if x.entries == nil {
		x.entries, x.snapshots = map[refs.Target]entry{}, map[refs.Target][]string{}
	}
	target := refs.Target{Kind: o.Kind, Name: o.Name}
	_, known := x.entries[target]
	x.entries[target] = entry{fact, snapshot.Revision(o)}
	if fact.Role == pin.Snapshot && !known {
		source := refs.Target{Kind: o.Kind, Name: fact.Of}
		x.snapshots[source] = append(x.snapshots[source], o.Name)
	}
}

// Unserve says that sources of a kind aren't served, and why: no decision is about them.
func (x *Index) Unserve(kind wellknown.Kind, why string) {
	if x.unserved == nil {
		x.unserved = map[wellknown.Kind]string{}
	}
	x.unserved[kind] = why
}

// Unserved says why sources of a kind aren't served. It is empty where they are.
func (x *Index) Unserved(kind wellknown.Kind) string { return x.unserved[kind] }

// Hide says that nothing is known of an object, and why; one without a name stands for
// all of its kind.
func (x *Index) Hide(target refs.Target, why string) {
	if x.hidden == nil {
		x.hidden = map[refs.Target]string{}
	}
	x.hidden[target] = why
}

// Hidden says why nothing is known of an object. It is empty where something is.
func (x *Index) Hidden(target refs.Target) string {
	return cmp.Or(x.hidden[target], x.hidden[refs.Target{Kind: target.Kind}])
}

// Case is the case of a request that knows what a decision needs. What wasn't added is
// absent; what is hidden counts as not served, so that nothing is concluded of it.
func (x *Index) Case(request pin.Request) *pin.Case {
	c := pin.NewCase(request)
	_ = c.Ask(func(targets []refs.Target) (pin.Facts, error) { // nothing has to be read
		facts := pin.Facts{}
		for _, target := range targets {
			facts[target] = x.Fact(target)
		}
		return facts, nil
	})
	return c
}

// Fact is what is known of an object.
func (x *Index) Fact(target refs.Target) pin.Fact {
	if x.Hidden(target) != "" || x.unserved[target.Kind] != "" {
		return pin.Fact{Role: pin.Unserved}
	}
	known, found := x.entries[target]
	if !found {
		return pin.Fact{Role: pin.Absent}
	}
	fact := known.fact
	if fact.Role != pin.Source || fact.Problem != "" {
		return fact
	}
	switch name := x.Current(target); {
	case name != "":
		fact.Current = name
	case target.Kind == wellknown.Secret && x.OwnKey:
		fact.Current = snapshot.Name(target.Name, unnamed)
	}
	return fact
}

// unnamed is the suffix of a snapshot whose name nobody knows yet. Nothing can be called
// so, neither a snapshot nor a source.
const unnamed = "?"

// New says whether a name stands for a snapshot whose own nobody knows yet.
func New(name string) bool { return strings.HasSuffix(name, "-"+unnamed) }

// Current is the snapshot of what a source holds, whatever its name, or empty where
// there is none. Of several, which a lost key makes, it is the one that was current
// last.
func (x *Index) Current(source refs.Target) string {
	digest := x.entries[source].fact.Digest
	current, highest := "", -1
	for _, name := range x.snapshots[source] {
		known := x.entries[refs.Target{Kind: source.Kind, Name: name}]
		if digest != "" && known.fact.Digest == digest && known.revision > highest {
			current, highest = name, known.revision
		}
	}
	return current
}

// Revision is the number of a snapshot: 0 where it has none, or isn't there.
func (x *Index) Revision(named refs.Target) int { return x.entries[named].revision }
