// Package snapshot builds, names, recognises and verifies snapshots: the
// immutable copies of a source's contents. It is pure: what it is told of an
// object is all that it knows, and writing one to a cluster is somebody else's
// work.
package snapshot

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/configpin/configpin/internal/hashing"
	"github.com/configpin/configpin/internal/wellknown"
)

// Object is as much of a source or snapshot as configpin reads, the same for
// every kind.
type Object struct {
	Kind            wellknown.Kind
	Namespace, Name string
	UID             string
	ResourceVersion string
	Labels          map[string]string
	Annotations     map[string]string
	Created         time.Time // by the clock of the API server
	Terminating     bool

	Immutable bool
	Type      string            // of a Secret
	Data      map[string]string // of a Secret, too
	Binary    map[string][]byte

	// Key is what the digests of a Secret are made with, as long as it was when the
	// Secret was read. Other kinds have none.
	Key *hashing.Key
}

// Digest is the digest of what the object holds, as a content of source. That of a
// Secret is by its Key, whatever key an earlier one was made with.
func (o Object) Digest(source string) hashing.Digest {
	content := hashing.Content{
		Kind:   o.Kind.KubernetesKind(),
		Source: source,
		Type:   o.Type,
		Data:   o.Data,
		Binary: o.Binary,
	}
	if o.Kind == wellknown.Secret {
		return o.Key.Sum(content)
	}
	return hashing.Sum(content)
}

// Lengths are the numbers of characters of a digest that a snapshot's name can
// end in. The first serves unless its name is taken: at 60 bits, two contents
// of one source share it once in 10^18 pairs, so a taken name means that
// somebody put something else there.
var Lengths = []int{12, 24, hashing.Length}

// maxName is the length of a DNS subdomain
// (k8s.io/apimachinery/pkg/util/validation, DNS1123SubdomainMaxLength).
const maxName = 253

// Name is the name of a source's snapshot. A source's name that would make it
// too long is cut; the suffix alone makes it unique, since the digest covers
// the source's whole name.
func Name(source, suffix string) string {
	if room := maxName - 1 - len(suffix); len(source) > room {
		source = strings.TrimRight(source[:room], ".-")
	}
	return source + "-" + suffix
}

// Nameable says whether a source or a snapshot can be called so. Annotations say
// anything, and a part of a name that was cut is nowhere else.
func Nameable(name string) bool { return len(validation.IsDNS1123Subdomain(name)) == 0 }

// Suffix is the part of a snapshot's name that abbreviates its digest.
func Suffix(name string) string { return name[strings.LastIndexByte(name, '-')+1:] }

// LabelValue is the value of the label by which the snapshots of a source are
// found: the source's name if it fits, else a hash of it.
func LabelValue(source string) string {
	if len(source) > maxLabelValue {
		return hashing.Name(source)
	}
	return source
}

// maxLabelValue is the length of a label's value, and of its key's name
// (k8s.io/apimachinery/pkg/util/validation, LabelValueMaxLength).
const maxLabelValue = 63

// ObservedLabel is the key of the label in which a workload keeps the suffix
// that it was last offered for a source.
func ObservedLabel(kind wellknown.Kind, source string) string {
	name := string(kind) + "." + source
	if len(name) > maxLabelValue {
		name = string(kind) + "." + hashing.Name(source)
	}
	return wellknown.ObservedPrefix + name
}

// Of returns the snapshot of what source holds, under a name that ends in
// length characters of its digest. Nothing of the source's metadata is copied:
// tracking labels would make a GitOps tool prune or adopt the snapshot, and
// kubectl's last-applied annotation holds the content again. What its change-cause
// is about can't be told from the source alone: see Began.
func Of(source Object, length int) Object {
	digest := source.Digest(source.Name).String()
	made := Object{
		Kind:      source.Kind,
		Namespace: source.Namespace,
		Name:      Name(source.Name, digest[:length]),
		Labels:    map[string]string{wellknown.SnapshotOf: LabelValue(source.Name)},
		Annotations: map[string]string{
			wellknown.Source: source.Name,
			wellknown.Digest: digest,
		},
		Immutable: true,
		Type:      source.Type,
		Data:      source.Data,
		Binary:    source.Binary,
		Key:       source.Key,
	}
	if source.Kind == wellknown.Secret {
		made.Annotations[wellknown.DigestKey] = source.Key.ID()
	} else {
		made.Annotations[wellknown.Size] = strconv.Itoa(source.ContentSize())
	}
	return made
}

// Restored is a source as it may have been when it held what a snapshot does. Of its
// metadata, a snapshot keeps the change-cause alone.
func Restored(kept Object, source string) Object {
	made := Object{
		Kind:        kept.Kind,
		Namespace:   kept.Namespace,
		Name:        source,
		Annotations: map[string]string{wellknown.Versioned: wellknown.True},
		Type:        kept.Type,
		Data:        kept.Data,
		Binary:      kept.Binary,
		Key:         kept.Key,
	}
	if cause := kept.Annotations[wellknown.ChangeCause]; cause != "" {
		made.Annotations[wellknown.KubernetesChangeCause] = cause
	}
	return made
}

