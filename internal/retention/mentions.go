package retention

import (
	"bytes"
	"strings"

	"github.com/configpin/configpin/internal/snapshot"
)

// Mentions returns the parts of a JSON text in which a snapshot can be named,
// each once. It looks at characters and not at fields: what a template, an
// argument, an annotation or a field of a kind that nobody here knows holds
// counts alike. Names have no characters that JSON escapes.
func Mentions(text []byte) []string {
	var found []string
	seen := map[string]bool{}
	for at := 0; ; {
		dash := bytes.IndexByte(text[at:], '-')
		if dash < 0 {
			return found
		}
		at += dash + 1
		if !stemAt(text, at) {
			continue
		}
		begin, end := at-1, at
		for begin > 0 && inName(text[begin-1]) {
			begin--
		}
		for end < len(text) && inName(text[end]) {
			end++
		}
		if !seen[string(text[begin:end])] {
			mention := string(text[begin:end])
			seen[mention] = true
			found = append(found, mention)
		}
		at = end
	}
}

// stem is the length of the part of a suffix that every snapshot's name has.
var stem = snapshot.Lengths[0]

// stemAt says whether the characters of a digest begin at an index of text.
func stemAt[T string | []byte](text T, at int) bool {
	if at+stem > len(text) {
		return false
	}
	for i := at; i < at+stem; i++ {
		if c := text[i]; (c < '0' || c > '9') && (c < 'a' || c > 'v') {
			return false
		}
	}
	return true
}

// inName says whether a DNS subdomain can have the character.
func inName(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '.'
}

// Names are names of snapshots, to be found in mentions.
type Names map[string][]string // by stem

// Add adds a name.
func (n Names) Add(name string) {
	if suffix := snapshot.Suffix(name); len(suffix) >= stem {
		n[suffix[:stem]] = append(n[suffix[:stem]], name)
	}
}

// In calls f with each name that is part of a mention.
func (n Names) In(mention string, f func(name string)) {
	for at := 1; at < len(mention); at++ {
		if mention[at-1] != '-' || !stemAt(mention, at) {
			continue
		}
		for _, name := range n[mention[at:at+stem]] {
			dash := len(name) - len(snapshot.Suffix(name))
			if strings.HasSuffix(mention[:at], name[:dash]) && strings.HasPrefix(mention[at:], name[dash:]) {
				f(name)
			}
		}
	}
}
