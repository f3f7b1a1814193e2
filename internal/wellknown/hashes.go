package wellknown

import "strings"

// Hashes are keys of annotations of Pod templates whose values are hashes of config:
// those that begin with checksumPrefix, and further ones. One that ends in a * stands for
// all that begin with what is before it.
//
// Charts have them so that a changed ConfigMap changes the template. They say nothing of
// the template itself: what they are hashes of is pinned.
type Hashes []string

// checksumPrefix is how helm's documentation has people call them.
const checksumPrefix = "checksum/"

// Have says whether a key is one of them. Our own never are.
func (h Hashes) Have(key string) bool {
	if strings.HasPrefix(key, Domain+"/") {
		return false
	}
	if strings.HasPrefix(key, checksumPrefix) {
		return true
	}
	for _, known := range h {
		if prefix, all := strings.CutSuffix(known, "*"); key == known || all && strings.HasPrefix(key, prefix) {
			return true
		}
	}
	return false
}
