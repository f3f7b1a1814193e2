package gc

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/wellknown"
)

// retire takes a source away, or the annotation that has it versioned.
func (w *world) retire(namespace, name string, deleted bool) {
	key := cluster.Key{Namespace: namespace, Target: refs.Target{Kind: wellknown.ConfigMap, Name: name}}
	source := w.objects[key]
	delete(w.objects, key)
	if !deleted {
		source.Annotations = nil
		w.store(source)
	}
}

// TestASourceThatIsGone retains nothing, whatever its limit was, and a day later nothing is
// left of it but what something names.
func TestASourceThatIsGone(t *testing.T) {
	w := newWorld()
	names := w.source("a", "app", "blue", "green", "red")
	w.source("a", "other", "blue")
	w.used["a"] = []string{names[1]}
	c, recorder := w.collector()
	c.Options.HistoryLimit = map[wellknown.Kind]int{wellknown.ConfigMap: 10}
	assert.Empty(t, w.pass(t, c))
	w.retire("a", "app", true)
	assert.ElementsMatch(t, []string{"mark " + names[0], "mark " + names[2]}, w.pass(t, c))
	w.now = w.now.Add(24*time.Hour - time.Second)
	second, _ := w.collector() // processes come and go
	assert.Empty(t, w.pass(t, second))
	w.now = w.now.Add(10 * time.Minute)
	assert.ElementsMatch(t, []string{"delete " + names[0], "delete " + names[2]}, w.pass(t, second))
	assert.Empty(t, recorder.Events, "there is nothing to write it on")
	w.used["a"] = nil
	assert.Equal(t, []string{"mark " + names[1]}, w.pass(t, second), "it was named until now")
}

func TestASourceThatComesBack(t *testing.T) {
	w := newWorld()
	names := w.source("a", "app", "blue", "green")
	source := w.objects[cluster.Key{Namespace: "a", Target: refs.Target{Kind: wellknown.ConfigMap, Name: "app"}}]
	c, _ := w.collector()
	c.Options.HistoryLimit = map[wellknown.Kind]int{wellknown.ConfigMap: 10}
	w.retire("a", "app", true)
	assert.ElementsMatch(t, []string{"mark " + names[0], "mark " + names[1]}, w.pass(t, c))
	w.now = w.now.Add(23 * time.Hour)
	source.UID = "another"
	w.store(source)
	assert.ElementsMatch(t, []string{"unmark " + names[0], "unmark " + names[1]}, w.pass(t, c))
	w.now = w.now.Add(24 * time.Hour)
	assert.Empty(t, w.pass(t, c))
}

// TestASourceThatIsNotVersionedAnyMore isn't gone: it retains what one does that says nothing.
func TestASourceThatIsNotVersionedAnyMore(t *testing.T) {
	w := newWorld()
	names := w.source("a", "app", "blue", "green", "red")
	c, _ := w.collector()
	c.Options.HistoryLimit = map[wellknown.Kind]int{wellknown.ConfigMap: 2}
	w.retire("a", "app", false)
	assert.Equal(t, []string{"mark " + names[0]}, w.pass(t, c))
	w.now = w.now.Add(10 * time.Minute)
	assert.Equal(t, []string{"delete " + names[0]}, w.pass(t, c))
	w.now = w.now.Add(24 * time.Hour)
	assert.Empty(t, w.pass(t, c))
}
