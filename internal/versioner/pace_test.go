package versioner

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/refs"
)

// TestPaceForgetsWhatIsFull: sources that rested are forgotten, once there are many, and
// those that didn't aren't.
func TestPaceForgetsWhatIsFull(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	o := Options{Burst: 2, Every: time.Minute}
	key := func(i int) cluster.Key { return cluster.Key{Target: refs.Target{Name: strconv.Itoa(i)}} }
	var p pace
	for i := range fewLimiters {
		p.spend(o, key(i), now)
	}
	later := now.Add(time.Minute)
	p.spend(o, key(0), later)
	p.spend(o, key(1), later)
	p.spend(o, key(1), later)
	assert.Len(t, p.limiters, fewLimiters, "nobody looks for one that is known")
	p.spend(o, key(fewLimiters), later)
	assert.Len(t, p.limiters, 3)
	wait, news := p.wait(o, key(1), later)
	assert.Equal(t, time.Minute, wait)
	assert.True(t, news)
	wait, _ = p.wait(o, key(2), later)
	assert.Zero(t, wait)
}
