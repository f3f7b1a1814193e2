package watch

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/hashing"
	"github.com/configpin/configpin/internal/pin"
	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/wellknown"
)

// Sources knows, from watches of metadata only, which sources and snapshots
// there are, and from whoever reads the sources, what they hold now. Its memory
// doesn't depend on the size of contents. It is safe for concurrent use.
type Sources struct {
	watches[wellknown.Kind]
	client metadata.Interface
	api    rest.Interface
	key    func() *hashing.Key

	redigests sync.Map // of snapshots, by their UIDs

	mutex    sync.RWMutex
	currents map[cluster.Key]Current
}

// Current is what a source holds now.
type Current struct {
	Name   string // of its snapshot
	Digest string
}

// NewSources returns the Sources of scope in the cluster at config, not watching
// yet. key is as of NewObjects.
func NewSources(config *rest.Config, scope cluster.Scope, key func() *hashing.Key) (*Sources, error) {
	client, err := metadata.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("connecting to the cluster: %w", err)
	}
	api, err := cluster.Dial(config)
	if err != nil {
		return nil, err
	}
	s := &Sources{client: client, api: api, key: key, currents: map[cluster.Key]Current{}}
	for _, kind := range wellknown.Kinds {
		err := s.add(kind, kind.Resource(), scope.Of(kind), func(namespace string) (cache.SharedIndexInformer, error) {
			informer := metadatainformer.NewFilteredMetadataInformer(client, cluster.SourceKind(kind), namespace, 0,
				cache.Indexers{bySource: snapshotsOf(kind)}, nil).Informer()
			return informer, informer.SetTransform(onlyOurs)
		})
		if err != nil {
			return nil, err
		}
	}
	return s, nil
}

// onlyOurs drops from an object's metadata what nobody here reads.
func onlyOurs(object any) (any, error) {
	full, ok := object.(*metav1.PartialObjectMetadata)
	if !ok {
		return object, nil // the tombstone of a deletion that was missed
	}
	return &metav1.PartialObjectMetadata{ObjectMeta: cluster.Reduce(&full.ObjectMeta)}, nil
}

// snapshotsOf is the index of snapshots by their source.
func snapshotsOf(kind wellknown.Kind) cache.IndexFunc {
	return func(object any) ([]string, error) {
		m, ok := metaOf(object)
		if !ok {
			return nil, fmt.Errorf("indexing a %T: not an object", object)
		}
		source, _, claimed := snapshot.Claimed(snapshot.FromMetadata(kind, m))
		if !claimed {
			return nil, nil
		}
		return []string{cluster.Key{Namespace: m.GetNamespace(), Target: refs.Target{Kind: kind, Name: source}}.String()}, nil
	}
}

// OnChange calls f with the metadata of every object that comes, changes or
// goes. It must be called before Start.
func (s *Sources) OnChange(f func(snapshot.Object)) error {
	return s.onEvents(func(kind wellknown.Kind, e event, m metav1.Object) {
		if e.after == nil {
			s.redigests.Delete(string(m.GetUID()))
		}
		f(snapshot.FromMetadata(kind, m))
	})
}

// Synced says whether all that there was at the start is known, as far as it may be
// read, and can be told apart.
func (s *Sources) Synced() bool {
	return (len(s.of[wellknown.Secret]) == 0 || s.key() != nil) && s.watches.Synced()
}

// All returns the metadata of all sources and snapshots that are known.
func (s *Sources) All() []snapshot.Object {
	var all []snapshot.Object
	for kind, informer := range s.all() {
		for _, object := range informer.GetStore().List() {
			all = append(all, snapshot.FromMetadata(kind, object.(*metav1.PartialObjectMetadata)))
		}
	}
	return all
}

// Metadata returns what is known of an object: its metadata, as far as it is
// ours. It may be behind what is stored.
func (s *Sources) Metadata(key cluster.Key) (snapshot.Object, bool) {
	found, known := s.known(key.Kind, key.Namespace, key.Name).(*metav1.PartialObjectMetadata)
	if !known {
		return snapshot.Object{}, false
	}
	return snapshot.FromMetadata(key.Kind, found), true
}

