package retention_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/configpin/configpin/internal/retention"
	"github.com/configpin/configpin/internal/snapshot"
)

// mentioned says whether a text mentions a name.
func mentioned(text string, names ...string) map[string]bool {
	all := retention.Names{}
	for _, name := range names {
		all.Add(name)
	}
	found := map[string]bool{}
	for _, mention := range retention.Mentions([]byte(text)) {
		all.In(mention, func(name string) { found[name] = true })
	}
	return found
}

func TestMentions(t *testing.T) {
	const name = "app-0123456789ab"
	for text, want := range map[string]bool{
		`{"name":"app-0123456789ab"}`: true,
		`{"configpin.io/pins":"configmap/app=app-0123456789ab,configmap/b=b-012345678900"}`: true,
		`{"last-applied":"{\"name\":\"app-0123456789ab\"}"}`:                                true,
		`{"args":["--config=/etc/app-0123456789ab/key"]}`:                                   true,
		`{"text":"\napp-0123456789ab\n"}`:                                                   true,
		`{"name":"my-app-0123456789ab"}`:                                                    true, // who knows
		`{"name":"app-0123456789abcdef"}`:                                                   true, // who knows
		`{"name":"app-0123456789ab-app-0123456789ac"}`:                                      true,
		`app-0123456789ab`:                                       true,
		`{"name":"app-0123456789ac"}`:                            false,
		`{"name":"app-0123456789a"}`:                             false,
		`{"observed.configpin.io/configmap.app":"0123456789ab"}`: false, // the content was offered
		`{"name":"b-0123456789ab"}`:                              false,
		``:                                                       false,
	} {
		assert.Equal(t, want, mentioned(text, name)[name], text)
	}
}

func TestMentionsTellsLongNamesApart(t *testing.T) {
	digest := strings.Repeat("0123456789abcdefghijklmnop", 2)
	short, middle, long := "app-"+digest[:12], "app-"+digest[:24], "app-"+digest
	assert.Equal(t, map[string]bool{short: true}, mentioned(`"`+short+`"`, short, middle, long))
	assert.Equal(t, map[string]bool{short: true, middle: true}, mentioned(`"`+middle+`"`, short, middle, long))
}

// TestWhatAMentionIs: as much text as can be one name, where a suffix could begin. A character
// too few, and a snapshot would count as unused.
func TestWhatAMentionIs(t *testing.T) {
	for text, want := range map[string][]string{
		"app-0123456789ab app-0123456789ab app-0123456789ab": {"app-0123456789ab"},
		`"zoo9.az-0123456789ab"`:                             {"zoo9.az-0123456789ab"},
		`"a-0123456789ab-z.9"`:                               {"a-0123456789ab-z.9"},
		"image:app-0123456789ab:{app-0123456789ac}":          {"app-0123456789ab", "app-0123456789ac"},
		"é~APP-0123456789ab|app-0123456789ac{":               {"-0123456789ab", "app-0123456789ac"},
		"app-0vv999999999":                                   {"app-0vv999999999"},
		"app-0123.56789ab":                                   nil,
		"app-0123/56789ab":                                   nil,
		"app-0123:56789ab":                                   nil,
		"app-0123A56789ab":                                   nil,
		"app-0123`56789ab":                                   nil,
		"app-0123w56789ab":                                   nil,
		"app-0123z56789ab":                                   nil,
		"app-0123456789a":                                    nil,
		"app-a":                                              nil,
		"app-":                                               nil,
	} {
		assert.Equal(t, want, retention.Mentions([]byte(text)), text)
	}
}

// TestNamesAreFoundAnywhereInAMention, and what is too short for one is none.
func TestNamesAreFoundAnywhereInAMention(t *testing.T) {
	names := retention.Names{}
	names.Add("app-0123456789ab")
	names.Add("app-short")
	for mention, want := range map[string][]string{
		"app-0123456789ab":                 {"app-0123456789ab"},
		"my-app-0123456789ab-x":            {"app-0123456789ab"},
		"app-0123456789ab-b-000000000000-": {"app-0123456789ab"},
		"ap-0123456789ab":                  nil,
		"x-app-short-x":                    nil,
	} {
		var found []string
		names.In(mention, func(name string) { found = append(found, name) })
		assert.Equal(t, want, found, mention)
	}
}

// TestEveryNameInATextIsFound: what Mentions and Names find is what a search for
// each name finds.
func TestEveryNameInATextIsFound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var names []string
		for range 3 {
			source := snapshot.Object{Kind: "configmap", Name: rapid.SampledFrom([]string{"app", "a", "my-app", "app.conf", "app-0123456789ab", strings.Repeat("a", 253)}).Draw(t, "source")}
			source.Data = map[string]string{"key": rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "value")}
			names = append(names, snapshot.Of(source, rapid.SampledFrom(snapshot.Lengths).Draw(t, "length")).Name)
		}
		piece := rapid.OneOf(rapid.SampledFrom(names), rapid.SampledFrom([]string{"-", ".", "a", "0", "\n", `"`, " ", "é", "=", "3b2c1d0e-1111-2222-3333-0a1b2c3d4e5f"}), rapid.String())
		inner := strings.Join(rapid.SliceOfN(piece, 0, 6).Draw(t, "pieces"), "")
		nested, err := json.Marshal(map[string]any{"inner": inner, "list": []string{inner}})
		require.NoError(t, err)
		text, err := json.Marshal(map[string]string{"a": string(nested)})
		require.NoError(t, err)
		found := mentioned(string(text), names...)
		for _, name := range names {
			assert.Equal(t, strings.Contains(string(text), name), found[name], "%s in %s", name, text)
		}
	})
}

func FuzzMentions(f *testing.F) {
	f.Add(`{"name":"app-0123456789ab"}`, "app-0123456789ab")
	f.Add("app-0123456789abcdefghijklmn", "app-0123456789ab")
	f.Fuzz(func(t *testing.T, text, name string) {
		if suffix := snapshot.Suffix(name); len(suffix) < 12 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789.-") != "" || strings.Trim(suffix[:12], "0123456789abcdefghijklmnopqrstuv") != "" || !strings.Contains(name, "-") {
			return // nothing is called that
		}
		assert.Equal(t, strings.Contains(text, name), mentioned(text, name)[name])
	})
}
