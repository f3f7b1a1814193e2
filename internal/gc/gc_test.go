package gc

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/events"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/cluster/census"
	"github.com/configpin/configpin/internal/hashing"
	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/retention"
	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/wellknown"
)

// world is some namespaces of sources with snapshots, and a clock. What the API
// server makes of writes is for test/e2e/races; here it is whether they are made.
type world struct {
	now     time.Time
	skew    time.Duration
	objects map[cluster.Key]snapshot.Object
	used    map[string][]string // mentions, by namespace
	writes  []string
	version int
	fails   map[string]error // by namespace, of what is done there
	hidden  map[string]error // by namespace, of the look at it
	broken  error            // of the look at everything
	takes   time.Duration    // to look at one namespace
}

var configMaps = schema.GroupResource{Resource: "configmaps"}

func newWorld() *world {
	return &world{
		now:     time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		objects: map[cluster.Key]snapshot.Object{},
		used:    map[string][]string{},
		fails:   map[string]error{},
	}
}

func keyOf(o snapshot.Object) cluster.Key {
	return cluster.Key{Namespace: o.Namespace, Target: refs.Target{Kind: o.Kind, Name: o.Name}}
}

func (w *world) store(o snapshot.Object) snapshot.Object {
	w.version++
	o.ResourceVersion = strconv.Itoa(w.version)
	if o.UID == "" {
		o.UID = "uid-" + o.ResourceVersion
	}
	w.objects[keyOf(o)] = o
	return o
}

// source makes a source that held one content after another, and returns the
// names of its snapshots.
func (w *world) source(namespace, name string, contents ...string) []string {
	var names []string
	for i, content := range contents {
		o := snapshot.Object{
			Kind: wellknown.ConfigMap, Namespace: namespace, Name: name,
			Annotations: map[string]string{wellknown.Versioned: "true"},
			Data:        map[string]string{"key": content},
			UID:         namespace + "/" + name,
		}
		made := snapshot.Of(w.store(o), 12)
		made.Created = w.now.Add(-2 * time.Hour)
		made.Annotations[wellknown.Revision] = strconv.Itoa(i + 1)
		names = append(names, w.store(made).Name)
	}
	return names
}

func (w *world) Spaces(ctx context.Context) iter.Seq2[census.Space, error] {
	return func(yield func(census.Space, error) bool) {
		seen := map[string]bool{}
		for _, namespace := range []string{"a", "b", "c", "d", "e"} {
			for key := range w.objects {
				if key.Namespace == namespace && !seen[namespace] {
					seen[namespace] = true
					space, err := w.count(namespace)
					if w.hidden[namespace] != nil {
						space, err = census.Space{Namespace: namespace}, w.hidden[namespace]
					}
					if !yield(space, err) {
						return
					}
				}
			}
		}
		if w.broken != nil {
			yield(census.Space{}, w.broken)
		}
	}
}

func (w *world) count(namespace string) (census.Space, error) {
	space := census.Space{Namespace: namespace, Mentions: w.used[namespace]}
	for key, o := range w.objects {
		switch {
		case key.Namespace != namespace:
		case o.Labels[wellknown.SnapshotOf] == "" && o.Annotations[wellknown.Versioned] == "":
			space.Others = append(space.Others, key.Target)
		default:
			o.Data = nil
			space.Objects = append(space.Objects, o)
		}
	}
	return space, nil
}

func (w *world) Space(_ context.Context, namespace string) (census.Space, error) {
	if err := w.fails[namespace]; err != nil {
		return census.Space{}, err
	}
	defer func() { w.now = w.now.Add(w.takes) }()
	return w.count(namespace)
}

func (w *world) Date() time.Time { return w.now.Add(w.skew) }

func (w *world) Find(_ context.Context, namespace string, target refs.Target) (snapshot.Object, bool, error) {
	if err := w.fails[namespace]; err != nil {
		return snapshot.Object{}, false, err
	}
	o, found := w.objects[cluster.Key{Namespace: namespace, Target: target}]
	return o, found, nil
}

func (w *world) Labelled(_ context.Context, source cluster.Key, f func(snapshot.Object)) error {
	for _, o := range w.objects {
		if o.Namespace == source.Namespace && o.Labels[wellknown.SnapshotOf] == source.Name {
			f(o)
		}
	}
	return nil
}

func (w *world) write(verb string, o snapshot.Object) error {
	stored, found := w.objects[keyOf(o)]
	switch {
	case !found:
		return apierrors.NewNotFound(configMaps, o.Name)
	case stored.ResourceVersion != o.ResourceVersion:
		return apierrors.NewConflict(configMaps, o.Name, errors.New("it changed"))
	}
	w.writes = append(w.writes, verb+" "+o.Name)
	return nil
}

