package snapshot_test

import (
	"bytes"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/util/validation"
	"pgregory.net/rapid"

	"github.com/configpin/configpin/internal/hashing"
	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/wellknown"
)

func source() snapshot.Object {
	return snapshot.Object{
		Kind:        wellknown.ConfigMap,
		Namespace:   "shop",
		Name:        "app",
		UID:         "1",
		Labels:      map[string]string{"app.kubernetes.io/instance": "shop"},
		Annotations: map[string]string{wellknown.Versioned: "true", wellknown.KubernetesChangeCause: "more heap"},
		Data:        map[string]string{"greeting": "hello"},
	}
}

func TestOf(t *testing.T) {
	made := snapshot.Of(source(), 12)
	digest := source().Digest("app").String()
	assert.Equal(t, snapshot.Object{
		Kind:      wellknown.ConfigMap,
		Namespace: "shop",
		Name:      "app-" + digest[:12],
		Labels:    map[string]string{wellknown.SnapshotOf: "app"},
		Annotations: map[string]string{
			wellknown.Source: "app",
			wellknown.Digest: digest,
			wellknown.Size:   "13",
		},
		Immutable: true,
		Data:      map[string]string{"greeting": "hello"},
	}, made)
}

// TestTheDigestIsOfAllThatAPodCouldRead: two contents that a Pod could tell apart are two
// snapshots, whichever part of the object they differ in.
func TestTheDigestIsOfAllThatAPodCouldRead(t *testing.T) {
	for name, change := range map[string]func(*snapshot.Object){
		"data":                 func(o *snapshot.Object) { o.Data = map[string]string{"a": "y"} },
		"binaryData":           func(o *snapshot.Object) { o.Binary = map[string][]byte{"b": {2}} },
		"which of the two":     func(o *snapshot.Object) { o.Data, o.Binary = nil, map[string][]byte{"a": []byte("x"), "b": {1}} },
		"the type of a Secret": func(o *snapshot.Object) { o.Type = "kubernetes.io/tls" },
		"the kind":             func(o *snapshot.Object) { o.Kind = wellknown.Secret },
	} {
		one := snapshot.Object{
			Kind: wellknown.ConfigMap, Name: "app", Key: key(t, 1),
			Data: map[string]string{"a": "x"}, Binary: map[string][]byte{"b": {1}},
		}
		other := one
		change(&other)
		assert.NotEqual(t, one.Digest("app"), other.Digest("app"), name)
		assert.False(t, snapshot.Same(one, other), name)
	}
}

// key returns a key of a test.
func key(t *testing.T, fill byte) *hashing.Key {
	t.Helper()
	k, err := hashing.NewKey(bytes.Repeat([]byte{fill}, hashing.KeySize))
	require.NoError(t, err)
	return k
}

func secret(k *hashing.Key) snapshot.Object {
	return snapshot.Object{
		Kind:        wellknown.Secret,
		Namespace:   "shop",
		Name:        "db",
		UID:         "2",
		Annotations: map[string]string{wellknown.Versioned: "true"},
		Type:        "kubernetes.io/basic-auth",
		Data:        map[string]string{"password": "hunter2"},
		Key:         k,
	}
}

func TestOfSecret(t *testing.T) {
	k := key(t, 1)
	made := snapshot.Of(secret(k), 12)
	digest := secret(k).Digest("db").String()
	assert.Equal(t, snapshot.Object{
		Kind:      wellknown.Secret,
		Namespace: "shop",
		Name:      "db-" + digest[:12],
		Labels:    map[string]string{wellknown.SnapshotOf: "db"},
		Annotations: map[string]string{
			wellknown.Source:    "db",
			wellknown.Digest:    digest,
			wellknown.DigestKey: k.ID(),
		},
		Immutable: true,
		Type:      "kubernetes.io/basic-auth",
		Data:      map[string]string{"password": "hunter2"},
		Key:       k,
	}, made, "nothing tells what it holds, or how much")
	assert.True(t, snapshot.Same(made, snapshot.FromSecret(made.Secret(), k)))
	assert.NotEqual(t, digest, secret(key(t, 2)).Digest("db").String())
}

// TestSecretOfALostKey: it stays a snapshot, and its digest is that which its bytes
// have now, so that it is the current one of a source that holds the same.
func TestSecretOfALostKey(t *testing.T) {
	lost, present := key(t, 1), key(t, 2)
	made := snapshot.FromSecret(snapshot.Of(secret(lost), 24).Secret(), present)
	of, digest, verified := snapshot.Verified(made)
	assert.True(t, verified)
	assert.Equal(t, "db", of)
	assert.Equal(t, secret(present).Digest("db").String(), digest)
	assert.True(t, snapshot.Rekeyed(made, present))
	assert.False(t, snapshot.Rekeyed(made, lost))
	assert.False(t, snapshot.Rekeyed(snapshot.Of(source(), 12), present), "a ConfigMap's digest needs no key")

	renamed := made
	renamed.Name = "db-012345678901"
	_, _, verified = snapshot.Verified(renamed)
	assert.False(t, verified, "its name isn't that of the digest that it claims")
	forged := made
	forged.Annotations = maps.Clone(made.Annotations)
	forged.Annotations[wellknown.DigestKey] = present.ID()
	_, _, verified = snapshot.Verified(forged)
	assert.False(t, verified, "the present key makes another digest of it")
}

