package cluster

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/configpin/configpin/internal/hashing"
	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/wellknown"
)

func testKey(t *testing.T, fill byte) *hashing.Key {
	t.Helper()
	key, err := hashing.NewKey(bytes.Repeat([]byte{fill}, hashing.KeySize))
	require.NoError(t, err)
	return key
}

func TestScope(t *testing.T) {
	some := Scope{Namespaces: []string{"bank", "shop"}, Secrets: []string{"shop"}}
	for _, test := range []struct {
		scope     Scope
		kind      wellknown.Kind
		namespace string
		want      bool
	}{
		{Scope{Namespaces: Everywhere}, wellknown.ConfigMap, "shop", true},
		{Scope{Namespaces: Everywhere}, wellknown.Secret, "shop", false},
		{some, wellknown.ConfigMap, "bank", true},
		{some, wellknown.ConfigMap, "zoo", false},
		{some, wellknown.Secret, "bank", false},
		{some, wellknown.Secret, "shop", true},
		{some, "volume", "shop", false},
	} {
		assert.Equal(t, test.want, test.scope.Serves(test.kind, test.namespace), "%v", test)
	}
}

// TestWhatCantBeAddressed: a name that a client could take for a path is never sent.
func TestWhatCantBeAddressed(t *testing.T) {
	for _, name := range []string{"", ".", "..", "../../other/configmaps/app", "other/app", "a%2Fb"} {
		assert.False(t, Addressable(name), name)
	}
	assert.True(t, Addressable("app-0123456789ab"))
}

func TestKeyString(t *testing.T) {
	key := Key{Namespace: "shop", Target: refs.Target{Kind: wellknown.ConfigMap, Name: "app"}}
	assert.Equal(t, "configmap/shop/app", key.String())
}