func (w *world) Annotate(_ context.Context, o snapshot.Object, annotations map[string]any) (snapshot.Object, error) {
	mark, marks := annotations[wellknown.UnusedSince].(string)
	verb := "unmark"
	if marks {
		verb = "mark"
	}
	if err := w.write(verb, o); err != nil {
		return snapshot.Object{}, err
	}
	o = w.objects[keyOf(o)]
	if marks {
		o.Annotations[wellknown.UnusedSince] = mark
	} else {
		delete(o.Annotations, wellknown.UnusedSince)
	}
	return w.store(o), nil
}

func (w *world) Remove(_ context.Context, o snapshot.Object) error {
	if err := w.write("delete", o); err != nil {
		return err
	}
	delete(w.objects, keyOf(o))
	return nil
}

func (w *world) collector() (*Collector, *events.FakeRecorder) {
	recorder := events.NewFakeRecorder(100)
	started := w.now
	return &Collector{
		Census: w, Objects: w, Events: recorder,
		Options: Options{
			Rules:     retention.Rules{MinAge: time.Hour, Grace: 10 * time.Minute},
			GoneAfter: map[wellknown.Kind]time.Duration{wellknown.ConfigMap: 24 * time.Hour, wellknown.Secret: time.Hour},
		},
		Clock: Clock{
			Now:     func() time.Time { return w.now },
			Elapsed: func() time.Duration { return w.now.Sub(started) },
		},
	}, recorder
}

// pass makes a pass and returns what was written.
func (w *world) pass(t *testing.T, c *Collector) []string {
	t.Helper()
	w.writes = nil
	require.NoError(t, c.Pass(t.Context()))
	return w.writes
}

func TestMarkedThenDeleted(t *testing.T) {
	w := newWorld()
	names := w.source("a", "app", "blue", "green", "red")
	w.used["a"] = []string{names[1]}
	c, recorder := w.collector()
	assert.Equal(t, []string{"mark " + names[0]}, w.pass(t, c))
	assert.Equal(t, "2026-01-02T03:04:05Z", w.objects[cluster.Key{Namespace: "a", Target: refs.Target{Kind: wellknown.ConfigMap, Name: names[0]}}].Annotations[wellknown.UnusedSince])
	w.now = w.now.Add(10*time.Minute - time.Second)
	assert.Empty(t, w.pass(t, c))
	w.now = w.now.Add(time.Second)
	before := testutil.ToFloat64(collected)
	assert.Equal(t, []string{"delete " + names[0]}, w.pass(t, c))
	assert.InDelta(t, 1, testutil.ToFloat64(collected)-before, 0)
	assert.Equal(t, "Normal SnapshotsCollected Deleted snapshots that nothing names: 1; left: 2", <-recorder.Events)
	assert.Empty(t, w.pass(t, c))
	for state, want := range map[retention.State]float64{retention.Current: 1, retention.Used: 1, retention.Retained: 0, retention.Marked: 0} {
		assert.InDelta(t, want, testutil.ToFloat64(snapshots.WithLabelValues(string(state))), 0, state)
	}
	assert.InDelta(t, 2*len("key")+len("greenred"), testutil.ToFloat64(bytes), 0)
}

func TestUsedAgainIsUnmarked(t *testing.T) {
	w := newWorld()
	names := w.source("a", "app", "blue", "green")
	c, _ := w.collector()
	assert.Equal(t, []string{"mark " + names[0]}, w.pass(t, c))
	w.used["a"] = []string{names[0]}
	w.now = w.now.Add(time.Hour)
	assert.Equal(t, []string{"unmark " + names[0]}, w.pass(t, c))
	assert.Empty(t, w.pass(t, c))
}

func TestWhoTakesOverCountsAnew(t *testing.T) {
	w := newWorld()
	names := w.source("a", "app", "blue", "green")
	first, _ := w.collector()
	w.pass(t, first)
	w.now = w.now.Add(time.Hour)
	second, _ := w.collector()
	assert.Empty(t, w.pass(t, second), "it sees the mark for the first time")
	w.now = w.now.Add(10 * time.Minute)
	assert.Equal(t, []string{"delete " + names[0]}, w.pass(t, second))
}

// TestAMarkThatWasSetAgainIsAnother: in between, somebody pinned it.
func TestAMarkThatWasSetAgainIsAnother(t *testing.T) {
	w := newWorld()
	names := w.source("a", "app", "blue", "green")
	c, _ := w.collector()
	w.pass(t, c)
	key := cluster.Key{Namespace: "a", Target: refs.Target{Kind: wellknown.ConfigMap, Name: names[0]}}
	w.now = w.now.Add(time.Hour)
	w.store(w.objects[key])
	assert.Empty(t, w.pass(t, c))
	w.now = w.now.Add(10 * time.Minute)
	assert.Equal(t, []string{"delete " + names[0]}, w.pass(t, c))
}

