package wellknown_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/configpin/configpin/internal/wellknown"
)

func TestHashes(t *testing.T) {
	some := wellknown.Hashes{"example.com/config", "sum*", "configpin.io/*"}
	for _, test := range []struct {
		key           string
		without, with bool
	}{
		{"checksum/config", true, true},
		{"checksum/", true, true},
		{"example.com/checksum", false, false},
		{"example.com/config", false, true},
		{"example.com/config-2", false, false},
		{"sum", false, true},
		{"sum/config", false, true},
		{wellknown.Pins, false, false},
		{wellknown.Exclude, false, false},
	} {
		assert.Equal(t, test.without, wellknown.Hashes(nil).Have(test.key), test.key)
		assert.Equal(t, test.with, some.Have(test.key), test.key)
	}
}
