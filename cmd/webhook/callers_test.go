package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestCallersThatCannotBeMeant(t *testing.T) {
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"names that nobody vouches for": {
			[]string{"--client-names", "kube-apiserver"},
			"configpin-webhook: --client-names needs --client-ca, which says who vouches for a name; see --help",
		},
		"names that are none": {
			[]string{"--client-ca", "ca.crt", "--client-names", " , "},
			`configpin-webhook: --client-names is " , ", which names nobody; see --help`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			assert.EqualError(t, run(t.Context(), test.args), test.want)
		})
	}
}
