package refs

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
)

// Rewrite returns spec with each of its refs naming what name says. refs are
// those that Walk found in spec. Nothing but names changes, byte for byte.
func Rewrite(spec string, refs []Ref, name func(Ref) string) string {
	ordered := slices.SortedFunc(slices.Values(refs), func(a, b Ref) int { return cmp.Compare(a.start, b.start) })
	var out strings.Builder
	out.Grow(len(spec))
	done := 0
	for _, ref := range ordered {
		out.WriteString(spec[done:ref.start])
		text, _ := json.Marshal(name(ref)) // a string always marshals
		out.Write(text)
		done = ref.end
	}
	out.WriteString(spec[done:])
	return out.String()
}
