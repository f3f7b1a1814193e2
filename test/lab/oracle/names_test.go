package oracle

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/configpin/configpin/internal/wellknown"
)

func TestWellNamed(t *testing.T) {
	t.Parallel()
	digest := strings.Repeat("0123456789abc", 4)
	long := strings.Repeat("a", 239) + "." + strings.Repeat("b", 13)
	for name, row := range map[string]struct {
		name, source string
		want         bool
	}{
		"twelve characters":            {"app-0123456789ab", "app", true},
		"twenty-four":                  {"app-0123456789abc0123456789a", "app", true},
		"all":                          {"app-" + digest, "app", true},
		"thirteen":                     {"app-0123456789abc", "app", false},
		"other characters":             {"app-0123456789aa", "app", false},
		"another source":               {"apple-0123456789ab", "app", false},
		"no suffix":                    {"app", "app", false},
		"a long name is cut at a dot":  {long[:239] + "-0123456789ab", long, true},
		"a long name is cut elsewhere": {long[:238] + "-0123456789ab", long, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := Fact{Name: row.name, Digest: digest, Annotations: map[string]string{wellknown.Source: row.source}}
			assert.Equal(t, row.want, f.wellNamed())
		})
	}
}