// ContentSize is how many bytes the object's content has.
func (o Object) ContentSize() int {
	size := 0
	for key, value := range o.Data {
		size += len(key) + len(value)
	}
	for key, value := range o.Binary {
		size += len(key) + len(value)
	}
	return size
}

// maxSize is how large an object can be, in bytes: etcd takes no larger request
// (go.etcd.io/etcd/server/v3/embed, DefaultMaxRequestBytes).
const maxSize = 1.5 * 1024 * 1024

// Size is how many bytes an object's metadata says that its content has: 0 where
// it doesn't, or says what can't be.
func Size(o Object) int {
	size, err := strconv.Atoi(o.Annotations[wellknown.Size])
	if err != nil || size < 0 || size > maxSize {
		return 0
	}
	return size
}

// MaxRevision is the highest revision that is believed. A source that changed every
// second wouldn't get there in a human life. Where somebody wrote it by hand, there is
// no number above it: every snapshot that becomes current afterwards has it too.
const MaxRevision = math.MaxInt32

// Revision is the number that an object's metadata says that it has as a snapshot: 0
// where it has none, or one that nobody can read.
func Revision(o Object) int {
	revision, err := strconv.Atoi(o.Annotations[wellknown.Revision])
	if err != nil || revision < 0 || revision > MaxRevision {
		return 0
	}
	return revision
}

// Same says whether two objects are the same snapshot: everything that a Pod
// could read, and everything by which it is found.
func Same(a, b Object) bool {
	return a.Kind == b.Kind && a.Namespace == b.Namespace && a.Name == b.Name &&
		a.Immutable == b.Immutable && a.Type == b.Type &&
		a.Labels[wellknown.SnapshotOf] == b.Labels[wellknown.SnapshotOf] &&
		a.Annotations[wellknown.Source] == b.Annotations[wellknown.Source] &&
		maps.Equal(a.Data, b.Data) && maps.EqualFunc(a.Binary, b.Binary, bytes.Equal)
}

// Claimed returns the source and the digest that an object's metadata claims,
// if it claims to be a snapshot and its name agrees. It is enough to find
// snapshots; before one is used, Verified must agree too.
func Claimed(o Object) (source, digest string, claimed bool) {
	source, digest = o.Annotations[wellknown.Source], o.Annotations[wellknown.Digest]
	if !Nameable(source) || o.Labels[wellknown.SnapshotOf] != LabelValue(source) {
		return "", "", false
	}
	return source, digest, named(o.Name, source, digest)
}

// Verified returns the source of an object that is a snapshot, and the digest of
// what it holds: it is immutable, labelled, and named by that digest.
//
// A Secret that was made with another key is named by a digest that nobody can make
// again: it is as it claims to be. Its digest is returned by the present key all the
// same, so that it compares with those of others.
func Verified(o Object) (source, digest string, verified bool) {
	source = o.Annotations[wellknown.Source]
	if !o.Immutable || !Nameable(source) || o.Labels[wellknown.SnapshotOf] != LabelValue(source) {
		return "", "", false
	}
	digest = o.Digest(source).String()
	if Rekeyed(o, o.Key) {
		return source, digest, named(o.Name, source, o.Annotations[wellknown.Digest])
	}
	return source, digest, named(o.Name, source, digest)
}

// Rekeyed says whether the digest in an object's metadata was made with another key
// than this one, and so compares with nothing.
func Rekeyed(o Object, key *hashing.Key) bool {
	return o.Kind == wellknown.Secret && o.Annotations[wellknown.DigestKey] != key.ID()
}

// neverKept are types of Secrets that something else makes and replaces, and whose
// copies would be credentials that nobody revokes: tokens of service accounts and
// nodes (k8s.io/api/core/v1, SecretTypeServiceAccountToken;
// k8s.io/cluster-bootstrap/token/api, SecretTypeBootstrapToken), and releases of helm
// (helm.sh/helm/v4/pkg/storage/driver), each of which is a history already.
var neverKept = []string{
	"kubernetes.io/service-account-token",
	"bootstrap.kubernetes.io/token",
	"helm.sh/release.v1",
}

// Keepable returns why what a source holds can't be kept, or nil. That doesn't
// change: the type of a Secret is for ever.
func Keepable(source Object) error {
	if slices.Contains(neverKept, source.Type) {
		return fmt.Errorf("type %s is never kept", source.Type)
	}
	return nil
}

func named(name, source, digest string) bool {
	if len(digest) != hashing.Length {
		return false
	}
	for _, length := range Lengths {
		if name == Name(source, digest[:length]) {
			return true
		}
	}
	return false
}

// Versioned says whether the object is a source. A snapshot never is, whatever
// somebody wrote on it. invalid is the value of the annotation when nobody
// understands it; such an object is not a source.
func Versioned(o Object) (versioned bool, invalid string) {
	if _, _, claimed := Claimed(o); claimed {
		return false, ""
	}
	switch value := o.Annotations[wellknown.Versioned]; value {
	case wellknown.True:
		return true, ""
	case wellknown.False, "":
		return false, ""
	default:
		return false, value
	}
}
