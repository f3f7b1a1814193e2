package inspect_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/configpin/configpin/internal/inspect"
	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/wellknown"
)

func TestHistory(t *testing.T) {
	t.Parallel()
	one, two, three := source("app", "one"), source("app", "two"), source("app", "three")
	two.Data["colour"] = "blue"
	three.Data["colour"] = "blue"
	three.Annotations[wellknown.KubernetesChangeCause] = "third time lucky"
	history := inspect.History{Kind: wellknown.ConfigMap, Source: "app"}
	history.Add(kept(two, 5))
	history.Add(kept(one, 2))
	forged := kept(three, 9)
	forged.Data = map[string]string{"word": "forged"}
	history.Add(forged)
	history.Live(three)

	revisions := history.Revisions()
	require.Len(t, revisions, 3)
	assert.Equal(t, []int{2, 5, 0}, []int{revisions[0].Number, revisions[1].Number, revisions[2].Number})
	assert.Empty(t, revisions[0].Keys.String())
	assert.Equal(t, "+colour ~word", revisions[1].Keys.String())
	assert.Equal(t, "~word", revisions[2].Keys.String())
	assert.Equal(t, []bool{false, false, true}, []bool{revisions[0].Current, revisions[1].Current, revisions[2].Current})
	assert.Empty(t, revisions[2].Snapshot, "nobody has kept it")
	assert.Equal(t, "third time lucky", revisions[2].ChangeCause)

	history.Add(kept(three, 6))
	revisions = history.Revisions()
	require.Len(t, revisions, 3)
	assert.Equal(t, snapshot.Of(three, 12).Name, revisions[2].Snapshot)
	assert.True(t, revisions[2].Current)
}

// TestAChangeCauseThatWasThereBeforeIsNotShownOfWhatCame: also while the versioner hasn't
// seen it.
func TestAChangeCauseThatWasThereBeforeIsNotShownOfWhatCame(t *testing.T) {
	t.Parallel()
	one, two := source("app", "one"), source("app", "two")
	first := kept(one, 1)
	first.Annotations[wellknown.ChangeCause] = "first"
	for name, test := range map[string]struct {
		cause string
		kept  bool
		want  string
	}{
		"nobody has kept it, and nothing was said": {"first", false, ""},
		"nobody has kept it":                       {"second", false, "second"},
		"nobody numbered it, and nothing was said": {"first", true, ""},
		"nobody has numbered it":                   {"second", true, "second"},
		"it was taken away":                        {"", true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			live := two
			live.Annotations = map[string]string{wellknown.Versioned: "true", wellknown.KubernetesChangeCause: test.cause}
			history := inspect.History{Kind: wellknown.ConfigMap, Source: "app"}
			history.Add(first)
			if test.kept {
				history.Add(kept(two, 0))
			}
			history.Live(live)
			revisions := history.Revisions()
			require.Len(t, revisions, 2)
			assert.Equal(t, []string{"first", test.want}, []string{revisions[0].ChangeCause, revisions[1].ChangeCause})
		})
	}
}

// The order is that in which contents became current. When their snapshots were made says
// it of those that nobody numbered, and the name of those that were made at once.
func TestTheOrderOfHistory(t *testing.T) {
	t.Parallel()
	made := func(word string, revision, minute int) snapshot.Object {
		o := kept(source("app", word), revision)
		o.Created = time.Date(2026, 11, 28, 14, minute, 0, 0, time.UTC)
		return o
	}
	same := []snapshot.Object{made("d", 0, 9), made("e", 0, 9)}
	if same[0].Name > same[1].Name {
		same[0], same[1] = same[1], same[0]
	}
	want := []snapshot.Object{
		made("a", 2, 8), // numbers count more than times
		made("b", 10, 3),
		made("c", 0, 1), // those without are newer than those with
		same[0], same[1],
		made("live", 1, 0), // what the source holds comes last
	}
	history := inspect.History{Kind: wellknown.ConfigMap, Source: "app"}
	for _, i := range []int{4, 0, 5, 2, 1, 3} {
		history.Add(want[i])
	}
	history.Live(source("app", "live"))
	revisions := history.Revisions()
	require.Len(t, revisions, len(want))
	for i := range want {
		assert.Equal(t, want[i].Name, revisions[i].Snapshot)
		assert.Equal(t, i == len(want)-1, revisions[i].Current)
	}
}

