package oracle

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"maps"
	"slices"
	"strings"
)

// The digest as docs/design/0001-digest.md tells it, written again from there.

// suffixLengths are how many characters of a digest a snapshot's name can end in.
var suffixLengths = []int{12, 24, 52}

// content is what an object holds that may be a source.
type content struct {
	kind       string
	secretType string // of a Secret
	data       map[string]string
	binaryData map[string][]byte
}

// digest is the digest of a content of source: with a key, if there is one.
func (c content) digest(source string, key []byte) string {
	var encoded bytes.Buffer
	count := func(n int) { encoded.Write(binary.BigEndian.AppendUint64(nil, uint64(n))) }
	field := func(text []byte) { count(len(text)); encoded.Write(text) }
	for _, text := range []string{"configpin/v1", c.kind, source, c.secretType} {
		field([]byte(text))
	}
	count(len(c.data))
	for _, key := range slices.Sorted(maps.Keys(c.data)) {
		field([]byte(key))
		field([]byte(c.data[key]))
	}
	count(len(c.binaryData))
	for _, key := range slices.Sorted(maps.Keys(c.binaryData)) {
		field([]byte(key))
		field(c.binaryData[key])
	}
	if key == nil {
		return hash(encoded.Bytes())
	}
	return keyedHash(key, encoded.Bytes())
}

// keyID tells keys apart.
func keyID(key []byte) string { return keyedHash(key, []byte("configpin/key"))[:suffixLengths[0]] }

// nameHash stands for a name that doesn't fit a label.
func nameHash(name string) string { return hash([]byte(name)) }

func hash(text []byte) string {
	sum := sha256.Sum256(text)
	return inBase32(sum[:])
}

func keyedHash(key, text []byte) string {
	mac := hmac.New(sha256.New, key)
	mac.Write(text)
	return inBase32(mac.Sum(nil))
}

func inBase32(sum []byte) string {
	return strings.ToLower(base32.HexEncoding.WithPadding(base32.NoPadding).EncodeToString(sum))
}

// contentOf reads what a ConfigMap or a Secret holds from its JSON.
func contentOf(kind string, object map[string]any) content {
	c := content{kind: kind, data: map[string]string{}, binaryData: map[string][]byte{}}
	texts, _ := object["data"].(map[string]any)
	for key, value := range texts {
		text, _ := value.(string)
		if kind == secret {
			text = string(decoded(text))
		}
		c.data[key] = text
	}
	blobs, _ := object["binaryData"].(map[string]any)
	for key, value := range blobs {
		text, _ := value.(string)
		c.binaryData[key] = decoded(text)
	}
	if kind == secret {
		c.secretType, _ = object["type"].(string)
	}
	return c
}

func decoded(text string) []byte {
	raw, _ := base64.StdEncoding.DecodeString(text) // the API server stores no other
	return raw
}
