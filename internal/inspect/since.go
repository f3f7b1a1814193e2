package inspect

import (
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/configpin/configpin/internal/wellknown"
	"github.com/configpin/configpin/internal/workload"
)

// PinnedBy is when the pins of a workload, as they are, were written: then or earlier.
// managedFields tell who wrote a field last, and when the same wrote anything last. It is
// zero where they don't say.
func PinnedBy(o workload.Object) time.Time {
	path := "fieldsV1"
	for _, field := range append(append([]string{}, o.Kind.Path...), "metadata", "annotations", wellknown.Pins) {
		path += ".f:" + strings.ReplaceAll(field, ".", `\.`)
	}
	var written time.Time
	gjson.Parse(o.ManagedFields).ForEach(func(_, entry gjson.Result) bool {
		if !entry.Get(path).Exists() {
			return true
		}
		at, err := time.Parse(time.RFC3339, entry.Get("time").Str)
		if err == nil && (written.IsZero() || at.Before(written)) {
			written = at
		}
		return true
	})
	return written
}

// Since fills in when the holds among refs began: events hold, by source, when it was
// told last that it is held at what it names now.
func Since(all []Ref, events map[string]time.Time, o workload.Object) {
	for i := range all {
		if all[i].State != Held {
			continue
		}
		if at, told := events[all[i].Source+" "+all[i].Pinned]; told {
			all[i].HeldSince = at
			continue
		}
		all[i].HeldSince, all[i].HeldBefore = PinnedBy(o), true
	}
}

// stale is how old what an Event says last can be while the same goes on: client-go tells
// no more often than every six minutes of what happens again
// (k8s.io/client-go/tools/events, refreshTime).
const stale = 10 * time.Minute

// Damped fills in when it was told last that the workload is damped, where that is about
// what is Settling now: it was told since the pins are as they are, or not long ago.
func Damped(all []Ref, at time.Time, o workload.Object, now time.Time) {
	if at.Before(PinnedBy(o)) && now.Sub(at) > stale {
		return
	}
	for i := range all {
		if all[i].State == Settling {
			all[i].DampedAt = at
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
