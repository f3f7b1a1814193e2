package inspect_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/configpin/configpin/internal/inspect"
	"github.com/configpin/configpin/internal/pin"
)

// TestReasonsInWords: what explain says of each reason, some of which are rare.
func TestReasonsInWords(t *testing.T) {
	t.Parallel()
	assert.Equal(t, map[pin.Reason]string{
		"Frozen":       "the template of a Job can't change",
		"Ambiguous":    "the template names several snapshots of it, and did before",
		"SeenAgain":    "it is our own answer, seen again",
		"Excluded":     "the template excludes it",
		"NotVersioned": "it is not versioned",
		"Gone":         "that snapshot does not exist",
		"Resumed":      "somebody gives up the hold",
		"Restored":     "a new workload keeps the snapshot that it names",
		"Created":      "a new workload gets what the source holds",
		"Outdated":     "it comes with the label of its own time, as out of an exported manifest, and is no rollback",
		"RolledBack":   "the template names another snapshot",
		"Deployed":     "a changed template names the source: what is declared wins",
		"Undone":       "another source is rolled back, and the undo must find its revision",
		"Manual":       "only deploys change its pins",
		"Held":         "it was taken back on purpose, and the source hasn't changed since",
		"Reapplied":    "an unchanged template names the source",
		"Touched":      "it follows what the source holds",
		"Unavailable":  "what the source holds can't be pinned",
		"Unclear":      "nobody understands whether it is to be pinned",
		"Dropped":      "the source was deleted, and its refs are optional",
		"Repeated":     "only variables whose names repeat refer to it",
	}, inspect.Because)
}
