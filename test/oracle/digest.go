package oracle

import (
	"bytes"
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

// digestOf is the digest of a ConfigMap's content, as a content of source.
func digestOf(source string, data map[string]string, binaryData map[string][]byte) string {
	var encoded bytes.Buffer
	count := func(n int) { encoded.Write(binary.BigEndian.AppendUint64(nil, uint64(n))) }
	field := func(text []byte) { count(len(text)); encoded.Write(text) }
	for _, text := range []string{"configpin/v1", configMap, source, ""} {
		field([]byte(text))
	}
	count(len(data))
	for _, key := range slices.Sorted(maps.Keys(data)) {
		field([]byte(key))
		field([]byte(data[key]))
	}
	count(len(binaryData))
	for _, key := range slices.Sorted(maps.Keys(binaryData)) {
		field([]byte(key))
		field(binaryData[key])
	}
	return hash(encoded.Bytes())
}

// nameHash stands for a name that doesn't fit a label.
func nameHash(name string) string { return hash([]byte(name)) }

func hash(text []byte) string {
	sum := sha256.Sum256(text)
	return strings.ToLower(base32.HexEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:]))
}

// contentOf reads what a ConfigMap holds from its JSON.
func contentOf(object map[string]any) (data map[string]string, binaryData map[string][]byte) {
	data, binaryData = map[string]string{}, map[string][]byte{}
	texts, _ := object["data"].(map[string]any)
	for key, value := range texts {
		data[key], _ = value.(string)
	}
	blobs, _ := object["binaryData"].(map[string]any)
	for key, value := range blobs {
		encoded, _ := value.(string)
		binaryData[key], _ = base64.StdEncoding.DecodeString(encoded) // the API server stores no other
	}
	return data, binaryData
}
