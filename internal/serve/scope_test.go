package serve

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestScope(t *testing.T) {
	everywhere := []string{""}
	for name, test := range map[string]struct {
		args  []string
		scope Scope
		wrong string
	}{
		"nothing said":       {nil, Scope{Namespaces: everywhere}, ""},
		"Secrets everywhere": {[]string{"--secrets"}, Scope{Namespaces: everywhere, Secrets: everywhere}, ""},
		"Secrets of some":    {[]string{"--secrets-namespaces=shop,bank"}, Scope{Namespaces: everywhere, Secrets: []string{"bank", "shop"}}, ""},
		"some namespaces":    {[]string{"--namespaces=shop,bank,shop"}, Scope{Namespaces: []string{"bank", "shop"}}, ""},
		"some, twice said":   {[]string{"--namespaces=shop", "--namespaces=bank"}, Scope{Namespaces: []string{"bank", "shop"}}, ""},
		"some with Secrets": {
			[]string{"--namespaces=shop,bank", "--secrets"}, Scope{Namespaces: []string{"bank", "shop"}, Secrets: []string{"bank", "shop"}}, "",
		},
		"some with Secrets of one": {
			[]string{"--namespaces=shop,bank", "--secrets-namespaces=shop"}, Scope{Namespaces: []string{"bank", "shop"}, Secrets: []string{"shop"}}, "",
		},
		"both": {
			args:  []string{"--secrets", "--secrets-namespaces=shop"},
			wrong: "program: --secrets is for all namespaces, and --secrets-namespaces for some: give one of them; see --help",
		},
		"Secrets elsewhere": {
			args:  []string{"--namespaces=shop", "--secrets-namespaces=bank"},
			wrong: "program: --secrets-namespaces has bank, which is not among --namespaces; see --help",
		},
		"no name of a namespace": {
			args:  []string{"--namespaces=shop/app"},
			wrong: `program: invalid value "shop/app" for flag -namespaces: "shop/app" is no name of a namespace; see --help`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			flags := NewFlags("program", "", "")
			err := flags.Read(test.args)
			scope := Scope{}
			if err == nil {
				scope, err = flags.Scope()
			}
			if test.wrong != "" {
				require.ErrorIs(t, err, errUsage)
				assert.EqualError(t, err, test.wrong)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, test.scope, scope)
		})
	}
}

func TestDigestKeyNamespace(t *testing.T) {
	flags := NewFlags("program", "", "")
	require.NoError(t, flags.Read([]string{"--digest-key-namespace=configpin-system"}))
	namespace, err := flags.DigestKeyNamespace()
	require.NoError(t, err)
	assert.Equal(t, "configpin-system", namespace)

	flags = NewFlags("program", "", "")
	require.NoError(t, flags.Read(nil))
	_, err = flags.DigestKeyNamespace()
	assert.ErrorIs(t, err, errUsage, "here is no Pod")
}

func TestHashAnnotations(t *testing.T) {
	flags := NewFlags("program", "", "")
	require.NoError(t, flags.Read([]string{"--hash-annotations=example.com/config-hash,example.com/*", "--hash-annotations=sum*"}))
	assert.Equal(t, []string{"example.com/config-hash", "example.com/*", "sum*"}, flags.HashAnnotations)
	for _, wrong := range []string{"", "*", "a/b/c", "a,", "/*", "**"} {
		err := NewFlags("program", "", "").Read([]string{"--hash-annotations=" + wrong})
		assert.ErrorIs(t, err, errUsage, "%q", wrong)
	}
	err := NewFlags("program", "", "").Read([]string{"--hash-annotations=*"})
	assert.EqualError(t, err, `program: invalid value "*" for flag -hash-annotations: "*" is no key of an annotation, nor what some begin with and a *; see --help`)
}
