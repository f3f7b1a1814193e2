package gc

import (
	"time"

	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/wellknown"
)

// sightings are the marks that this process knows of, and since when. The time
// that is written into a mark may be that of another machine, or wrong; and a mark
// that was taken off and set again is another one.
type sightings struct {
	since map[mark]sighting
	pass  int
}

// mark is one as it is stored: whatever happened to the snapshot since makes it
// another one.
type mark struct{ uid, resourceVersion string }

// sighting is when a mark was seen first, and in which pass last.
type sighting struct {
	first time.Duration
	pass  int
}

// of returns for how long the mark of a snapshot has been seen, from now on if it
// wasn't yet.
func (s *sightings) of(object snapshot.Object, elapsed time.Duration) time.Duration {
	if object.Annotations[wellknown.UnusedSince] == "" {
		return 0
	}
	if s.since == nil {
		s.since = map[mark]sighting{}
	}
	m := mark{object.UID, object.ResourceVersion}
	known, is := s.since[m]
	if !is {
		known.first = elapsed
	}
	known.pass = s.pass
	s.since[m] = known
	return elapsed - known.first
}

// forget drops the marks that a pass over everything did not see again, and
// begins another.
func (s *sightings) forget() {
	for m, known := range s.since {
		if known.pass != s.pass {
			delete(s.since, m)
		}
	}
	s.pass++
}