func TestKeepable(t *testing.T) {
	for secretType, want := range map[string]string{
		"":                                    "",
		"Opaque":                              "",
		"kubernetes.io/tls":                   "",
		"kubernetes.io/service-account-token": "type kubernetes.io/service-account-token is never kept",
		"bootstrap.kubernetes.io/token":       "type bootstrap.kubernetes.io/token is never kept",
		"helm.sh/release.v1":                  "type helm.sh/release.v1 is never kept",
	} {
		err := snapshot.Keepable(snapshot.Object{Kind: wellknown.Secret, Type: secretType})
		if want == "" {
			assert.NoError(t, err, secretType)
		} else {
			assert.EqualError(t, err, want)
		}
	}
}

// names draws names that the API server accepts for a ConfigMap.
func names() *rapid.Generator[string] {
	return rapid.StringMatching(`[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,60}[a-z0-9])?){0,8}`).
		Filter(func(name string) bool { return len(validation.IsDNS1123Subdomain(name)) == 0 })
}

func TestNamesAreValidAndRecognised(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := source()
		s.Name = names().Draw(t, "name")
		made := snapshot.Of(s, rapid.SampledFrom(snapshot.Lengths).Draw(t, "length"))

		assert.Empty(t, validation.IsDNS1123Subdomain(made.Name))
		assert.Empty(t, validation.IsValidLabelValue(made.Labels[wellknown.SnapshotOf]))
		assert.Empty(t, validation.IsValidLabelValue(snapshot.Suffix(made.Name)))
		assert.Empty(t, validation.IsQualifiedName(snapshot.ObservedLabel(s.Kind, s.Name)))

		of, _, verified := snapshot.Verified(made)
		assert.True(t, verified)
		assert.Equal(t, s.Name, of)
		claimedSource, digest, claimed := snapshot.Claimed(made)
		assert.True(t, claimed)
		assert.Equal(t, s.Name, claimedSource)
		assert.Equal(t, s.Digest(s.Name).String(), digest)
		assert.True(t, snapshot.Same(made, snapshot.FromConfigMap(made.ConfigMap())))
	})
}

func TestNameIsCutToFit(t *testing.T) {
	suffix := strings.Repeat("0", 12)
	assert.Equal(t, strings.Repeat("a", 240)+"-"+suffix, snapshot.Name(strings.Repeat("a", 253), suffix))
	assert.Equal(t, strings.Repeat("a", 239)+"-"+suffix, snapshot.Name(strings.Repeat("a", 239)+"."+strings.Repeat("b", 13), suffix),
		"no dot before the dash")
}

func TestWhatIsNotASnapshot(t *testing.T) {
	for name, change := range map[string]func(*snapshot.Object){
		"other content":         func(o *snapshot.Object) { o.Data = map[string]string{"greeting": "bye"} },
		"content as binary":     func(o *snapshot.Object) { o.Data, o.Binary = nil, map[string][]byte{"greeting": []byte("hello")} },
		"mutable":               func(o *snapshot.Object) { o.Immutable = false },
		"label taken off":       func(o *snapshot.Object) { o.Labels = nil },
		"label of another":      func(o *snapshot.Object) { o.Labels = map[string]string{wellknown.SnapshotOf: "other"} },
		"annotation taken off":  func(o *snapshot.Object) { o.Annotations = nil },
		"another name":          func(o *snapshot.Object) { o.Name = "app" },
		"a shorter name":        func(o *snapshot.Object) { o.Name = o.Name[:len(o.Name)-1] },
		"said to be of another": func(o *snapshot.Object) { o.Annotations[wellknown.Source] = "other" },
	} {
		t.Run(name, func(t *testing.T) {
			o := snapshot.Of(source(), 12)
			change(&o)
			_, _, verified := snapshot.Verified(o)
			assert.False(t, verified)
			assert.False(t, snapshot.Same(o, snapshot.Of(source(), 12)))
		})
	}
}

func TestClaimedTrustsNoDigestThatContradictsTheName(t *testing.T) {
	o := snapshot.Of(source(), 12)
	o.Annotations[wellknown.Digest] = strings.Repeat("0", hashing.Length)
	_, _, claimed := snapshot.Claimed(o)
	assert.False(t, claimed)
}