// What is told of a revision, but for its order.
func TestWhatHistoryTells(t *testing.T) {
	t.Parallel()
	app := source("app", "one")
	made := kept(app, 1)
	made.Annotations[wellknown.ChangeCause] = "first"
	made.Created = time.Date(2026, 11, 28, 14, 0, 0, 0, time.UTC)
	made.Annotations[wellknown.UnusedSince] = "2026-11-29T00:00:00Z"
	terminating := kept(source("app", "gone"), 2)
	terminating.Terminating = true
	history := inspect.History{Kind: wellknown.ConfigMap, Source: "app"}
	history.Add(made)
	history.Add(kept(source("other", "one"), 3))
	history.Add(terminating)
	assert.False(t, history.Unversioned(), "nobody knows")
	history.Live(source("app", "three"))

	revisions := history.Revisions()
	require.Len(t, revisions, 2)
	assert.Equal(t, "first", revisions[0].ChangeCause)
	assert.Equal(t, made.Created, revisions[0].Created)
	assert.Equal(t, "2026-11-29T00:00:00Z", revisions[0].UnusedSince)
	assert.Equal(t, app.Digest("app").String(), revisions[0].Digest)
	assert.Equal(t, len("word")+len("one"), revisions[0].Bytes)
	assert.Equal(t, len("word")+len("three"), revisions[1].Bytes)
}

// What the versioner has said of the current one stays, although the source says the same.
func TestTheChangeCauseOfTheCurrentOne(t *testing.T) {
	t.Parallel()
	app := source("app", "one")
	app.Annotations[wellknown.KubernetesChangeCause] = "first"
	made := kept(app, 1)
	made.Annotations[wellknown.ChangeCause] = "first"
	history := inspect.History{Kind: wellknown.ConfigMap, Source: "app"}
	history.Add(made)
	history.Live(app)
	revisions := history.Revisions()
	require.Len(t, revisions, 1)
	assert.Equal(t, "first", revisions[0].ChangeCause)
}

func TestKeysAreCalledByWhatBecameOfThem(t *testing.T) {
	t.Parallel()
	keys := inspect.Keys{Added: []string{"a", "b"}, Changed: []string{"c"}, Removed: []string{"d"}}
	assert.Equal(t, "+a +b ~c -d", keys.String())
}

func TestHistoryOfASecretShowsNoDigest(t *testing.T) {
	t.Parallel()
	secret := source("db", "one")
	secret.Kind, secret.Key = wellknown.Secret, newKey(t, "k")
	history := inspect.History{Kind: wellknown.Secret, Source: "db"}
	history.Add(kept(secret, 1))
	assert.Empty(t, history.Revisions()[0].Digest)
}

func TestHistoryOfWhatIsNotVersioned(t *testing.T) {
	t.Parallel()
	history := inspect.History{Kind: wellknown.ConfigMap, Source: "app"}
	plain := source("app", "one")
	plain.Annotations = nil
	assert.True(t, history.Gone(), "nobody said that it is there")
	history.Live(plain)
	assert.False(t, history.Gone())
	assert.Empty(t, history.Revisions())
}

// The keys that are told are those in which values differ, whichever way one looks.
func TestChangesAreThoseThatDiffer(t *testing.T) {
	t.Parallel()
	values := rapid.MapOfN(rapid.StringMatching("[a-d]"), rapid.SampledFrom([]string{"", "x", "y"}), 0, 4)
	rapid.Check(t, func(t *rapid.T) {
		a, b := source("app", ""), source("app", "")
		a.Data, b.Data = values.Draw(t, "a"), values.Draw(t, "b")
		want := map[string]bool{}
		for _, key := range []string{"a", "b", "c", "d"} {
			was, hadIt := a.Data[key]
			is, hasIt := b.Data[key]
			if hadIt != hasIt || was != is {
				want[key] = true
			}
		}
		got := map[string]bool{}
		for _, change := range inspect.Changes(a, b) {
			got[change.Key] = true
		}
		assert.Equal(t, want, got)

		keys := inspect.ContentOf(b, "app").Since(inspect.ContentOf(a, "app"))
		assert.Len(t, want, len(keys.Added)+len(keys.Changed)+len(keys.Removed))
		back := inspect.ContentOf(a, "app").Since(inspect.ContentOf(b, "app"))
		assert.Equal(t, keys.Added, back.Removed)
		assert.Equal(t, keys.Changed, back.Changed)
	})
}