func TestDryRunWritesNothing(t *testing.T) {
	w := newWorld()
	names := w.source("a", "app", "blue", "green", "red")
	on, _ := w.collector()
	w.used["a"] = []string{names[1]}
	w.pass(t, on)
	w.used["a"] = []string{names[0]}
	c, recorder := w.collector()
	c.Options.DryRun = true
	for range 3 {
		w.now = w.now.Add(time.Hour)
		assert.Empty(t, w.pass(t, c), "it would unmark one, and mark another")
	}
	assert.Empty(t, recorder.Events)
}

func TestAnErrorInOneNamespaceLeavesTheOthers(t *testing.T) {
	w := newWorld()
	w.source("a", "app", "blue", "green")
	names := w.source("b", "app", "blue", "green")
	w.fails["a"] = apierrors.NewForbidden(configMaps, "app", errors.New("no"))
	c, _ := w.collector()
	before := testutil.ToFloat64(aborted.WithLabelValues(reasonForbidden))
	require.ErrorContains(t, c.Pass(t.Context()), "forbidden")
	assert.Equal(t, []string{"mark " + names[0]}, w.writes)
	assert.InDelta(t, 1, testutil.ToFloat64(aborted.WithLabelValues(reasonForbidden))-before, 0)
}

func TestNothingIsDoneWhenTheLookIsNotComplete(t *testing.T) {
	for reason, err := range map[string]error{
		reasonPartial:   cluster.ErrPartial,
		reasonExpired:   apierrors.NewResourceExpired("too old"),
		reasonForbidden: apierrors.NewForbidden(configMaps, "", errors.New("no")),
		reasonTimeout:   context.DeadlineExceeded,
		reasonError:     errors.New("trouble"),
	} {
		w := newWorld()
		w.source("a", "app", "blue", "green")
		w.broken = err
		c, _ := w.collector()
		before := testutil.ToFloat64(aborted.WithLabelValues(reason))
		require.ErrorIs(t, c.Pass(t.Context()), err)
		assert.Empty(t, w.writes)
		assert.InDelta(t, 1, testutil.ToFloat64(aborted.WithLabelValues(reason))-before, 0, reason)
	}
}

func TestClocksThatDifferEndThePass(t *testing.T) {
	for _, skew := range []time.Duration{time.Hour, -time.Hour, 61 * time.Second} {
		w := newWorld()
		w.source("a", "app", "blue", "green")
		w.skew = skew
		c, _ := w.collector()
		require.ErrorIs(t, c.Pass(t.Context()), errClock)
		assert.Empty(t, w.writes)
	}
}

// TestProofsGrowOld: what was looked for is as old as the beginning of the look, and a
// long look counts for as long again.
func TestProofsGrowOld(t *testing.T) {
	for name, test := range map[string]struct {
		takes, later time.Duration
		counts       bool
	}{
		"at once":                              {0, 0, true},
		"at the end of its time":               {0, 10 * time.Second, true},
		"behind it":                            {0, 11 * time.Second, false},
		"at the end, with what the look took":  {4 * time.Second, 6 * time.Second, true},
		"behind it, with what the look took":   {4 * time.Second, 7 * time.Second, false},
		"as long again as a long look":         {30 * time.Second, 30 * time.Second, true},
		"more than as long again":              {30 * time.Second, 31 * time.Second, false},
		"a look that takes longer than grace":  {20 * time.Minute, time.Second, true},
		"long after one longer than the grace": {20 * time.Minute, 21 * time.Minute, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			names := w.source("a", "app", "blue", "green")
			c, _ := w.collector()
			w.pass(t, c)
			w.now = w.now.Add(time.Hour)
			f, err := c.examine(t.Context(), cluster.Key{Namespace: "a", Target: refs.Target{Kind: wellknown.ConfigMap, Name: "app"}})
			require.NoError(t, err)
			w.takes = test.takes
			known, err := c.prove(t.Context(), "a", proof{})
			require.NoError(t, err)
			w.now = w.now.Add(test.later)
			w.writes = nil
			require.NoError(t, c.cleanSource(t.Context(), f, known))
			if test.counts {
				assert.Equal(t, []string{"delete " + names[0]}, w.writes)
				return
			}
			assert.Empty(t, w.writes)
			known, err = c.prove(t.Context(), "a", known)
			require.NoError(t, err)
			require.NoError(t, c.cleanSource(t.Context(), f, known))
			assert.Equal(t, []string{"delete " + names[0]}, w.writes, "it is looked for anew")
		})
	}
}

