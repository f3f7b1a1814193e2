package inspect

import (
	"strings"
	"time"
)

// Since fills in when the holds among refs began: events hold, by source, when it was
// told last that it is held at what it names now. Nothing else tells that: what
// managedFields would say of who wrote the pins, admission takes away.
func Since(all []Ref, events map[string]time.Time) {
	for i, ref := range all {
		if ref.State == Held {
			all[i].HeldSince = events[ref.Source+" "+ref.Pinned]
		}
	}
}

// Damping is what an Event RolloutsDamped says, and when that was said last.
type Damping struct {
	At      time.Time
	Message string
}

// unwritten is for how long an Event may not tell that what it says was said again
// (internal/serve/events.go, refreshTime).
const unwritten = 10 * time.Minute

// Damped fills in when it was told last that the workload is damped, where that may be
// about what is Settling now: while it goes on, it is told after each rollout, and the
// message says how often there is one.
func Damped(all []Ref, told Damping, now time.Time) {
	_, every, _ := strings.Cut(told.Message, "at most one rollout per ")
	every, _, _ = strings.Cut(every, " ")
	pause, _ := time.ParseDuration(every) // none where it doesn't say
	if now.Sub(told.At) > unwritten+pause {
		return
	}
	for i := range all {
		if all[i].State == Settling {
			all[i].DampedAt = told.At
		}
	}
}

// HoldsTold are the holds that a message of an Event RollbackHeld tells of: as keys of
// the events of Since.
func HoldsTold(message string) []string {
	message, _, _ = strings.Cut(message, ";")
	var told []string
	for clause := range strings.SplitSeq(message, ", ") {
		if source, name, found := strings.Cut(clause, " is held at "); found {
			told = append(told, source+" "+name)
		}
	}
	return told
}