// TestWhatNothingCanBeCalledHasNoSnapshots: the name is cut before what is wrong with
// it, and the label is a hash.
func TestWhatNothingCanBeCalledHasNoSnapshots(t *testing.T) {
	o := source()
	o.Name = strings.Repeat("a", 240) + "/../../bank/app"
	o = snapshot.Of(o, 12)
	_, _, claimed := snapshot.Claimed(o)
	assert.False(t, claimed)
	_, _, verified := snapshot.Verified(o)
	assert.False(t, verified)
}

func TestVersioned(t *testing.T) {
	for value, want := range map[string]struct {
		versioned bool
		invalid   string
	}{
		"":      {false, ""},
		"true":  {true, ""},
		"false": {false, ""},
		"yes":   {false, "yes"},
	} {
		o := source()
		o.Annotations[wellknown.Versioned] = value
		versioned, invalid := snapshot.Versioned(o)
		assert.Equal(t, want.versioned, versioned, value)
		assert.Equal(t, want.invalid, invalid, value)
	}
	made := snapshot.Of(source(), 12)
	made.Annotations[wellknown.Versioned] = "true"
	versioned, _ := snapshot.Versioned(made)
	assert.False(t, versioned, "a snapshot is never a source")
}

func TestSize(t *testing.T) {
	for said, want := range map[string]int{
		"":                     0,
		"13":                   13,
		"1048576":              1 << 20,
		"-1":                   0,
		"13 bytes":             0,
		"99999999":             0,
		"99999999999999999999": 0,
	} {
		o := source()
		o.Annotations[wellknown.Size] = said
		assert.Equal(t, want, snapshot.Size(o), said)
	}
	binary := snapshot.Object{Kind: wellknown.ConfigMap, Name: "app", Binary: map[string][]byte{"key": {0, 1}}}
	assert.Equal(t, 5, snapshot.Size(snapshot.Of(binary, 12)))
}

func TestRevision(t *testing.T) {
	for said, want := range map[string]int{
		"": 0, "3": 3, "-3": 0, "three": 0, "2147483647": 2147483647, "2147483648": 0, "9223372036854775807": 0, "99999999999999999999": 0,
	} {
		o := source()
		o.Annotations[wellknown.Revision] = said
		assert.Equal(t, want, snapshot.Revision(o), said)
	}
}

func TestKeysOfLongNames(t *testing.T) {
	long := strings.Repeat("a", 64)
	assert.Equal(t, hashing.Name(long), snapshot.LabelValue(long))
	assert.Equal(t, "observed.configpin.io/configmap."+hashing.Name(long), snapshot.ObservedLabel(wellknown.ConfigMap, long))
	assert.Equal(t, "observed.configpin.io/configmap.app", snapshot.ObservedLabel(wellknown.ConfigMap, "app"))
}

// FuzzVerified looks for an object that passes for the snapshot of a source
// without holding one of its contents under that name.
func FuzzVerified(f *testing.F) {
	f.Add("app-012345678901", "app", "app", "greeting", "hello")
	f.Fuzz(func(t *testing.T, name, label, of, key, value string) {
		o := snapshot.Object{
			Kind:        wellknown.ConfigMap,
			Name:        name,
			Labels:      map[string]string{wellknown.SnapshotOf: label},
			Annotations: map[string]string{wellknown.Source: of},
			Immutable:   true,
			Data:        map[string]string{key: value},
		}
		if _, _, verified := snapshot.Verified(o); verified {
			require.Contains(t, name, o.Digest(of).String()[:12])
		}
	})
}

func ExampleOf() {
	made := snapshot.Of(snapshot.Object{
		Kind: wellknown.ConfigMap,
		Name: "app",
		Data: map[string]string{"greeting": "hello"},
	}, 12)
	fmt.Println(made.Name, made.Immutable, made.Labels)
	// Output: app-j2dha1g31i8t true map[configpin.io/snapshot-of:app]
}

// TestRestored: what is created again holds what the snapshot does, and is versioned.
func TestRestored(t *testing.T) {
	t.Parallel()
	kept := snapshot.Object{
		Kind: wellknown.Secret, Namespace: "shop", Name: "token-1", UID: "1", ResourceVersion: "1", Immutable: true,
		Annotations: map[string]string{wellknown.ChangeCause: "rotate", wellknown.Revision: "3"}, Labels: map[string]string{"a": "b"},
		Type: "Opaque", Data: map[string]string{"a": "1"}, Binary: map[string][]byte{"b": {1}}, Key: key(t, 1),
	}
	want := snapshot.Object{
		Kind: wellknown.Secret, Namespace: "shop", Name: "token",
		Annotations: map[string]string{wellknown.Versioned: "true", wellknown.KubernetesChangeCause: "rotate"},
		Type:        "Opaque", Data: kept.Data, Binary: kept.Binary, Key: kept.Key,
	}
	assert.Equal(t, want, snapshot.Restored(kept, "token"))
	delete(kept.Annotations, wellknown.ChangeCause)
	delete(want.Annotations, wellknown.KubernetesChangeCause)
	assert.Equal(t, want, snapshot.Restored(kept, "token"))
}
