package cli

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
	"sigs.k8s.io/yaml"
)

func revisionsAnswer(rows ...[]string) answer {
	return answer{
		report: rows,
		names:  []string{"configmap/app-a"},
		table:  table{columns: []column{{name: "Revision"}, {name: "Age", moves: true}, {name: "Change-cause"}, {name: "Digest", wide: true}}, rows: rows},
		after:  []string{"That is all."},
	}
}

func TestPrint(t *testing.T) {
	t.Parallel()
	a := revisionsAnswer([]string{"1", "2h", "the \x1b[31mfirst", "abc"}, []string{"12", "5s", "", "def"})
	for format, want := range map[string]string{
		formatTable: "REVISION   AGE   CHANGE-CAUSE\n1          2h    the <U+001B>[31mfirst\n12         5s    \nThat is all.\n",
		formatWide:  "REVISION   AGE   CHANGE-CAUSE            DIGEST\n1          2h    the <U+001B>[31mfirst   abc\n12         5s                            def\nThat is all.\n",
		formatName:  "configmap/app-a\n",
		formatJSON:  "[\n    [\n        \"1\",\n        \"2h\",\n        \"the \\u001b[31mfirst\",\n        \"abc\"\n    ],\n    [\n        \"12\",\n        \"5s\",\n        \"\",\n        \"def\"\n    ]\n]\n",
	} {
		var out bytes.Buffer
		require.NoError(t, (&output{format: format}).print(&out, a))
		assert.Equal(t, want, out.String(), format)
	}
}

func TestAWatchPrintsWhatChanged(t *testing.T) {
	t.Parallel()
	before := revisionsAnswer([]string{"1", "2h", "the first", "abc"})
	later := revisionsAnswer([]string{"1", "3h", "the first", "abc"}, []string{"2", "1s", "spring", "def"})
	news := later.since(before, output{})
	require.NotNil(t, news)
	assert.Equal(t, [][]string{{"2", "1s", "spring", "def"}}, news.table.rows)
	assert.Empty(t, news.after)
	assert.Len(t, later.table.rows, 2)

	assert.NotNil(t, later.since(before, output{format: formatJSON}))
	assert.Nil(t, later.since(later, output{format: formatJSON}))
}

// What isn't printable is escaped in YAML, and reads as it was; all else is as it always was.
func TestYAMLHasNothingForATerminalToObey(t *testing.T) {
	t.Parallel()
	in := func(value any) string {
		var out bytes.Buffer
		require.NoError(t, (&output{format: formatYAML}).print(&out, answer{report: value}))
		return out.String()
	}
	assert.Equal(t, "b:\n- 1\n- true\n- null\ncause: \"a\\u202eb\\U000E0041\\u2066<é>\\u200b\"\n",
		in(map[string]any{"cause": "a\u202eb\U000e0041\u2066<é>\u200b", "b": []any{1, true, nil}}))

	parts := strings.Split("a|true|1|~|: |#| |\t|\r|\n|\"|'|\\|\\u202e|\u202e|\u2066|\u200b|\u00a0|\u0085|\u007f|\u2028|\ufeff|\ufffe|\U000e0041|\x00|日本", "|")
	tame := strings.Split("a|y|On|1:20|<<|=|.5|1e3|0o7|null|-|true|1|~|: |#| |\n|\"|'|\\|<|é|日本|2026-11-28T14:03:00Z|, |0x1", "|")
	word := func(parts []string) *rapid.Generator[string] {
		return rapid.Map(rapid.SliceOfN(rapid.SampledFrom(parts), 0, 3), func(parts []string) string { return strings.Join(parts, "") })
	}
	rapid.Check(t, func(t *rapid.T) {
		said := map[string]any{"cause": word(parts).Draw(t, "cause"), "all": []any{word(parts).Draw(t, "one")}}
		text := in(said)
		assert.False(t, strings.ContainsFunc(text, overlooked), "%q", text)
		var read map[string]any
		require.NoError(t, yaml.Unmarshal([]byte(text), &read))
		assert.Equal(t, said, read)

		harmless := map[string]any{"b": []string{word(tame).Draw(t, "word")}, "a": map[string]int{"x": 1000000}, "c": []int{}}
		want, err := yaml.Marshal(harmless)
		require.NoError(t, err)
		assert.Equal(t, string(want), in(harmless))
	})
}
