package main

import (
	"strings"

	"github.com/configpin/configpin/internal/serve"
)

// callersOf returns who is answered, and nil for anybody. Names that say nothing
// are a mistake: whoever gives some wants to shut others out.
func callersOf(flags *serve.Flags, ca, names string) (*serve.Callers, error) {
	listed := strings.FieldsFunc(names, func(r rune) bool { return r == ',' || r == ' ' })
	switch {
	case names != "" && ca == "":
		return nil, flags.Wrong("--client-names needs --client-ca, which says who vouches for a name")
	case names != "" && len(listed) == 0:
		return nil, flags.Wrong("--client-names is %q, which names nobody", names)
	case ca == "":
		return nil, nil
	}
	return &serve.Callers{CA: ca, Names: listed}, nil
}
