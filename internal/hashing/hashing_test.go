package hashing_test

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/configpin/configpin/internal/hashing"
)

// TestGolden compares with vectors that were computed by an independent
// implementation (testdata/vectors.py). A vector that fails means that every
// snapshot of every user would be renamed: mend the code, never the vector.
func TestGolden(t *testing.T) {
	raw, err := os.ReadFile("testdata/vectors.json")
	require.NoError(t, err)
	var vectors []struct {
		Name    string
		Content hashing.Content
		Key     []byte // of a Secret
		ID      string
		Digest  string
	}
	require.NoError(t, json.Unmarshal(raw, &vectors))
	require.NotEmpty(t, vectors)
	for _, vector := range vectors {
		t.Run(vector.Name, func(t *testing.T) {
			if vector.Key == nil {
				assert.Equal(t, vector.Digest, hashing.Sum(vector.Content).String())
				return
			}
			key, err := hashing.NewKey(vector.Key)
			require.NoError(t, err)
			assert.Equal(t, vector.Digest, key.Sum(vector.Content).String())
			assert.Equal(t, vector.ID, key.ID())
		})
	}
}

func TestKeyOfAnotherSize(t *testing.T) {
	for _, size := range []int{0, 16, 31, 33, 64} {
		_, err := hashing.NewKey(make([]byte, size))
		assert.EqualError(t, err, fmt.Sprintf("reading a key: it has %d bytes, not 32", size))
	}
}

// TestKeyIsNotPrinted: not even by what prints everything.
func TestKeyIsNotPrinted(t *testing.T) {
	secret := []byte("0123456789abcdef0123456789abcdef")
	key, err := hashing.NewKey(secret)
	require.NoError(t, err)
	holder := struct{ Key *hashing.Key }{key}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		for _, printed := range []string{fmt.Sprintf(verb, key), fmt.Sprintf(verb, holder)} {
			assert.NotContains(t, printed, "0123456789abcdef")
			assert.NotContains(t, printed, fmt.Sprintf("%x", secret))
		}
	}
}

func TestDigestDependsOnTheKey(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bytes := rapid.SliceOfN(rapid.Byte(), hashing.KeySize, hashing.KeySize)
		one, other := bytes.Draw(t, "one"), bytes.Draw(t, "other")
		a, err := hashing.NewKey(one)
		require.NoError(t, err)
		b, err := hashing.NewKey(other)
		require.NoError(t, err)
		c := contents().Draw(t, "content")
		assert.Equal(t, string(one) == string(other), a.Sum(c) == b.Sum(c))
		assert.Equal(t, string(one) == string(other), a.ID() == b.ID())
		assert.NotEqual(t, hashing.Sum(c), a.Sum(c))
	})
}

func TestName(t *testing.T) {
	got := hashing.Name("app")
	assert.Len(t, got, hashing.Length)
	assert.NotEqual(t, got, hashing.Name("app2"))
}

func contents() *rapid.Generator[hashing.Content] {
	text := rapid.StringMatching(`[ab\x00]{0,3}`)
	return rapid.Custom(func(t *rapid.T) hashing.Content {
		return hashing.Content{
			Kind:   rapid.SampledFrom([]string{"ConfigMap", "Secret"}).Draw(t, "kind"),
			Source: text.Draw(t, "source"),
			Type:   text.Draw(t, "type"),
			Data:   rapid.MapOfN(text, text, 0, 3).Draw(t, "data"),
			Binary: rapid.MapOfN(text, rapid.SliceOfN(rapid.SampledFrom([]byte("ab\x00")), 0, 3), 0, 3).Draw(t, "binary"),
		}
	})
}

// TestSumIsInjective draws from a small alphabet, so that an encoding which
// lets one field run into the next is caught.
func TestSumIsInjective(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := contents().Draw(t, "a"), contents().Draw(t, "b")
		assert.Equal(t, same(a, b), hashing.Sum(a) == hashing.Sum(b))
		key, err := hashing.NewKey(make([]byte, hashing.KeySize))
		require.NoError(t, err)
		assert.Equal(t, same(a, b), key.Sum(a) == key.Sum(b))
	})
}

func TestSumIsCanonical(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := contents().Draw(t, "content")
		again := c
		again.Data, again.Binary = maps.Clone(c.Data), maps.Clone(c.Binary)
		if len(c.Data) == 0 {
			again.Data = nil
		}
		if len(c.Binary) == 0 {
			again.Binary = nil
		}
		assert.Equal(t, hashing.Sum(c), hashing.Sum(again))
	})
}

func same(a, b hashing.Content) bool {
	return a.Kind == b.Kind && a.Source == b.Source && a.Type == b.Type &&
		maps.Equal(a.Data, b.Data) &&
		maps.EqualFunc(a.Binary, b.Binary, func(x, y []byte) bool { return string(x) == string(y) })
}

func TestSumAllocatesLittle(t *testing.T) {
	c := hashing.Content{Kind: "ConfigMap", Source: "app", Data: map[string]string{"a": strings.Repeat("x", 1<<20)}}
	assert.LessOrEqual(t, testing.AllocsPerRun(10, func() { hashing.Sum(c) }), 2.0)
}

// FuzzSum looks for two contents of one digest: the same bytes cut at another
// place, or under the other map.
func FuzzSum(f *testing.F) {
	f.Add("key", "value", 1)
	f.Fuzz(func(t *testing.T, key, value string, cut int) {
		whole := key + value
		if cut < 0 || cut > len(whole) {
			return
		}
		a := hashing.Content{Data: map[string]string{key: value}}
		b := hashing.Content{Data: map[string]string{whole[:cut]: whole[cut:]}}
		assert.Equal(t, same(a, b), hashing.Sum(a) == hashing.Sum(b))
		inBinary := hashing.Content{Binary: map[string][]byte{key: []byte(value)}}
		assert.NotEqual(t, hashing.Sum(a), hashing.Sum(inBinary))
	})
}

func ExampleSum() {
	digest := hashing.Sum(hashing.Content{
		Kind:   "ConfigMap",
		Source: "app",
		Data:   map[string]string{"greeting": "hello"},
	})
	fmt.Println(digest)
	// Output: j2dha1g31i8t19g2u6fblsnp1jipppirjg3g2954euhv926ba0b0
}

// BenchmarkSum stands beside BenchmarkFloor, which is the same bytes through
// crypto/sha256 alone.
func BenchmarkSum(b *testing.B) {
	c := hashing.Content{Kind: "ConfigMap", Source: "app", Data: map[string]string{"a": strings.Repeat("x", 1<<20)}}
	b.SetBytes(1 << 20)
	b.ReportAllocs()
	for b.Loop() {
		hashing.Sum(c)
	}
}

func BenchmarkFloor(b *testing.B) {
	content := []byte(strings.Repeat("x", 1<<20))
	b.SetBytes(1 << 20)
	b.ReportAllocs()
	for b.Loop() {
		sha256.Sum256(content)
	}
}
