package inspect_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/configpin/configpin/internal/inspect"
	"github.com/configpin/configpin/internal/pin"
	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/wellknown"
)

var (
	theApp = refs.Target{Kind: wellknown.ConfigMap, Name: "app"}
	theDB  = refs.Target{Kind: wellknown.Secret, Name: "db"}
)

// password is a Secret that is versioned, and holds a word.
func password(t *testing.T, word string) snapshot.Object {
	t.Helper()
	secret := source("db", word)
	secret.Kind, secret.Key = wellknown.Secret, newKey(t, "k")
	return secret
}

// Of snapshots of one content, which a lost key makes, the one that was current last counts,
// in whichever order they are found.
func TestTheCurrentOfSeveral(t *testing.T) {
	t.Parallel()
	app := source("app", "one")
	short, long := kept(app, 3), snapshot.Of(app, snapshot.Lengths[1])
	long.Annotations[wellknown.Revision] = "1"
	for _, order := range [][]snapshot.Object{{short, long, app}, {long, short, app}, {app, long, short}} {
		known := index(order...)
		assert.Equal(t, short.Name, known.Current(theApp))
		assert.Equal(t, short.Name, known.Fact(theApp).Current)
		assert.Equal(t, 3, known.Revision(refs.Target{Kind: wellknown.ConfigMap, Name: short.Name}))
	}
	assert.Empty(t, index(short, long).Current(theApp), "nobody knows what the source holds")
}

// A name that nobody can know isn't told, and every other is.
func TestNamesThatAreNotKnown(t *testing.T) {
	t.Parallel()
	const unknown = "db-?"
	made := kept(password(t, "one"), 1)
	never := password(t, "one")
	never.Type = "helm.sh/release.v1"
	plain := password(t, "one")
	plain.Annotations = nil
	for _, test := range []struct {
		name   string
		known  []snapshot.Object
		of     refs.Target
		ownKey bool
		want   string
	}{
		{"a ConfigMap's", []snapshot.Object{source("app", "one")}, theApp, true, nameOf("app", "one")},
		{"a Secret's, by another key", []snapshot.Object{password(t, "one")}, theDB, true, unknown},
		{"a Secret's, by the programs' key", []snapshot.Object{password(t, "one")}, theDB, false, made.Name},
		{"a Secret's that is there", []snapshot.Object{password(t, "one"), made}, theDB, true, made.Name},
		{"of a Secret that is never kept", []snapshot.Object{never}, theDB, true, ""},
		{"of what isn't versioned", []snapshot.Object{plain}, theDB, true, ""},
		{"of a snapshot", []snapshot.Object{made}, refs.Target{Kind: wellknown.Secret, Name: made.Name}, true, ""},
	} {
		known := index(test.known...)
		known.OwnKey = test.ownKey
		assert.Equal(t, test.want, known.Fact(test.of).Current, test.name)
	}
	assert.Equal(t, "type helm.sh/release.v1 is never kept", index(never).Fact(theDB).Problem)
	plain.Type = never.Type
	assert.Empty(t, index(plain).Fact(theDB).Problem, "nobody asks for it")
}

// What claims to be a snapshot is believed where nothing but its metadata was read, and
// nowhere else.
func TestWhatIsClaimed(t *testing.T) {
	t.Parallel()
	made := kept(source("app", "one"), 1)
	claimed := made
	claimed.Data = nil // not read
	named := refs.Target{Kind: wellknown.ConfigMap, Name: made.Name}
	fact := pin.Fact{Role: pin.Snapshot, Of: "app", Digest: made.Annotations[wellknown.Digest]}
	for _, test := range []struct {
		name    string
		object  snapshot.Object
		claimed bool
		want    pin.Fact
	}{
		{"by its metadata", claimed, true, fact},
		{"by what it holds", made, false, fact},
		{"not by what it doesn't hold", claimed, false, pin.Fact{Role: pin.Plain}},
	} {
		known := &inspect.Index{}
		known.Take(test.object, test.claimed)
		assert.Equal(t, test.want, known.Fact(named), test.name)
	}
	known := &inspect.Index{}
	known.Take(source("app", "one"), true)
	assert.Equal(t, pin.Fact{Role: pin.Absent}, known.Fact(theApp), "it doesn't claim to be one")
}

// What is hidden or not served is that, however much else is.
func TestHiddenAndUnserved(t *testing.T) {
	t.Parallel()
	known := index(source("app", "one"), source("b", "one"))
	known.Hide(theApp, "you may not read it")
	known.Hide(refs.Target{Kind: wellknown.ConfigMap, Name: "b"}, "neither this one")
	assert.Equal(t, "you may not read it", known.Hidden(theApp))
	assert.Equal(t, pin.Fact{Role: pin.Unserved}, known.Fact(theApp))
	known.Unserve(wellknown.Secret, "no Secrets")
	known.Unserve(wellknown.ConfigMap, "no ConfigMaps")
	assert.Equal(t, "no Secrets", known.Unserved(wellknown.Secret))
	assert.Equal(t, "no ConfigMaps", known.Unserved(wellknown.ConfigMap))
	assert.Equal(t, pin.Fact{Role: pin.Unserved}, known.Fact(theDB))
}

func TestPassing(t *testing.T) {
	t.Parallel()
	var passing []string
	for _, state := range []inspect.State{
		inspect.Current, inspect.Held, inspect.Manual, inspect.Settling, inspect.Kept, inspect.Unpinned, inspect.Missing, inspect.Unknown,
	} {
		if (inspect.Ref{State: state}).Passing() {
			passing = append(passing, string(state))
		}
	}
	assert.Equal(t, "Settling Missing", strings.Join(passing, " "))
}
