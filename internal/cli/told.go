package cli

import (
	"context"
	"iter"
	"strings"
	"time"

	"github.com/tidwall/gjson"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/inspect"
	"github.com/configpin/configpin/internal/wellknown"
)

var events = schema.GroupVersionResource{Group: "events.k8s.io", Version: "v1", Resource: "events"}

// readHolds reads when holds were told of, by workload. Events are kept for an hour, most
// often, so most holds aren't among them.
func (s *session) readHolds(ctx context.Context, namespace string) map[string]map[string]time.Time {
	told := map[string]map[string]time.Time{}
	for event, err := range s.eventsOf(ctx, namespace, wellknown.ReasonRollbackHeld) {
		if err != nil {
			s.note("since when workloads are held can't be told: %v", cause(err))
			return told
		}
		at, uid := eventTime(event), strings.Clone(event.Get("regarding.uid").Str)
		if told[uid] == nil {
			told[uid] = map[string]time.Time{}
		}
		for _, hold := range inspect.HoldsTold(strings.Clone(event.Get("note").Str)) {
			if at.After(told[uid][hold]) {
				told[uid][hold] = at
			}
		}
	}
	return told
}

// readDamped reads what was told last of workloads that are damped, by their UIDs.
func (s *session) readDamped(ctx context.Context, namespace string) map[string]inspect.Damping {
	told := map[string]inspect.Damping{}
	for event, err := range s.eventsOf(ctx, namespace, wellknown.ReasonDamped) {
		if err != nil {
			s.note("whether the rollouts of what is Settling are damped can't be told: %v", cause(err))
			return told
		}
		if at, uid := eventTime(event), strings.Clone(event.Get("regarding.uid").Str); at.After(told[uid].At) {
			told[uid] = inspect.Damping{At: at, Message: strings.Clone(event.Get("note").Str)}
		}
	}
	return told
}

// eventsOf are the Events of a reason.
func (s *session) eventsOf(ctx context.Context, namespace, reason string) iter.Seq2[gjson.Result, error] {
	return func(yield func(gjson.Result, error) bool) {
		for element, err := range s.reader.Every(ctx, events, namespace, cluster.Selector{Fields: "reason=" + reason}) {
			if !yield(gjson.ParseBytes(element), err) {
				return
			}
		}
	}
}

// eventTime is when what an Event tells of happened last.
func eventTime(event gjson.Result) time.Time {
	return latest(event.Get("eventTime").Str, event.Get("series.lastObservedTime").Str)
}

func latest(times ...string) time.Time {
	var last time.Time
	for _, text := range times {
		if at, err := time.Parse(time.RFC3339Nano, text); err == nil && at.After(last) {
			last = at
		}
	}
	return last
}
