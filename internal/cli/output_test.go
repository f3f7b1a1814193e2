package cli

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
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
