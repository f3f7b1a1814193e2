package inspect_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/configpin/configpin/internal/hashing"
	"github.com/configpin/configpin/internal/inspect"
	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/wellknown"
)

func TestStatus(t *testing.T) {
	t.Parallel()
	app := source("app", "two")
	all := []snapshot.Object{app, kept(source("app", "one"), 1), kept(app, 2)}
	misspelt := source("app", "two")
	misspelt.Annotations = map[string]string{wellknown.Versioned: "yes"}
	unversioned := source("app", "two")
	unversioned.Annotations = nil
	label := func(d deployment, key, value string) deployment {
		d.labels[key] = value
		return d
	}
	for _, test := range []struct {
		name    string
		written deployment
		known   []snapshot.Object
		state   inspect.State
		reason  string
		ok      bool
	}{
		{name: "it names what its source holds", written: pinned("two", "two"), known: all, state: inspect.Current, ok: true},
		{name: "it was taken back", written: pinned("one", "two"), known: all, state: inspect.Held, ok: true},
		{
			name: "it is behind", written: pinned("one", "one"), known: all,
			state: inspect.Settling, reason: "to be pinned to " + nameOf("app", "two"),
		},
		{
			name: "it was never pinned", written: deployment{names: []string{"app"}}, known: all,
			state: inspect.Settling, reason: "to be pinned to " + nameOf("app", "two"),
		},
		{
			name: "only deploys move it", written: label(pinned("one", "one"), wellknown.Rollout, wellknown.RolloutManual), known: all,
			state: inspect.Manual, reason: "configpin.io/rollout is manual", ok: true,
		},
		{
			name: "nobody can tell whether only deploys move it", written: label(pinned("one", "one"), wellknown.Rollout, "Manual"), known: all,
			state: inspect.Manual, reason: `label configpin.io/rollout is "Manual", not "manual"`,
		},
		{
			name: "it is pinned, and nobody can tell whether it is opted in", written: label(pinned("one", "one"), wellknown.Enabled, "True"), known: all,
			state: inspect.Kept, reason: `label configpin.io/enabled is "True", not "true" or "false"`,
		},
		{
			name: "it is pinned, and its annotation is misspelt", written: pinned("two", "two"), known: []snapshot.Object{misspelt, kept(app, 2)},
			state: inspect.Kept, reason: `annotation configpin.io/versioned is "yes", not "true" or "false"`,
		},
		{
			name: "its snapshot is gone", written: pinned("one", "two"), known: []snapshot.Object{app, kept(app, 2)},
			state: inspect.Missing, reason: "new Pods can't start",
		},
		{
			name: "its snapshot is gone, and is what the source holds", written: pinned("two", "two"), known: []snapshot.Object{app},
			state: inspect.Missing, reason: "to be made again",
		},
		{
			name: "its source is gone", written: pinned("two", "two"), known: []snapshot.Object{kept(app, 2)},
			state: inspect.Kept, reason: "the source does not exist",
		},
		{
			name: "its source isn't versioned any more", written: pinned("two", "two"), known: []snapshot.Object{unversioned, kept(app, 2)},
			state: inspect.Kept, reason: "not versioned any more, so it gets no changes",
		},
		{
			name: "its source's annotation became nonsense", written: pinned("two", "two"), known: []snapshot.Object{misspelt, kept(app, 2)},
			state: inspect.Kept, reason: `annotation configpin.io/versioned is "yes", not "true" or "false"`,
		},
		{name: "it is excluded", written: deployment{names: []string{"app"}, exclude: "configmap/app"}, known: all, state: inspect.Unpinned, reason: "excluded", ok: true},
		{name: "it isn't versioned", written: deployment{names: []string{"app"}}, known: []snapshot.Object{unversioned}, state: inspect.Unpinned, reason: "not versioned", ok: true},
		{
			name: "its annotation is misspelt", written: deployment{names: []string{"app"}}, known: []snapshot.Object{misspelt},
			state: inspect.Unpinned, reason: `annotation configpin.io/versioned is "yes", not "true" or "false"`,
		},
		{name: "it names nothing that is there", written: deployment{names: []string{"app"}}, state: inspect.Unpinned, reason: "it does not exist"},
		{
			name: "it isn't opted in", written: deployment{names: []string{"app"}, labels: map[string]string{wellknown.Enabled: "false"}}, known: all,
			state: inspect.Unpinned, reason: "not opted in", ok: true,
		},
		{
			name: "it was opted out while admission was away", written: label(pinned("two", "two"), wellknown.Enabled, "false"), known: all,
			state: inspect.Kept, reason: "not opted in",
		},
		{
			name: "it lost its label while admission was away", written: label(pinned("two", "two"), wellknown.Enabled, wellknown.Released), known: all,
			state: inspect.Kept, reason: "to be opted out once the webhook answers, since it lost its label",
		},
		{
			name: "it lost its label, and nothing is pinned", written: deployment{names: []string{"app"}, labels: map[string]string{wellknown.Enabled: wellknown.Released}}, known: all,
			state: inspect.Unpinned, reason: "to be opted out once the webhook answers, since it lost its label", ok: true,
		},
		{
			name: "nobody can tell whether it is opted in", written: deployment{names: []string{"app"}, labels: map[string]string{wellknown.Enabled: "yes"}}, known: all,
			state: inspect.Unpinned, reason: `label configpin.io/enabled is "yes", not "true" or "false"`,
		},
		{
			name: "it is a Job of before a change", written: deployment{kind: "Job", names: []string{nameOf("app", "one")}, pins: "configmap/app=" + nameOf("app", "one")}, known: all,
			state: inspect.Kept, reason: "the template of a Job can't change", ok: true,
		},
		{
			name: "it names several snapshots", written: deployment{names: []string{nameOf("app", "one"), nameOf("app", "two")}}, known: all,
			state: inspect.Kept, reason: "the template names several snapshots of it",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			found := test.written.subject(t).Status(index(test.known...))
			require.Len(t, found, 1)
			assert.Equal(t, "configmap/app", found[0].Source)
			assert.Equal(t, test.state, found[0].State)
			assert.Equal(t, test.reason, found[0].Reason)
			assert.Equal(t, test.ok, found[0].OK)
		})
	}
}

