package inspect_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/configpin/configpin/internal/inspect"
)

// What was and what is are told, in the order of keys.
func TestChangesTellBothValues(t *testing.T) {
	t.Parallel()
	was, is := source("app", "word"), source("app", "word")
	was.Data = map[string]string{"a": "1", "c": "1", "e": "1", "g": "same"}
	is.Data = map[string]string{"b": "2", "c": "2", "d": "", "f": "2", "g": "same"}
	var told []string
	for _, change := range inspect.Changes(was, is) {
		one, other := "nothing", "nothing"
		if change.From != nil {
			one = string(change.From)
		}
		if change.To != nil {
			other = string(change.To)
		}
		told = append(told, change.Key+": "+one+" to "+other)
	}
	assert.Equal(t, []string{
		"a: 1 to nothing", "b: nothing to 2", "c: 1 to 2", "d: nothing to ", "e: 1 to nothing", "f: nothing to 2",
	}, told)
}

// A terminal shows neither side of what isn't text on one.
func TestChangesAreTextOnBothSides(t *testing.T) {
	t.Parallel()
	text, other := source("app", "word"), source("app", "\xff")
	for name, changes := range map[string][]inspect.Change{
		"to what isn't":   inspect.Changes(text, other),
		"from what isn't": inspect.Changes(other, text),
	} {
		require.Len(t, changes, 1, name)
		assert.True(t, changes[0].Binary, name)
	}
}
