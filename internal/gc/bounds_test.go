package gc

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/wellknown"
)

// TestNothingIsToldOfASecretThatIsCollected: who may read Events isn't to learn which
// Secrets there are.
func TestNothingIsToldOfASecretThatIsCollected(t *testing.T) {
	w := newWorld()
	db := snapshot.Object{
		Kind: wellknown.Secret, Namespace: "a", Name: "db", UID: "a/db", Type: "Opaque", Key: key(t, "1"),
		Annotations: map[string]string{wellknown.Versioned: "true"},
	}
	for revision, password := range []string{"hunter1", "hunter2"} {
		db.Data = map[string]string{"password": password}
		made := snapshot.Of(db, 12)
		made.Key, made.Created = db.Key, w.now.Add(-2*time.Hour)
		made.Annotations[wellknown.Revision] = strconv.Itoa(revision + 1)
		w.store(made)
	}
	w.store(db)
	c, recorder := w.collector()
	assert.Len(t, w.leftAfter(t, c), 2, "one is collected")
	assert.Empty(t, recorder.Events)
}

func TestClocksThatHardlyDifferDoNotMatter(t *testing.T) {
	for _, skew := range []time.Duration{time.Minute, -time.Minute} {
		w := newWorld()
		names := w.source("a", "app", "blue", "green")
		w.skew = skew
		c, _ := w.collector()
		assert.Equal(t, []string{"mark " + names[0]}, w.pass(t, c))
	}
}