func TestStatusTellsRevisions(t *testing.T) {
	t.Parallel()
	app := source("app", "two")
	found := pinned("one", "two").subject(t).Status(index(app, kept(source("app", "one"), 1), kept(app, 2)))
	require.Len(t, found, 1)
	assert.Equal(t, nameOf("app", "one"), found[0].Pinned)
	assert.Equal(t, 1, found[0].PinnedRevision)
	assert.Equal(t, nameOf("app", "two"), found[0].Live)
	assert.Equal(t, 2, found[0].LiveRevision)
}

// What can't be read is never guessed at.
func TestStatusOfWhatIsHidden(t *testing.T) {
	t.Parallel()
	app := source("app", "two")
	for _, test := range []struct {
		name   string
		hidden refs.Target
	}{
		{"the source", refs.Target{Kind: wellknown.ConfigMap, Name: "app"}},
		{"the snapshot", refs.Target{Kind: wellknown.ConfigMap, Name: nameOf("app", "two")}},
		{"all of the kind", refs.Target{Kind: wellknown.ConfigMap}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			known := index(app, kept(app, 2))
			known.Hide(test.hidden, "you may not read it")
			found := pinned("two", "two").subject(t).Status(known)
			require.Len(t, found, 1)
			assert.Equal(t, inspect.Unknown, found[0].State)
			assert.Equal(t, "you may not read it", found[0].Reason)
			assert.False(t, found[0].OK)
		})
	}
}

func TestWhereSecretsAreNotServed(t *testing.T) {
	t.Parallel()
	subject := deployment{secret: "db"}.subject(t)
	secret := source("db", "one")
	secret.Kind, secret.Key = wellknown.Secret, newKey(t, "k")
	known := index(secret)
	known.Unserve(wellknown.Secret, "Secrets are not served")
	found := subject.Status(known)
	require.Len(t, found, 1)
	assert.Equal(t, inspect.Unpinned, found[0].State)
	assert.Equal(t, "Secrets are not served", found[0].Reason)
	assert.True(t, found[0].OK)
	for _, prospect := range subject.Prospects(known) {
		assert.Empty(t, prospect.Results)
		assert.Empty(t, prospect.Unknown)
	}
}

// A Secret of a type that is never kept isn't pinned, and nobody waits for that.
func TestStatusOfWhatIsNeverKept(t *testing.T) {
	t.Parallel()
	secret := source("db", "one")
	secret.Kind, secret.Key, secret.Type = wellknown.Secret, newKey(t, "k"), "helm.sh/release.v1"
	found := deployment{secret: "db"}.subject(t).Status(index(secret))
	require.Len(t, found, 1)
	assert.Equal(t, inspect.Unpinned, found[0].State)
	assert.Equal(t, "type helm.sh/release.v1 is never kept", found[0].Reason)
}

// Without the programs' key, nobody can tell the name of a snapshot that isn't there.
func TestNamesOfSecretsAreNotInvented(t *testing.T) {
	t.Parallel()
	secret := source("db", "one")
	secret.Kind, secret.Key = wellknown.Secret, newKey(t, "k")
	known := index(secret)
	known.OwnKey = true
	found := deployment{secret: "db"}.subject(t).Status(known)
	require.Len(t, found, 1)
	assert.Equal(t, inspect.Settling, found[0].State)
	assert.Equal(t, "to be pinned to a new snapshot", found[0].Reason)
	assert.Empty(t, found[0].Live)
}

