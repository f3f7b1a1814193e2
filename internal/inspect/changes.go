package inspect

import (
	"bytes"
	"cmp"
	"slices"
	"unicode/utf8"

	"github.com/configpin/configpin/internal/snapshot"
)

// Change is what becomes of one key from one content to another, or of the type of a
// Secret.
type Change struct {
	// Key may be TypeKey.
	Key string

	// From and To are the values. Nil is for a key that isn't there.
	From, To []byte

	// Binary says that one of them is no text.
	Binary bool

	// Moved says that the key was in one of data and binaryData, and is in the other:
	// Was and Is. To who reads it that is nothing, and yet it is another content.
	Moved   bool
	Was, Is string
}

// TypeKey stands for the type of a Secret, beside the keys of what it holds: none of them
// can be called so.
const TypeKey = "(type)"

// Changes are the keys in which two contents differ, sorted. There are none exactly where
// the digests of both, as contents of one source, are the same.
func Changes(from, to snapshot.Object) []Change {
	before, after := valuesOf(from), valuesOf(to)
	var changes []Change
	for key, was := range before {
		is, found := after[key]
		if change := changed(key, was, is); !found || change.Moved || !bytes.Equal(was.bytes, is.bytes) {
			changes = append(changes, change)
		}
	}
	for key, is := range after {
		if _, found := before[key]; !found {
			changes = append(changes, Change{Key: key, To: is.bytes})
		}
	}
	slices.SortFunc(changes, func(a, b Change) int { return cmp.Compare(a.Key, b.Key) })
	for i, change := range changes {
		changes[i].Binary = !textual(change.From) || !textual(change.To)
	}
	if from.Type != to.Type {
		kind := Change{Key: TypeKey, From: nonempty(from.Type), To: nonempty(to.Type)}
		changes = append([]Change{kind}, changes...)
	}
	return changes
}

func changed(key string, was, is located) Change {
	change := Change{Key: key, From: was.bytes, To: is.bytes, Moved: is.field != "" && was.field != is.field}
	if change.Moved {
		change.Was, change.Is = was.field, is.field
	}
	return change
}

// nonempty is a text, or nil where there is none.
func nonempty(text string) []byte {
	if text == "" {
		return nil
	}
	return []byte(text)
}

// located is a value, and where it is.
type located struct {
	bytes []byte
	field string
}

func valuesOf(o snapshot.Object) map[string]located {
	values := make(map[string]located, len(o.Data)+len(o.Binary))
	for key, text := range o.Data {
		values[key] = located{append([]byte{}, text...), "data"} // not nil, which is for none
	}
	for key, bytes := range o.Binary {
		values[key] = located{append([]byte{}, bytes...), "binaryData"}
	}
	return values
}

// textual says whether a value is text: that has no NUL, as Git has it. What of a text a
// terminal would obey is for whoever prints it.
func textual(value []byte) bool { return utf8.Valid(value) && !bytes.ContainsRune(value, 0) }
