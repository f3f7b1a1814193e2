package conformance

import (
	"time"

	"github.com/stretchr/testify/require"
)

const (
	// patience is for a machine that does something else too. What is waited
	// for takes a second or two.
	patience = 90 * time.Second

	// interval is the time between two looks. More of them make the machine slower,
	// and everybody waits longer.
	interval = 250 * time.Millisecond
)

// eventually looks until it sees what is wanted. When it never does, it says
// what it saw last.
func (s *space) eventually(want string, look func() (saw string, done bool)) {
	s.t.Helper()
	s.within(patience, want, look)
}

// within is eventually, for what takes longer.
func (s *space) within(patience time.Duration, want string, look func() (saw string, done bool)) {
	s.t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	again := time.NewTicker(interval)
	defer again.Stop()
	for {
		saw, done := look()
		if done {
			return
		}
		select {
		case <-again.C:
		case <-s.t.Context().Done():
			require.FailNow(s.t, "the test ended while waiting", "wanted: %s\nsaw last: %s", want, saw)
		case <-deadline.C:
			require.FailNow(s.t, "waited in vain for "+patience.String(), "wanted: %s\nsaw last: %s", want, saw)
		}
	}
}
