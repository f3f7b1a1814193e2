package retention_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"pgregory.net/rapid"

	"github.com/configpin/configpin/internal/retention"
)

var (
	now   = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	rules = retention.Rules{MinAge: time.Hour, Grace: 10 * time.Minute}
)

// old is a snapshot that nothing names, of an age at which it may go.
func old(revision int) retention.Snapshot {
	return retention.Snapshot{
		Name:     fmt.Sprintf("app-%012d", revision),
		Digest:   fmt.Sprintf("digest-%d", revision),
		Revision: revision,
		Created:  now.Add(-24 * time.Hour),
	}
}

// isGone makes of a source one that isn't there, and may come back for a day.
func isGone(source *retention.Source) *retention.Source {
	source.Current, source.Gone, source.GoneAfter = "", true, 24*time.Hour
	return source
}

func markedSince(s retention.Snapshot, ago, seen time.Duration) retention.Snapshot {
	s.Mark, s.Seen = now.Add(-ago).Format(time.RFC3339), seen
	return s
}

const day = 24 * time.Hour

// change is what a row has of a snapshot that nothing names, or of its source.
type change func(*retention.Snapshot, *retention.Source)

func room(limit int) change {
	return func(_ *retention.Snapshot, source *retention.Source) { source.Limit = limit }
}

func aged(age time.Duration) change {
	return func(s *retention.Snapshot, _ *retention.Source) { s.Created = now.Add(-age) }
}

func marked(ago, seen time.Duration) change {
	return func(s *retention.Snapshot, _ *retention.Source) { *s = markedSince(*s, ago, seen) }
}

func gone(after time.Duration) change {
	return func(_ *retention.Snapshot, source *retention.Source) { isGone(source).GoneAfter = after }
}

func TestDecide(t *testing.T) {
	used := func(s *retention.Snapshot, _ *retention.Source) { s.Used = true }
	current := func(s *retention.Snapshot, source *retention.Source) { source.Current = s.Digest }
	unreadable := func(s *retention.Snapshot, _ *retention.Source) { s.Mark = "yesterday" }
	undigested := func(s *retention.Snapshot, _ *retention.Source) { s.Digest = "" }
	back := func(_ *retention.Snapshot, source *retention.Source) { source.GoneAfter = day }
	unversioned := func(_ *retention.Snapshot, source *retention.Source) { source.Current = "" }
	for name, test := range map[string]struct {
		changes []change
		state   retention.State
		action  retention.Action
	}{
		"nothing names it, and there is no room for it": {nil, retention.Marked, retention.Mark},
		"there is room":                                                         {[]change{room(1)}, retention.Retained, retention.Keep},
		"it is what the source holds":                                           {[]change{current}, retention.Current, retention.Keep},
		"something names it":                                                    {[]change{used}, retention.Used, retention.Keep},
		"it is a moment too young":                                              {[]change{aged(time.Hour - time.Second)}, retention.Retained, retention.Keep},
		"it is of tomorrow":                                                     {[]change{aged(-24 * time.Hour)}, retention.Retained, retention.Keep},
		"its mark is a moment too young":                                        {[]change{marked(10*time.Minute-time.Second, time.Hour)}, retention.Marked, retention.Keep},
		"nobody here has seen its mark for long":                                {[]change{marked(time.Hour, 10*time.Minute-time.Second)}, retention.Marked, retention.Keep},
		"it was marked and seen long enough":                                    {[]change{marked(10*time.Minute, 10*time.Minute)}, retention.Marked, retention.Collect},
		"its mark is of tomorrow":                                               {[]change{marked(-24*time.Hour, time.Hour)}, retention.Marked, retention.Mark},
		"nobody can read its mark":                                              {[]change{marked(time.Hour, time.Hour), unreadable}, retention.Marked, retention.Mark},
		"it is marked, and something names it":                                  {[]change{marked(time.Hour, time.Hour), used}, retention.Used, retention.Unmark},
		"it is marked, and is what the source holds again":                      {[]change{marked(time.Hour, time.Hour), current}, retention.Current, retention.Unmark},
		"it is marked, and there is room now":                                   {[]change{marked(time.Hour, time.Hour), room(1)}, retention.Retained, retention.Unmark},
		"it is marked, and too young":                                           {[]change{marked(time.Hour, time.Hour), aged(0)}, retention.Retained, retention.Unmark},
		"the source is gone, and there would be room":                           {[]change{gone(day), room(10)}, retention.Marked, retention.Mark},
		"the source is gone, and nobody understood its limit":                   {[]change{gone(day), room(retention.Unlimited)}, retention.Marked, retention.Mark},
		"the source is gone, and something names it":                            {[]change{gone(day), marked(day, day), used}, retention.Used, retention.Unmark},
		"the source is gone, and it is too young":                               {[]change{gone(day), aged(time.Hour - time.Second)}, retention.Retained, retention.Keep},
		"the source is gone, and its mark is a moment too young":                {[]change{gone(day), marked(day-time.Second, day)}, retention.Marked, retention.Keep},
		"the source is gone, and its mark is old enough":                        {[]change{gone(day), marked(day, 10*time.Minute)}, retention.Marked, retention.Collect},
		"the source is gone, and nobody here has seen its mark for long":        {[]change{gone(day), marked(2*day, 10*time.Minute-time.Second)}, retention.Marked, retention.Keep},
		"the source is gone, and may be for no time at all":                     {[]change{gone(0), marked(10*time.Minute-time.Second, time.Hour)}, retention.Marked, retention.Keep},
		"the source is gone, and was for as long as the grace":                  {[]change{gone(0), marked(10*time.Minute, 10*time.Minute)}, retention.Marked, retention.Collect},
		"the source came back, and there is room":                               {[]change{back, room(1), marked(23*time.Hour, 23*time.Hour)}, retention.Retained, retention.Unmark},
		"the source is there, and how long others may be gone is nothing to it": {[]change{back, marked(10*time.Minute, 10*time.Minute)}, retention.Marked, retention.Collect},
		"the source isn't versioned any more, and there is room":                {[]change{unversioned, room(1)}, retention.Retained, retention.Keep},
		"the source is gone, and it has no digest that anybody can read":        {[]change{unversioned, undigested}, retention.Marked, retention.Mark},
	} {
		t.Run(name, func(t *testing.T) {
			source := retention.Source{Current: "something else"}
			s := old(1)
			for _, change := range test.changes {
				change(&s, &source)
			}
			source.Snapshots = []retention.Snapshot{s}
			assert.Equal(t, []retention.Verdict{{State: test.state, Action: test.action}}, rules.Decide(source, now))
		})
	}
}