func TestStatusWhereTheNamespaceIsHidden(t *testing.T) {
	t.Parallel()
	subject := deployment{names: []string{"app"}}.subject(t)
	delete(subject.Labels, wellknown.Enabled)
	subject.NamespaceHidden = "you may not read namespace shop"
	found := subject.Status(index(source("app", "one")))
	require.Len(t, found, 1)
	assert.Equal(t, inspect.Unknown, found[0].State)
	assert.False(t, found[0].OK)
}

// Whoever may not read the key of the digests still sees which snapshot is what the
// Secret holds: by any key, equal contents have equal digests.
func TestStatusOfSecretsByAnotherKey(t *testing.T) {
	t.Parallel()
	theirs, ours := newKey(t, "t"), newKey(t, "o")
	secret := func(word string, key *hashing.Key) snapshot.Object {
		o := source("db", word)
		o.Kind, o.Type, o.Key = wellknown.Secret, "Opaque", key
		return o
	}
	one, two := kept(secret("one", theirs), 1), kept(secret("two", theirs), 2)
	written := deployment{
		secret: two.Name, pins: "secret/db=" + two.Name,
		labels: map[string]string{snapshot.ObservedLabel(wellknown.Secret, "db"): snapshot.Suffix(two.Name)},
	}
	byOurs := func(o snapshot.Object) snapshot.Object { o.Key = ours; return o }
	found := written.subject(t).Status(index(secret("two", ours), byOurs(one), byOurs(two)))
	require.Len(t, found, 1)
	assert.Equal(t, inspect.Current, found[0].State)
	assert.Equal(t, 2, found[0].LiveRevision)

	found = written.subject(t).Status(index(secret("one", ours), byOurs(one), byOurs(two)))
	require.Len(t, found, 1)
	assert.Equal(t, inspect.Settling, found[0].State)
	assert.Equal(t, 1, found[0].LiveRevision)
}

// An Event tells of what goes on for as long as it may be out of date, and then of what is over.
func TestDamped(t *testing.T) {
	t.Parallel()
	app := source("app", "two")
	known := index(app, kept(source("app", "one"), 1), kept(app, 2))
	const says = "Its sources change faster than it may roll out: at most one rollout per "
	now := time.Date(2026, 11, 28, 14, 3, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		message string
		ago     time.Duration
		damped  bool
	}{
		"it was told just now":                        {says + "1m0s from now on", 0, true},
		"it may be told again without being written":  {says + "1m0s from now on", 11 * time.Minute, true},
		"it would have been told again":               {says + "1m0s from now on", 11*time.Minute + time.Second, false},
		"it was told long ago":                        {says + "1m0s from now on", 55 * time.Minute, false},
		"it may roll out seldom":                      {says + "30m0s from now on", 40 * time.Minute, true},
		"it may roll out seldom, and oftener by then": {says + "30m0s from now on", 40*time.Minute + time.Second, false},
		"nobody knows how often it may":               {"Something else", 10 * time.Minute, true},
		"nobody knows how often it may, by now":       {"Something else", 10*time.Minute + time.Second, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found := pinned("one", "one").subject(t).Status(known)
			at := now.Add(-test.ago)
			inspect.Damped(found, inspect.Damping{At: at, Message: test.message}, now)
			want := time.Time{}
			if test.damped {
				want = at
			}
			assert.Equal(t, want, found[0].DampedAt)
		})
	}
	found := pinned("one", "one").subject(t).Status(known)
	inspect.Damped(found, inspect.Damping{}, now)
	assert.Zero(t, found[0].DampedAt, "it was never told")
	found = pinned("two", "two").subject(t).Status(known)
	inspect.Damped(found, inspect.Damping{At: now, Message: says + "1m0s from now on"}, now)
	assert.Zero(t, found[0].DampedAt, "what is pinned as it should be waits for nothing")
}

func TestSince(t *testing.T) {
	t.Parallel()
	app := source("app", "two")
	subject := pinned("one", "two").subject(t)
	known := index(app, kept(source("app", "one"), 1), kept(app, 2))

	told := time.Date(2026, 11, 28, 13, 0, 0, 0, time.UTC)
	found := subject.Status(known)
	message := "configmap/app is held at " + nameOf("app", "one") + "; to end it, label the deployment configpin.io/resume=true"
	holds := map[string]time.Time{}
	for _, hold := range inspect.HoldsTold(message) {
		holds[hold] = told
	}
	inspect.Since(found, holds)
	assert.Equal(t, told, found[0].HeldSince)

	found = subject.Status(known)
	inspect.Since(found, nil)
	assert.Zero(t, found[0].HeldSince, "the Event is gone")
}
