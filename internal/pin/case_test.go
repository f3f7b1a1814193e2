package pin_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/configpin/configpin/internal/pin"
	"github.com/configpin/configpin/internal/refs"
)

// TestAskingIsGivenUp: whoever can't tell isn't asked again, and isn't decided about.
func TestAskingIsGivenUp(t *testing.T) {
	c := pin.NewCase(pin.Request{New: on("", "app").object(t)})
	away := errors.New("away")
	assert.Equal(t, away, c.Ask(func([]refs.Target) (pin.Facts, error) { return nil, away }))
	assert.Equal(t, []refs.Target{target("app")}, c.Wanted())
}

// TestAFactThatNobodyBroughtIsABug: it shows, by the names of both.
func TestAFactThatNobodyBroughtIsABug(t *testing.T) {
	c := pin.NewCase(pin.Request{New: on("", "app").object(t)})
	const says = "deciding about Deployment shop/web: nobody told what configmap/app is"
	assert.PanicsWithValue(t, says, func() { c.Decide() })
	assert.PanicsWithValue(t, says, func() {
		_ = c.Ask(func([]refs.Target) (pin.Facts, error) { return pin.Facts{}, nil })
	})
}

func TestWhatIsHiddenIsSorted(t *testing.T) {
	facts := pin.Facts{}
	var want []refs.Target
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		facts[target(name)] = pin.Fact{Role: pin.Unserved, Hidden: true}
		want = append(want, target(name))
	}
	facts[target("seen")] = pin.Fact{Role: pin.Absent}
	c := pin.NewCase(pin.Request{New: on("", "a").object(t)})
	c.Learn(facts)
	assert.Equal(t, want, c.Hidden())
}