func TestTheNewestAreRetained(t *testing.T) {
	// Revisions say when snapshots were current last; when they were made says it of
	// those that never were.
	made, unnumbered := old(0), old(0)
	made.Name, made.Created = "app-made", now.Add(-2*time.Hour)
	unnumbered.Name = "app-unnumbered"
	used := old(9)
	used.Used = true
	verdicts := rules.Decide(retention.Source{
		Current:   "digest-8",
		Limit:     3,
		Snapshots: []retention.Snapshot{old(1), unnumbered, old(8), used, made, old(7)},
	}, now)
	var states []retention.State
	for _, v := range verdicts {
		states = append(states, v.State)
	}
	assert.Equal(t, []retention.State{
		retention.Retained, retention.Marked, retention.Current, retention.Used, retention.Retained, retention.Retained,
	}, states, "what is current or used takes nobody's place")
}

func TestBoundsOfDecide(t *testing.T) {
	exact := old(1)
	exact.Created = now.Add(-time.Hour)
	both := old(2)
	both.Used = true
	verdicts := rules.Decide(retention.Source{Current: both.Digest, Snapshots: []retention.Snapshot{exact, both}}, now)
	assert.Equal(t, retention.Verdict{State: retention.Marked, Action: retention.Mark}, verdicts[0], "it is just old enough")
	assert.Equal(t, retention.Verdict{State: retention.Current, Action: retention.Keep}, verdicts[1], "it is used as well")
}

// TestNewestIsWhatWasCurrentLast: a content that comes back keeps its snapshot, which is as
// old as ever.
func TestNewestIsWhatWasCurrentLast(t *testing.T) {
	back, since := old(9), old(8)
	back.Created = since.Created.Add(-time.Hour)
	for _, order := range [][]retention.Snapshot{{back, since}, {since, back}} {
		verdicts := rules.Decide(retention.Source{Current: "digest-10", Limit: 1, Snapshots: order}, now)
		for i, s := range order {
			want := retention.Marked
			if s.Revision == back.Revision {
				want = retention.Retained
			}
			assert.Equal(t, want, verdicts[i].State, s.Name)
		}
	}
}

// drawSource draws a source with snapshots of all kinds.
func drawSource(t *rapid.T) retention.Source {
	source := retention.Source{
		Limit:   rapid.IntRange(0, 4).Draw(t, "limit"),
		Current: rapid.SampledFrom([]string{"", "digest-1", "digest-2"}).Draw(t, "current"),
	}
	if rapid.Bool().Draw(t, "gone") {
		source.Current, source.Gone = "", true
		source.GoneAfter = time.Duration(rapid.IntRange(0, 40).Draw(t, "after")) * time.Minute
	}
	for i := range rapid.IntRange(0, 8).Draw(t, "snapshots") {
		s := old(rapid.IntRange(0, 5).Draw(t, "revision"))
		s.Name = fmt.Sprint("app-", i)
		s.Used = rapid.Bool().Draw(t, "used")
		s.Created = now.Add(-time.Duration(rapid.Int64Range(0, int64(2*time.Hour)).Draw(t, "age")))
		switch rapid.IntRange(0, 3).Draw(t, "mark") {
		case 0:
			s.Mark = "nonsense"
		case 1:
			minutes := rapid.IntRange(-20, 20).Draw(t, "minutes")
			s = markedSince(s, time.Duration(minutes)*time.Minute, time.Duration(rapid.IntRange(0, 20).Draw(t, "seen"))*time.Minute)
		}
		source.Snapshots = append(source.Snapshots, s)
	}
	return source
}

