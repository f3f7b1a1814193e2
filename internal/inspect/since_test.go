package inspect_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/configpin/configpin/internal/inspect"
)

// Only holds have a beginning, and each its own.
func TestSinceIsOfHolds(t *testing.T) {
	t.Parallel()
	told := time.Date(2026, 11, 28, 13, 0, 0, 0, time.UTC)
	all := []inspect.Ref{
		{Source: "configmap/a", Pinned: "a-1", State: inspect.Current},
		{Source: "configmap/b", Pinned: "b-1", State: inspect.Held},
		{Source: "configmap/c", Pinned: "c-2", State: inspect.Held},
	}
	inspect.Since(all, map[string]time.Time{"configmap/a a-1": told, "configmap/b b-1": told, "configmap/c c-1": told})
	assert.Zero(t, all[0].HeldSince)
	assert.Equal(t, told, all[1].HeldSince)
	assert.Zero(t, all[2].HeldSince, "what was told was of another hold")
}

func TestHoldsTold(t *testing.T) {
	t.Parallel()
	for message, want := range map[string][]string{
		"configmap/a is held at a-1":                                        {"configmap/a a-1"},
		"configmap/a is held at a-1, secret/b is held at b-2; to end it, x": {"configmap/a a-1", "secret/b b-2"},
		"configmap/a moved from a-1 to a-2, secret/b is held at b-2":        {"secret/b b-2"},
		"something else": nil,
	} {
		assert.Equal(t, want, inspect.HoldsTold(message), message)
	}
}