// What people are shown is equal exactly where the digests are.
func TestChangesCoverWhatTheDigestCovers(t *testing.T) {
	t.Parallel()
	value := rapid.SampledFrom([]string{"", "x", "y"})
	draw := func(t *rapid.T, name string) snapshot.Object {
		o := source("app", "")
		o.Type = rapid.SampledFrom([]string{"", "Opaque", "example.com/x"}).Draw(t, name+" type")
		o.Data, o.Binary = map[string]string{}, map[string][]byte{}
		for _, key := range []string{"a", "b"} {
			switch rapid.IntRange(0, 2).Draw(t, name+" has "+key) {
			case 1:
				o.Data[key] = value.Draw(t, name+" "+key)
			case 2:
				o.Binary[key] = []byte(value.Draw(t, name+" "+key))
			}
		}
		return o
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b := draw(t, "a"), draw(t, "b")
		same := a.Digest("app") == b.Digest("app")
		assert.Equal(t, same, len(inspect.Changes(a, b)) == 0)
		assert.Equal(t, same, inspect.ContentOf(b, "app").Since(inspect.ContentOf(a, "app")).String() == "")
	})
}

func TestChangesTellWhatMoved(t *testing.T) {
	t.Parallel()
	was, is := source("app", "word"), source("app", "word")
	was.Type, is.Type = "", "example.com/x"
	was.Data = map[string]string{"changes": "a", "gone": "a", "moved": "a", "both": "a", "stays": "a"}
	is.Data = map[string]string{"changes": "b", "stays": "a"}
	is.Binary = map[string][]byte{"moved": []byte("a"), "both": []byte("b"), "new": []byte("a")}
	assert.Equal(t, []inspect.Change{
		{Key: "(type)", To: []byte("example.com/x")},
		{Key: "both", From: []byte("a"), To: []byte("b"), Moved: true, Was: "data", Is: "binaryData"},
		{Key: "changes", From: []byte("a"), To: []byte("b")},
		{Key: "gone", From: []byte("a")},
		{Key: "moved", From: []byte("a"), To: []byte("a"), Moved: true, Was: "data", Is: "binaryData"},
		{Key: "new", To: []byte("a")},
	}, inspect.Changes(was, is))
	assert.Equal(t, "~(type) +new ~both ~changes ~moved -gone", inspect.ContentOf(is, "app").Since(inspect.ContentOf(was, "app")).String())
}

func TestChangesTellTextFromOther(t *testing.T) {
	t.Parallel()
	for value, binary := range map[string]bool{
		"a line\n":          false,
		"windows\r\n\tline": false,
		"äöü":               false,
		"\x1b[31mred":       false,
		"over\rwritten":     false,
		"\xff\xfe":          true,
		"a\x00b":            true,
		"next\u0085line":    false,
	} {
		was, is := source("app", "word"), source("app", value)
		changes := inspect.Changes(was, is)
		require.Len(t, changes, 1)
		assert.Equal(t, binary, changes[0].Binary, "%q", value)
	}
}

func TestUsers(t *testing.T) {
	t.Parallel()
	one, two := nameOf("app", "one"), nameOf("app", "two")
	users := inspect.NewUsers([]string{one, two})
	element := func(name, owner, mention string) []byte {
		owners := ""
		if owner != "" {
			owners = fmt.Sprintf(`"ownerReferences": [{"controller": true, "uid": %q}],`, owner)
		}
		return fmt.Appendf(nil, `{"metadata": {%s "name": %q, "uid": "u-%s"}, "spec": {"x": %q}}`, owners, name, name, mention)
	}
	users.Add("replicasets.apps", element("web-1", "u-web", one))
	users.Add("pods", element("web-2-x", "u-web-2", two))
	users.Add("deployments.apps", element("web", "", two))
	users.Add("deployments.apps", element("other", "", "app"))

	var words []string
	for _, user := range users.Of(two) {
		words = append(words, user.Short())
	}
	assert.Equal(t, []string{"deployment/web", "pod/web-2-x"}, words)
	require.Len(t, users.Of(one), 1)
	assert.Equal(t, inspect.Past, users.Of(one)[0].Role())
	assert.Equal(t, "replicaset.apps/web-1", users.Of(one)[0].String())
	assert.Empty(t, users.Of("app"))
}

func ExampleHistory() {
	history := inspect.History{Kind: wellknown.ConfigMap, Source: "app"}
	history.Add(kept(source("app", "one"), 1))
	history.Add(kept(source("app", "two"), 2))
	history.Live(source("app", "two"))
	for _, revision := range history.Revisions() {
		fmt.Printf("%d %s %t %q\n", revision.Number, revision.Snapshot, revision.Current, revision.Keys)
	}
	// Output:
	// 1 app-ea6ro3l2hrhv false ""
	// 2 app-cnfqghi4ft08 true "~word"
}