func TestWhatIsCollectedIsProvenUnused(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		source := drawSource(t)
		verdicts := rules.Decide(source, now)
		unused := 0
		for i, v := range verdicts {
			s := source.Snapshots[i]
			if v.State == retention.Retained || v.State == retention.Marked {
				unused++
			}
			if v.Action != retention.Collect {
				continue
			}
			since, err := time.Parse(time.RFC3339, s.Mark)
			assert.NoError(t, err)
			assert.False(t, s.Used)
			assert.NotEqual(t, source.Current, s.Digest)
			assert.GreaterOrEqual(t, now.Sub(s.Created), rules.MinAge)
			assert.GreaterOrEqual(t, now.Sub(since), rules.Grace)
			assert.GreaterOrEqual(t, s.Seen, rules.Grace)
			if source.Gone {
				assert.GreaterOrEqual(t, now.Sub(since), source.GoneAfter)
			}
		}
		left := unused
		for _, v := range verdicts {
			if v.Action == retention.Collect {
				left--
			}
		}
		if !source.Gone {
			assert.GreaterOrEqual(t, left, min(source.Limit, unused), "as many as the limit says stay")
		}
	})
}

// TestEverythingEndsAtTheLimit: what is left when everything that is marked was
// collected is at most the limit, and what is young.
func TestEverythingEndsAtTheLimit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		source := drawSource(t)
		later := now
		for range 3 {
			var kept []retention.Snapshot
			for i, v := range rules.Decide(source, later) {
				s := source.Snapshots[i]
				switch v.Action {
				case retention.Collect:
					continue
				case retention.Mark:
					s.Mark, s.Seen = later.Format(time.RFC3339), 0
				case retention.Unmark:
					s.Mark, s.Seen = "", 0
				case retention.Keep:
				}
				if s.Mark != "" {
					s.Seen += 3 * time.Hour
				}
				kept = append(kept, s)
			}
			source.Snapshots, later = kept, later.Add(3*time.Hour)
		}
		unused := 0
		for _, v := range rules.Decide(source, later) {
			assert.Equal(t, retention.Keep, v.Action, "nothing is left to do")
			if v.State == retention.Retained {
				unused++
			}
		}
		if source.Gone {
			source.Limit = 0
		}
		assert.LessOrEqual(t, unused, source.Limit)
	})
}

// TestASourceThatIsGoneForAMomentLosesNothing: whatever is marked while it is gone is
// unmarked when it is back, but for what there is no room for anyway.
func TestASourceThatIsGoneForAMomentLosesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		there := drawSource(t)
		there.Gone = false
		before := rules.Decide(there, now)
		gone := there
		gone.Current, gone.Gone, gone.GoneAfter = "", true, 24*time.Hour
		for i, v := range rules.Decide(gone, now) {
			assert.NotEqual(t, retention.Collect, v.Action, "no mark here is that old")
			if v.Action == retention.Mark {
				there.Snapshots[i].Mark, there.Snapshots[i].Seen = now.Format(time.RFC3339), 0
			}
		}
		for i, v := range rules.Decide(there, now) {
			assert.Equal(t, before[i].State, v.State)
			if v.State != retention.Marked && there.Snapshots[i].Mark != "" {
				assert.Equal(t, retention.Unmark, v.Action)
			}
		}
	})
}

func TestTheOrderOfSnapshotsDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		source := drawSource(t)
		byName := map[string]retention.Verdict{}
		for i, v := range rules.Decide(source, now) {
			byName[source.Snapshots[i].Name] = v
		}
		source.Snapshots = rapid.Permutation(source.Snapshots).Draw(t, "order")
		for i, v := range rules.Decide(source, now) {
			assert.Equal(t, byName[source.Snapshots[i].Name], v)
		}
	})
}

func TestLimit(t *testing.T) {
	for said, want := range map[string]int{"": 7, "0": 0, "10": 10} {
		limit, valid := retention.Limit(said, 7)
		assert.True(t, valid, said)
		assert.Equal(t, want, limit, said)
	}
	for _, said := range []string{"-1", "ten", "1.5", " 1", "99999999999999999999"} {
		limit, valid := retention.Limit(said, 7)
		assert.False(t, valid, said)
		assert.Equal(t, retention.Unlimited, limit, "what nobody understands retains everything")
	}
}

func ExampleRules_Decide() {
	source := retention.Source{Current: "digest-3", Limit: 1}
	for revision := range 3 {
		source.Snapshots = append(source.Snapshots, old(revision+1))
	}
	for i, v := range rules.Decide(source, now) {
		fmt.Println(source.Snapshots[i].Revision, v.State, v.Action)
	}
	// Output:
	// 1 marked mark
	// 2 retained keep
	// 3 current keep
}

func TestStatesAreAllThatThereAre(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		for _, v := range rules.Decide(drawSource(t), now) {
			assert.True(t, slices.Contains(retention.States, v.State))
		}
	})
}
