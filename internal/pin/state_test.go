package pin

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/wellknown"
)

func TestWhatPinsCanSay(t *testing.T) {
	app := refs.Target{Kind: wellknown.ConfigMap, Name: "app"}
	longest := "app-" + strings.Repeat("a", 52)
	for value, want := range map[string]map[refs.Target]string{
		"configmap/app=app-1":          {app: "app-1"},
		"configmap/app=" + longest:     {app: longest},
		"configmap/app=" + longest[4:]: {app: longest[4:]},
		"pod/app=app-1":                {},
		"configmap/app":                {},
		"configmap/=app-1":             {},
		"":                             {},
	} {
		assert.Equal(t, want, ParsePins(value), value)
	}
	targets, invalid := parseExclude(" configmap/app , secret/b,,configmap/,pod/c")
	assert.Equal(t, []refs.Target{app, {Kind: wellknown.Secret, Name: "b"}}, targets)
	assert.Equal(t, []string{"configmap/", "pod/c"}, invalid)
}

func TestSameJSON(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want bool
	}{
		{`{"a": 1, "b": 2}`, `{"b":2,"a":1}`, true},
		{`{"a": 1}`, `{"a": 2}`, false},
		{`{`, `[`, false},
		{`{`, `null`, false},
		{`null`, `{`, false},
	} {
		assert.Equal(t, test.want, sameJSON(test.a, test.b), "%s %s", test.a, test.b)
	}
}

func TestMoves(t *testing.T) {
	assert.True(t, Outcome{Name: "app-2", In: "app-1"}.Moves())
	assert.False(t, Outcome{Name: "app-1", In: "app-1"}.Moves())
}
