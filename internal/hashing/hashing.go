// Package hashing turns the content of a source into its digest. It is separate
// because its output is forever: snapshots are named by it, so a changed digest
// would rename every snapshot and roll every workload. The golden vectors in
// testdata may be added to, never changed.
//
// What may be public is hashed (Sum). What is secret is hashed with a Key, because
// a plain hash lets anyone who sees it try out what it may be of.
//
// The encoding is our own, length-prefixed and sorted, rather than some
// serialiser's: it has no error path, no two contents share an encoding, and no
// upgrade of a library can change it.
package hashing

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"hash"
	"slices"
)

// scheme is the first thing that is hashed, so that a second scheme, should one
// ever be needed, can't produce a digest of the first.
const scheme = "configpin/v1"

// Content is all of a source that its digest depends on. Metadata is not part
// of it: labelling a source must not roll its workloads.
type Content struct {
	Kind   string            // as in manifests: "ConfigMap"
	Source string            // the source's name: two sources never share a snapshot
	Type   string            // the type of a Secret; empty for other kinds
	Data   map[string]string // of a Secret, too
	Binary map[string][]byte
}

// Digest is the hash of a Content.
type Digest [sha256.Size]byte

// Length is the number of characters of a Digest's text: 32 bytes in base32
// without padding. It fits a label value, of at most 63.
const Length = 52

// encoding is base32hex in lower case: digits sort before letters, as bytes do,
// and every character is valid anywhere in a DNS subdomain.
var encoding = base32.NewEncoding("0123456789abcdefghijklmnopqrstuv").WithPadding(base32.NoPadding)

// String is the digest's text, of Length characters.
func (d Digest) String() string { return encoding.EncodeToString(d[:]) }

// Sum returns the digest of a content that may be public. It is canonical:
// neither the order of keys nor the difference between a nil and an empty map
// changes it, and everything else does.
func Sum(c Content) Digest { return sum(sha256.New(), c) }

// KeySize is the number of bytes of a Key: as many as the hash has, beyond which
// more make it no stronger (RFC 2104, section 3).
const KeySize = sha256.Size

// Key makes the digests of contents that are secret.
type Key struct {
	bytes []byte
	id    string
}

// NewKey returns the key of KeySize bytes that an installation keeps.
func NewKey(secret []byte) (*Key, error) {
	if len(secret) != KeySize {
		return nil, fmt.Errorf("reading a key: it has %d bytes, not %d", len(secret), KeySize)
	}
	k := &Key{bytes: bytes.Clone(secret)}
	mac := hmac.New(sha256.New, k.bytes)
	mac.Write([]byte(keyScheme)) // never fails, as of every hash.Hash
	k.id = Digest(mac.Sum(nil)).String()[:idLength]
	return k, nil
}

// Sum returns the digest of a content: like the function, but nobody can tell
// without the key what it is of.
func (k *Key) Sum(c Content) Digest { return sum(hmac.New(sha256.New, k.bytes), c) }

// ID tells keys apart, and says nothing of what they are.
func (k *Key) ID() string { return k.id }

// String is the ID, so that a key that is printed by mistake stays secret.
func (k *Key) String() string { return k.id }

// GoString is the ID too.
func (k *Key) GoString() string { return k.id }

// keyScheme is what the ID of a key is the HMAC of. No encoded content begins like
// it, since those begin with a length.
const keyScheme = "configpin/key"

// idLength is how many characters the ID of a key has. Two keys of one cluster
// are told apart by 60 bits, as contents of one source are.
const idLength = 12

// Name returns the text of the hash of a name that is too long for the place
// where it has to go. It has Length characters.
func Name(name string) string { return Digest(sha256.Sum256([]byte(name))).String() }

func sum(h hash.Hash, c Content) Digest {
	e := encoder{hash: h}
	e.text(scheme)
	e.text(c.Kind)
	e.text(c.Source)
	e.text(c.Type)
	e.length(len(c.Data))
	var few [32]string // most sources have fewer keys: their order needs no allocation
	for _, key := range sortedKeys(few[:0], c.Data) {
		e.text(key)
		e.text(c.Data[key])
	}
	e.length(len(c.Binary))
	for _, key := range sortedKeys(few[:0], c.Binary) {
		e.text(key)
		e.bytes(c.Binary[key])
	}
	return e.digest()
}

func sortedKeys[V any](keys []string, m map[string]V) []string {
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// encoder writes length-prefixed fields to a hash. Text goes through buffer,
// because a hash takes bytes only and converting a value of a megabyte would
// copy it whole.
type encoder struct {
	hash   hash.Hash
	buffer [4096]byte
}

func (e *encoder) length(n int) {
	binary.BigEndian.PutUint64(e.buffer[:8], uint64(n))
	e.write(e.buffer[:8])
}

func (e *encoder) bytes(b []byte) {
	e.length(len(b))
	e.write(b)
}

func (e *encoder) text(s string) {
	e.length(len(s))
	for len(s) > 0 {
		n := copy(e.buffer[:], s)
		e.write(e.buffer[:n])
		s = s[n:]
	}
}

// write ignores what Write returns: a hash.Hash never returns an error.
func (e *encoder) write(b []byte) { _, _ = e.hash.Write(b) }

func (e *encoder) digest() Digest {
	return Digest(e.hash.Sum(e.buffer[:0])[:sha256.Size])
}
