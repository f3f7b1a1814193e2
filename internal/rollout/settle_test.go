package rollout

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"k8s.io/client-go/tools/events"
	"pgregory.net/rapid"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/wellknown"
	"github.com/configpin/configpin/internal/workload"
)

var began = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func at(seconds float64) time.Time {
	return began.Add(time.Duration(seconds * float64(time.Second)))
}

func source(name string) cluster.Key {
	return cluster.Key{Namespace: "shop", Target: refs.Target{Kind: wellknown.ConfigMap, Name: name}}
}

var web = cluster.Workload{Kind: workload.Lookup("apps", "Deployment"), Namespace: "shop", Name: "web"}

func TestQuiet(t *testing.T) {
	app, extra := source("app"), source("extra")
	for _, test := range []struct {
		name    string
		changes map[cluster.Key]float64 // the last of each source, in seconds
		since   float64                 // when the workload began to wait
		now     float64
		want    float64
	}{
		{name: "nothing changed of late", now: 0, want: 0},
		{name: "one change settles after two seconds", changes: map[cluster.Key]float64{app: 0}, now: 0.5, want: 1.5},
		{name: "it has settled", changes: map[cluster.Key]float64{app: 0}, now: 2, want: 0},
		{name: "the last change counts", changes: map[cluster.Key]float64{app: 1}, now: 1, want: 2},
		{name: "the other source counts too", changes: map[cluster.Key]float64{app: 0, extra: 1}, now: 1, want: 2},
		{name: "nobody waits longer than ten seconds", changes: map[cluster.Key]float64{app: 9}, now: 9, want: 1},
		{name: "whatever else changes", changes: map[cluster.Key]float64{app: 9, extra: 10}, now: 10, want: 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			q := newQuiet(2*time.Second, 10*time.Second)
			for source, when := range test.changes {
				q.changed(source, at(when))
			}
			assert.InDelta(t, test.want, q.wait(at(test.since), []cluster.Key{app, extra}, at(test.now)).Seconds(), 1e-9)
		})
	}
}

// TestQuietNeverWaitsTooLong: whatever changes when, a workload waits no longer
// than longest, and once nothing changes any more, no longer than settle.
func TestQuietNeverWaitsTooLong(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := newQuiet(2*time.Second, 10*time.Second)
		sources := []cluster.Key{source("a"), source("b"), source("c")}
		now, since := began, began
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			if rapid.Bool().Draw(t, "change") {
				q.changed(rapid.SampledFrom(sources).Draw(t, "source"), now)
			}
			wait := q.wait(since, sources, now)
			assert.LessOrEqual(t, wait, q.settle)
			assert.LessOrEqual(t, now.Add(wait).Sub(since), q.longest)
			if wait == 0 {
				since = now
			}
			// The workload is looked at again when its wait is over, or earlier.
			now = now.Add(min(wait, time.Duration(rapid.IntRange(0, 3000).Draw(t, "pause"))*time.Millisecond))
			if wait == 0 {
				since = now
			}
		}
		assert.Zero(t, q.wait(since, sources, now.Add(q.settle)))
		q.prune(now.Add(q.settle))
		assert.Empty(t, q.changes)
	})
}

// TestQuietTellsOnce: however often a source changes, its users are told of it once it is
// quiet, or once the first of them waits for longest.
func TestQuietTellsOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := newQuiet(2*time.Second, 10*time.Second)
		app, now, last := source("app"), began, began
		first, untold := began, false
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			if rapid.Bool().Draw(t, "change") {
				assert.Equal(t, !untold, q.changed(app, now), "the first is told apart")
				if !untold {
					first = now
				}
				untold, last = true, now
			}
			if untold {
				wait, since := q.due(app, now)
				assert.Equal(t, first, since)
				quiet, long := now.Sub(last) >= q.settle, now.Sub(first) >= q.longest
				assert.Equal(t, quiet || long, wait == 0)
				assert.LessOrEqual(t, wait, q.settle)
				untold = wait > 0
			}
			now = now.Add(time.Duration(rapid.IntRange(0, 3000).Draw(t, "pause")) * time.Millisecond)
			q.prune(now)
		}
	})
}

// TestWhoWasRightMeanwhileHasNotWaited: a source that is deployed with its workload, again
// and again, is never quiet, and the workload waits for its next deploy all the same.
func TestWhoWasRightMeanwhileHasNotWaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &deployment{t: t, names: "app-1"}
		r := New(Options{Settle: 2 * time.Second, SettleMax: 10 * time.Second}, d, current("app-1"), events.NewFakeRecorder(1))
		first := time.Now()
		r.quiet.changed(source("app"), first)
		<-time.After(9 * time.Second)
		r.settled(web)
		<-time.After(time.Second)
		r.quiet.changed(source("app"), time.Now())
		r.waits(web, first)
		assert.Equal(t, 2*time.Second, r.settling(web, time.Now()))
		<-time.After(9 * time.Second)
		r.quiet.changed(source("app"), time.Now())
		assert.Zero(t, r.settling(web, time.Now()), "nobody waits longer")
		r.settled(web)
		<-time.After(11 * time.Second)
		r.prune()
		assert.Empty(t, r.records.all)
	})
}

func TestQuietCountsFromTheFirstChange(t *testing.T) {
	d := &deployment{t: t, names: "app-1"}
	r := New(Options{Settle: 2 * time.Second, SettleMax: 10 * time.Second}, d, current("app-1"), events.NewFakeRecorder(1))
	r.settling(web, at(5))
	r.waits(web, at(0))
	r.waits(web, at(3))
	r.quiet.changed(source("app"), at(9.5))
	assert.Equal(t, time.Duration(0), r.settling(web, at(10)))
	assert.NotZero(t, r.settling(web, at(9.75)), "it began at the first change")
}