// Exists says, live, whether there is an object.
func (s *Sources) Exists(ctx context.Context, key cluster.Key) (bool, error) {
	if !cluster.Addressable(key.Name) {
		return false, nil
	}
	_, err := s.client.Resource(cluster.SourceKind(key.Kind)).Namespace(key.Namespace).Get(ctx, key.Name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("reading %s: %w", key, err)
	}
	return true, nil
}

// KnownSnapshots returns the metadata of what claims to be a snapshot of a
// source, as far as the watch has seen.
func (s *Sources) KnownSnapshots(source cluster.Key) []snapshot.Object {
	var known []snapshot.Object
	for _, object := range s.indexed(source.Kind, source) {
		known = append(known, snapshot.FromMetadata(source.Kind, object.(*metav1.PartialObjectMetadata)))
	}
	return known
}

// Snapshots lists, live, the metadata of what claims to be a snapshot of a
// source.
func (s *Sources) Snapshots(ctx context.Context, source cluster.Key) ([]snapshot.Object, error) {
	claiming := cluster.List[snapshot.Object]{
		API:       s.api,
		Kind:      cluster.SourceKind(source.Kind),
		Namespace: source.Namespace,
		Selector:  cluster.Selector{Labels: wellknown.SnapshotOf + "=" + snapshot.LabelValue(source.Name)},
		Metadata: func(m *metav1.ObjectMeta) (snapshot.Object, bool) {
			object := snapshot.FromMetadata(source.Kind, m) // with what is said of it, which nobody holds on to
			of, _, claimed := snapshot.Claimed(object)
			return object, claimed && of == source.Name
		},
	}
	var found []snapshot.Object
	for object, err := range claiming.All(ctx) {
		if err != nil {
			return nil, fmt.Errorf("listing the snapshots of %s: %w", source, err)
		}
		found = append(found, object)
	}
	return found, nil
}

// SetCurrent says what a source holds now, and returns whether that is news. The
// zero Current says that it holds something that can't be pinned.
func (s *Sources) SetCurrent(source cluster.Key, current Current) (news bool) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if have, known := s.currents[source]; known && have == current {
		return false
	}
	s.currents[source] = current
	return true
}

// ForgetDigests forgets what Secrets hold, because there is another key: until they
// are read again, nothing is decided about them.
func (s *Sources) ForgetDigests() {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	maps.DeleteFunc(s.currents, func(source cluster.Key, _ Current) bool { return source.Kind == wellknown.Secret })
}

// Forget says that a source holds nothing that can be pinned. It returns
// whether it did before.
func (s *Sources) Forget(source cluster.Key) (news bool) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	_, news = s.currents[source]
	delete(s.currents, source)
	return news
}

// Current returns what a source holds now.
func (s *Sources) Current(source cluster.Key) (Current, bool) {
	s.mutex.RLock()
	defer s.mutex.RUnlock()
	current, known := s.currents[source]
	return current, known
}

// Holds says whether what a source holds now has a suffix: in the name of its snapshot
// or, if the key was another one then, of an earlier snapshot of the same. Where nothing
// is known that can be pinned, it doesn't.
func (s *Sources) Holds(source cluster.Key, suffix string) bool {
	current, known := s.Current(source)
	if !known || current.Digest == "" {
		return false
	}
	if strings.HasPrefix(current.Digest, suffix) {
		return true
	}
	named := cluster.Key{Namespace: source.Namespace, Target: refs.Target{Kind: source.Kind, Name: snapshot.Name(source.Name, suffix)}}
	fact, ready := s.fact(named)
	return ready && fact.Role == pin.Snapshot && fact.Of == source.Name && fact.Digest == current.Digest
}

