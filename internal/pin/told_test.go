package pin

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestWarningsAreCutOnlyWhereTheyMustBe(t *testing.T) {
	fits := strings.Repeat("a", maxWarning)
	assert.Equal(t, fits, warn("%s", fits))
	assert.Len(t, warn("%s", fits+"a"), maxWarning)
	assert.Equal(t, strings.Repeat("x", maxWarning)+"...e", warn(strings.Repeat("x", maxWarning)+"%s", "some name"), "what else there is doesn't fit, whatever is cut")
	assert.Equal(t, "name", shorten("name", 4))
	assert.Equal(t, "...s", shorten("names", 4))
}
