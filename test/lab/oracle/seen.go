package oracle

import (
	"reflect"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/types"
)

// seen is what the watches delivered, by namespace, as facts.
type seen struct {
	label string // of the namespaces that count

	keys keys // by the goroutine that watches Secrets alone

	mutex   sync.Mutex
	facts   map[string][]Fact
	newest  map[string]map[types.UID]Fact // of what is there, by kind and namespace
	counts  map[string]bool               // namespaces: those that carry the label, and others
	closed  map[string]bool               // namespaces that are gone
	reached map[string]uint64             // the last revision of each kind
	gaps    []Gap
}

func newSeen(label string) *seen {
	return &seen{
		label:   label,
		keys:    keys{},
		facts:   map[string][]Fact{},
		newest:  map[string]map[types.UID]Fact{},
		counts:  map[string]bool{},
		closed:  map[string]bool{},
		reached: map[string]uint64{},
	}
}

func (s *seen) note(f Fact, labelled bool) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.noteLocked(f, labelled)
}

func (s *seen) noteLocked(f Fact, labelled bool) {
	s.reached[f.Kind] = max(s.reached[f.Kind], f.Revision)
	if f.Kind == "Namespace" {
		s.counts[f.Name] = labelled
		if f.Gone || !labelled {
			s.close(f.Name)
		}
	}
	if counts, known := s.counts[f.Namespace]; known && !counts || s.closed[f.Namespace] {
		return
	}
	there := s.there(f.Kind, f.Namespace)
	before, known := there[types.UID(f.UID)]
	if f.Gone {
		delete(there, types.UID(f.UID))
	} else {
		there[types.UID(f.UID)] = f
	}
	if known && f.says(before) || f.Kind == "Event" && f.Event == nil {
		return // a status, or somebody else's Event: most of what is written
	}
	s.facts[f.Namespace] = append(s.facts[f.Namespace], f)
}

// says says whether a fact is another one at another time.
func (f Fact) says(other Fact) bool {
	f.Revision, f.Seen = other.Revision, other.Seen
	return reflect.DeepEqual(f, other)
}

// close forgets a namespace: nobody will ask again.
func (s *seen) close(namespace string) {
	s.closed[namespace] = true
	delete(s.facts, namespace)
	for _, kind := range kinds {
		delete(s.newest, place(kind.kind, namespace))
	}
}

func place(kind, namespace string) string { return kind + " " + namespace }

func (s *seen) there(kind, namespace string) map[types.UID]Fact {
	at := place(kind, namespace)
	if s.newest[at] == nil {
		s.newest[at] = map[types.UID]Fact{}
	}
	return s.newest[at]
}

// relist notes what there is of a kind after a gap, and what is gone since.
func (s *seen) relist(kind string, revision uint64, listed []Fact, labelled func(Fact) bool) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.gaps = append(s.gaps, Gap{Kind: kind, From: s.reached[kind], Until: revision})
	gone := s.latest(kind)
	for _, f := range listed {
		delete(gone, f.UID)
		if s.there(kind, f.Namespace)[types.UID(f.UID)].Revision != f.Revision {
			s.noteLocked(f, labelled(f))
		}
	}
	for _, f := range gone {
		f.Gone, f.Revision = true, revision
		s.noteLocked(f, s.counts[f.Namespace])
	}
	s.reached[kind] = max(s.reached[kind], revision)
}

// latest are the last facts of what is there of a kind, by UID.
func (s *seen) latest(kind string) map[string]Fact {
	found := map[string]Fact{}
	for _, there := range s.newest {
		for uid, f := range there {
			if f.Kind == kind {
				found[string(uid)] = f
			}
		}
	}
	return found
}

// caughtUp says whether what there is of a kind was seen, as new as listed.
func (s *seen) caughtUp(kind, namespace string, listed map[types.UID]uint64) bool {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	there := s.there(kind, namespace)
	for uid, revision := range listed {
		if there[uid].Revision < revision {
			return false
		}
	}
	return len(there) == len(listed)
}

// history is what was seen in a namespace.
func (s *seen) history(namespace string) History {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	h := History{Namespace: namespace, Facts: slices.Clone(s.facts[namespace]), Gaps: slices.Clone(s.gaps)}
	for other, counts := range s.counts {
		if counts && other != namespace {
			h.Others = append(h.Others, other)
		}
	}
	slices.Sort(h.Others)
	return h
}

// watched says whether a namespace counts, or did.
func (s *seen) watched(namespace string) bool {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.counts[namespace]
}