// Tell has a case learn what a decision about it needs to know of namespace, and returns
// of which sources it isn't known yet what they hold. By the facts, nothing can be pinned
// to what these hold now: that keeps what a workload has of them, while others are decided
// about.
func (s *Sources) Tell(namespace string, of *pin.Case) (unknown map[refs.Target]bool) {
	unknown = map[refs.Target]bool{}
	_ = of.Ask(func(targets []refs.Target) (pin.Facts, error) { // what is remembered can always be told
		facts := pin.Facts{}
		for _, target := range targets {
			fact, ready := s.fact(cluster.Key{Namespace: namespace, Target: target})
			facts[target] = fact
			switch {
			case ready:
			case fact.Role == pin.Snapshot: // of which it isn't known whether it is what its source holds
				unknown[refs.Target{Kind: target.Kind, Name: fact.Of}] = true
			default:
				unknown[target] = true
			}
		}
		for source := range unknown {
			if facts[source].Role == pin.Source || of.Facts()[source].Role == pin.Source {
				facts[source] = pin.Fact{Role: pin.Source}
			}
		}
		return facts, nil
	})
	return unknown
}

// fact is what is known of an object. It isn't ready while something has to be read
// before it can be told what a source holds, or whether a snapshot is that.
func (s *Sources) fact(key cluster.Key) (fact pin.Fact, ready bool) {
	switch watch := s.seeing(key.Kind, key.Namespace); {
	case watch == nil:
		return pin.Fact{Role: pin.Unserved}, true
	case watch.hidden():
		return pin.Fact{Role: pin.Unserved, Hidden: true}, true
	}
	object, found := s.Metadata(key)
	if !found {
		return pin.Fact{Role: pin.Absent}, true
	}
	if of, digest, claimed := snapshot.Claimed(object); claimed {
		if s.Unread(object) {
			return pin.Fact{Role: pin.Snapshot, Of: of, Digest: digest}, false
		}
		digest, genuine := s.digest(object, digest)
		if !genuine {
			return pin.Fact{Role: pin.Plain}, true
		}
		return pin.Fact{Role: pin.Snapshot, Of: of, Digest: digest}, true
	}
	if versioned, invalid := snapshot.Versioned(object); !versioned {
		return pin.Fact{Role: pin.Plain, Invalid: invalid}, true
	}
	current, known := s.Current(key)
	return pin.Fact{Role: pin.Source, Current: current.Name, Digest: current.Digest}, known
}

// Unread says whether a snapshot has to be read before it can be told whether it is
// what its source holds: it was made with another key, and its source is there.
func (s *Sources) Unread(object snapshot.Object) bool {
	if object.Kind != wellknown.Secret {
		return false
	}
	key := s.key()
	if key == nil {
		return true
	}
	of, _, claimed := snapshot.Claimed(object)
	if !claimed || !snapshot.Rekeyed(object, key) || s.redigest(object).key == key.ID() {
		return false
	}
	source, found := s.Metadata(cluster.Key{Namespace: object.Namespace, Target: refs.Target{Kind: object.Kind, Name: of}})
	versioned, _ := snapshot.Versioned(source)
	return found && versioned
}

// digest is the digest of a snapshot by the present key, given the one that it
// claims. It isn't genuine if it was read, and isn't what it claims.
func (s *Sources) digest(object snapshot.Object, claimed string) (digest string, genuine bool) {
	if object.Kind != wellknown.Secret || !snapshot.Rekeyed(object, s.key()) {
		return claimed, true
	}
	found := s.redigest(object)
	return found.digest, found == redigest{} || found.digest != ""
}

// redigest is the digest, by a present key, of a snapshot that was made with another: it
// had to be read. It is empty if the snapshot isn't what it claims.
type redigest struct{ digest, key string }

func (s *Sources) redigest(object snapshot.Object) redigest {
	found, _ := s.redigests.Load(object.UID)
	read, _ := found.(redigest)
	return read
}

// SetRead says what was found when a snapshot was read.
func (s *Sources) SetRead(object snapshot.Object) {
	found := redigest{key: object.Key.ID()}
	if _, digest, verified := snapshot.Verified(object); verified {
		found.digest = digest
	}
	s.redigests.Store(object.UID, found)
}
