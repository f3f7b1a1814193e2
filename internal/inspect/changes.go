package inspect

import (
	"bytes"
	"cmp"
	"slices"
	"unicode"
	"unicode/utf8"

	"github.com/configpin/configpin/internal/snapshot"
)

// Change is what becomes of one key from one content to another.
type Change struct {
	Key string

	// From and To are the values. Nil is for a key that isn't there.
	From, To []byte

	// Binary says that one of them is no text that a terminal can show.
	Binary bool
}

// Changes are the keys in which two contents differ, sorted. Whether a value is in
// data or in binaryData makes no difference to who reads it.
func Changes(from, to snapshot.Object) []Change {
	before, after := valuesOf(from), valuesOf(to)
	var changes []Change
	for key, was := range before {
		if is, found := after[key]; !found || !bytes.Equal(was, is) {
			changes = append(changes, Change{Key: key, From: was, To: is})
		}
	}
	for key, is := range after {
		if _, found := before[key]; !found {
			changes = append(changes, Change{Key: key, To: is})
		}
	}
	slices.SortFunc(changes, func(a, b Change) int { return cmp.Compare(a.Key, b.Key) })
	for i, change := range changes {
		changes[i].Binary = !printable(change.From) || !printable(change.To)
	}
	return changes
}

func valuesOf(o snapshot.Object) map[string][]byte {
	values := make(map[string][]byte, len(o.Data)+len(o.Binary))
	for key, text := range o.Data {
		values[key] = append([]byte{}, text...) // not nil, which is for none
	}
	for key, bytes := range o.Binary {
		values[key] = append([]byte{}, bytes...)
	}
	return values
}

// printable says whether a value is text without control characters: a value can be
// anything, and a terminal does what it is told.
func printable(value []byte) bool {
	lines := bytes.ReplaceAll(value, []byte("\r\n"), []byte("\n"))
	return utf8.Valid(lines) && !bytes.ContainsFunc(lines, func(r rune) bool {
		return unicode.IsControl(r) && r != '\n' && r != '\t'
	})
}