func TestMarksThatAreGoneAreForgotten(t *testing.T) {
	w := newWorld()
	w.source("a", "app", "blue", "green")
	c, _ := w.collector()
	w.pass(t, c)
	assert.Len(t, c.seen.since, 1)
	w.objects = map[cluster.Key]snapshot.Object{}
	w.pass(t, c)
	w.pass(t, c)
	assert.Empty(t, c.seen.since)
}

func key(t *testing.T, fill string) *hashing.Key {
	t.Helper()
	k, err := hashing.NewKey([]byte(strings.Repeat(fill, hashing.KeySize)))
	require.NoError(t, err)
	return k
}

// TestSnapshotsOfALostKey: they are collected like others, but for the one that holds
// what the source does.
// TestAHighestRevisionThatSeveralHave: what the source holds has the highest there is,
// and so has what somebody wrote it on.
func TestAHighestRevisionThatSeveralHave(t *testing.T) {
	for name, order := range map[string][]string{"the current one is newer": {"never", "live"}, "the current one is older": {"live", "never"}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			names := w.source("a", "app", order...)
			for i, content := range order {
				made := w.objects[keyOf(snapshot.Object{Kind: wellknown.ConfigMap, Namespace: "a", Name: names[i]})]
				made.Annotations[wellknown.Revision] = strconv.Itoa(snapshot.MaxRevision)
				made.Created = made.Created.Add(time.Duration(i) * time.Minute)
				w.store(made)
				if content == "live" {
					source := w.objects[keyOf(snapshot.Object{Kind: wellknown.ConfigMap, Namespace: "a", Name: "app"})]
					source.Data = map[string]string{"key": content}
					w.store(source)
				}
			}
			c, _ := w.collector()
			left := w.leftAfter(t, c)
			assert.ElementsMatch(t, []string{"app", names[slices.Index(order, "live")]}, left)
		})
	}
}

// leftAfter are the names of all objects, hours of passes later.
func (w *world) leftAfter(t *testing.T, c *Collector) []string {
	t.Helper()
	for range 3 {
		w.pass(t, c)
		w.now = w.now.Add(time.Hour)
	}
	var left []string
	for key := range w.objects {
		left = append(left, key.Name)
	}
	return left
}

func TestSnapshotsOfALostKey(t *testing.T) {
	w := newWorld()
	lost, present := key(t, "1"), key(t, "2")
	secret := func(password string, k *hashing.Key) snapshot.Object {
		return snapshot.Object{
			Kind: wellknown.Secret, Namespace: "a", Name: "db", UID: "a/db", Type: "Opaque", Key: k,
			Annotations: map[string]string{wellknown.Versioned: "true"},
			Data:        map[string]string{"password": password},
		}
	}
	keep := func(password string, revision int, k *hashing.Key) string {
		made := snapshot.Of(secret(password, k), 12)
		made.Key = present // as it is read
		made.Created = w.now.Add(-2 * time.Hour)
		made.Annotations[wellknown.Revision] = strconv.Itoa(revision)
		return w.store(made).Name
	}
	old, current := keep("hunter1", 1, lost), keep("hunter2", 2, lost)
	renamed := keep("hunter2", 3, present)
	w.store(secret("hunter2", present))
	c, _ := w.collector()
	left := w.leftAfter(t, c)
	assert.ElementsMatch(t, []string{"db", current, renamed}, left)
	assert.NotContains(t, left, old)
}

func TestWhatPassesForASnapshotOfALostKey(t *testing.T) {
	lost, present := key(t, "1"), key(t, "2")
	for name, test := range map[string]struct {
		change func(*snapshot.Object)
		is     bool
	}{
		"one that claims to be":                    {func(*snapshot.Object) {}, true},
		"one that claims to be of the present key": {func(o *snapshot.Object) { o.Annotations[wellknown.DigestKey] = present.ID() }, false},
		"one of another name":                      {func(o *snapshot.Object) { o.Name = "db-production" }, false},
		"one that can change":                      {func(o *snapshot.Object) { o.Immutable = false }, false},
		"one of another source":                    {func(o *snapshot.Object) { o.Annotations[wellknown.Source] = "other" }, false},
	} {
		made := snapshot.Of(snapshot.Object{Kind: wellknown.Secret, Namespace: "a", Name: "db", Type: "Opaque", Key: lost}, 12)
		made.Key = present
		test.change(&made)
		_, is := genuine(made, "db")
		assert.Equal(t, test.is, is, name)
	}
}
