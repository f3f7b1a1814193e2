package cli

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestVisible(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"":                     "",
		"a line, with äöü 日本":  "a line, with äöü 日本",
		"  indented\tby\ttabs": "  indented\tby\ttabs",
		"blanks  ":             "blanks<U+0020><U+0020>",
		"   ":                  "<U+0020><U+0020><U+0020>",
		"tab\t":                "tab<U+0009>",
		"windows\r":            "windows<U+000D>",
		"mixed \t\r":           "mixed<U+0020><U+0009><U+000D>",
		"over\rwritten":        "over<U+000D>written",
		"\ufeffmarked":         "<U+FEFF>marked",
		"no\u00a0break":        "no<U+00A0>break",
		"zero\u200bwidth":      "zero<U+200B>width",
		"join\u200ded":         "join<U+200D>ed",
		"\u202eright to left":  "<U+202E>right to left",
		"\u2066isolated":       "<U+2066>isolated",
		"soft\u00adhyphen":     "soft<U+00AD>hyphen",
		"line\u2028separator":  "line<U+2028>separator",
		"thin\u2009space":      "thin<U+2009>space",
		"\u3164filler":         "<U+3164>filler",
		"braille\u2800blank":   "braille<U+2800>blank",
		"heart\ufe0f":          "heart<U+FE0F>",
		"tag\U000e0041":        "tag<U+E0041>",
		"\x1b[31mred":          "<U+001B>[31mred",
		"csi\u009b31m":         "csi<U+009B>31m",
		"it says <U+00A0>":     "it says <U+003C>U+00A0>",
		"a < b <u> <U":         "a < b <u> <U",
	} {
		assert.Equal(t, want, visible(line))
	}
}

// Lines that differ look different, whatever is in them; and nothing that a terminal obeys
// gets to it.
func TestWhatDiffersLooksDifferent(t *testing.T) {
	t.Parallel()
	line := rapid.Map(rapid.SliceOf(rapid.SampledFrom(strings.Split("a| |\t|\r|\u00a0|\u200b|<|U|+|0|A|>|<U+00A0>|\x1b", "|"))), func(parts []string) string {
		return strings.Join(parts, "")
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := line.Draw(t, "a"), line.Draw(t, "b")
		assert.Equal(t, a == b, visible(a) == visible(b))
		assert.Equal(t, visible(a), strings.TrimRight(visible(a), " \t"))
		assert.False(t, strings.ContainsFunc(visible(a), func(r rune) bool { return inkless(r) && r != '\t' }))
	})
}

func TestClean(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "a\tb\nc<U+001B>d<U+000D>e<U+009B><U+202C>f ", clean("a\tb\nc\x1bd\re\u009b\u202cf "))
	assert.Equal(t, "a<U+0009>b<U+000A>c", cell("a\tb\nc"))
	assert.Equal(t, "bytes \ufffd", clean("bytes \x9b"))
}

func TestJSONHasNothingForATerminalToObey(t *testing.T) {
	t.Parallel()
	said := map[string]string{"cause": "a\u009b31m\u202eb\U000e0041<é>\n"}
	var out bytes.Buffer
	require.NoError(t, encode(&out, said))
	assert.Equal(t, "{\n    \"cause\": \"a\\u009b31m\\u202eb\\udb40\\udc41<é>\\n\"\n}\n", out.String())
	var read map[string]string
	require.NoError(t, json.Unmarshal(out.Bytes(), &read))
	assert.Equal(t, said, read)
}

func TestWarningsAreClean(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	w := &warner{out: &out, said: map[string]bool{}}
	w.HandleWarningHeader(299, "-", "from \u202ea policy")
	w.HandleWarningHeader(299, "-", "from \u202ea policy")
	w.HandleWarningHeader(299, "-", "")
	w.HandleWarningHeader(199, "-", "for nobody")
	assert.Equal(t, "Warning: from <U+202E>a policy\n", out.String())
}
