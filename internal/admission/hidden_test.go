package admission

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"

	"github.com/configpin/configpin/internal/wellknown"
)

// TestWhatIsHiddenIsBounded: namespaces come and go, and the right may be missing in all.
func TestWhatIsHiddenIsBounded(t *testing.T) {
	unreadableObjects.Reset()
	t.Cleanup(unreadableObjects.Reset)
	hidden, now := newHidden(), time.Now()
	assert.True(t, hidden.count(wellknown.Secret, "first", now))
	assert.False(t, hidden.count(wellknown.Secret, "first", now.Add(hiddenEvery-1)), "it was logged")
	assert.True(t, hidden.count(wellknown.Secret, "first", now.Add(hiddenEvery)))
	for i := range maxHidden {
		assert.True(t, hidden.count(wellknown.Secret, fmt.Sprint("shop-", i), now))
	}
	assert.Equal(t, maxHidden, testutil.CollectAndCount(unreadableObjects))
	assert.True(t, hidden.count(wellknown.Secret, "first", now.Add(hiddenEvery+1)), "it was forgotten")
	assert.Equal(t, maxHidden, testutil.CollectAndCount(unreadableObjects))
}
