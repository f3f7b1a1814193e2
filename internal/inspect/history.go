package inspect

import (
	"cmp"
	"crypto/sha256"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/wellknown"
)

// Content is what is remembered of what an object holds: enough to tell contents
// apart, key by key. However large they are, it is small.
type Content struct {
	Digest string
	Bytes  int
	kind   string // the type of a Secret
	keys   map[string]value
}

type value struct {
	sum    [sha256.Size]byte
	binary bool
}

// ContentOf returns the content of an object, as one of source.
func ContentOf(o snapshot.Object, source string) Content {
	content := Content{Digest: o.Digest(source).String(), Bytes: o.ContentSize(), kind: o.Type, keys: map[string]value{}}
	for key, text := range o.Data {
		content.keys[key] = value{sum: sha256.Sum256([]byte(text))}
	}
	for key, bytes := range o.Binary {
		content.keys[key] = value{sha256.Sum256(bytes), true}
	}
	return content
}

// Keys are the keys in which a content differs from another one, sorted.
type Keys struct {
	Added   []string `json:"added,omitempty"`
	Changed []string `json:"changed,omitempty"`
	Removed []string `json:"removed,omitempty"`

	// Type says that the type of the Secret differs, too.
	Type bool `json:"type,omitempty"`
}

// String is the keys as a list of words, each with a sign: "+new ~other -old".
func (k Keys) String() string {
	var words []string
	if k.Type {
		words = append(words, "~"+TypeKey)
	}
	for _, group := range []struct {
		sign string
		keys []string
	}{{"+", k.Added}, {"~", k.Changed}, {"-", k.Removed}} {
		for _, key := range group.keys {
			words = append(words, group.sign+key)
		}
	}
	return strings.Join(words, " ")
}

// Since are the keys in which a content differs from the one before it. One that moved
// between data and binaryData differs.
func (c Content) Since(before Content) Keys {
	keys := Keys{Type: c.kind != before.kind}
	for key, is := range c.keys {
		switch was, found := before.keys[key]; {
		case !found:
			keys.Added = append(keys.Added, key)
		case was != is:
			keys.Changed = append(keys.Changed, key)
		}
	}
	for key := range before.keys {
		if _, found := c.keys[key]; !found {
			keys.Removed = append(keys.Removed, key)
		}
	}
	for _, list := range [][]string{keys.Added, keys.Changed, keys.Removed} {
		slices.Sort(list)
	}
	return keys
}

// Revision is one content of a source.
type Revision struct {
	// Number rises with each time that a content becomes current; 0 where nobody has
	// numbered it.
	Number int `json:"revision"`

	// Snapshot holds the content. It is empty where nobody has made one.
	Snapshot string `json:"snapshot"`

	Created time.Time `json:"created,omitzero"`

	// Current says that the source holds it now.
	Current bool `json:"current"`

	// Keys are those in which it differs from the revision before it.
	Keys Keys `json:"keys,omitzero"`

	Bytes       int    `json:"bytes"`
	Digest      string `json:"digest,omitempty"` // not of a Secret
	ChangeCause string `json:"changeCause,omitempty"`

	// UnusedSince is the mark of the garbage collector.
	UnusedSince string `json:"unusedSince,omitempty"`

	// UsedBy are what names the snapshot. UsedByUnknown says what couldn't be read, so
	// that there may be more.
	UsedBy        []User   `json:"usedBy,omitempty"`
	UsedByUnknown []string `json:"usedByUnknown,omitempty"`

	content  Content
	metadata snapshot.Object
}

// History is what is known of the contents of a source. Before Revisions, all of them
// have to be added.
type History struct {
	Source string
	Kind   wellknown.Kind

	live    *snapshot.Object
	current Content
	kept    []Revision
}

// Live says what the source holds now.
func (h *History) Live(o snapshot.Object) {
	h.current = ContentOf(o, h.Source)
	o.Data, o.Binary = nil, nil
	h.live = &o
}

// Add adds an object that is labelled as a snapshot of the source. Anybody can label
// anything: what isn't a snapshot is left out.
func (h *History) Add(o snapshot.Object) {
	of, _, verified := snapshot.Verified(o)
	if !verified || of != h.Source || o.Terminating {
		return
	}
	revision := Revision{
		Number:      snapshot.Revision(o),
		Snapshot:    o.Name,
		Created:     o.Created,
		ChangeCause: o.Annotations[wellknown.ChangeCause],
		UnusedSince: o.Annotations[wellknown.UnusedSince],
		content:     ContentOf(o, h.Source),
		metadata:    snapshot.Object{Name: o.Name, Annotations: o.Annotations},
	}
	revision.Bytes = revision.content.Bytes
	if o.Kind != wellknown.Secret { // a plain hash of a Secret is for nobody, and that of its key is in its name
		revision.Digest = revision.content.Digest
	}
	h.kept = append(h.kept, revision)
}

// Revisions are the contents, in the order in which they became current. Those that nobody
// has numbered yet are newer than those that somebody has; and what the source holds comes
// last.
func (h *History) Revisions() []Revision {
	all := slices.Clone(h.kept)
	slices.SortFunc(all, func(a, b Revision) int {
		return cmp.Or(cmp.Compare(order(a), order(b)), a.Created.Compare(b.Created), cmp.Compare(a.Snapshot, b.Snapshot))
	})
	if current := h.currentOf(all); current >= 0 {
		now := all[current]
		now.Current = true
		if now.Number == 0 { // the versioner is about to say it
			now.ChangeCause = snapshot.Cause(*h.live, h.before(all))
		}
		all = append(slices.Delete(all, current, current+1), now)
	} else if h.live != nil && !h.Unversioned() {
		all = append(all, Revision{
			Current:     true,
			Bytes:       h.current.Bytes,
			ChangeCause: snapshot.Cause(*h.live, h.before(all)),
			content:     h.current,
		})
	}
	for i := range all {
		if i > 0 {
			all[i].Keys = all[i].content.Since(all[i-1].content)
		}
	}
	return all
}

// before is the snapshot that was current before one that nobody has numbered yet.
func (h *History) before(all []Revision) (newest snapshot.Object) {
	for _, revision := range all {
		if revision.Number > 0 {
			newest = revision.metadata
		}
	}
	return newest
}

func order(r Revision) int {
	if r.Number == 0 {
		return math.MaxInt
	}
	return r.Number
}

// Gone says whether the source isn't there.
func (h *History) Gone() bool { return h.live == nil }

// Unversioned says whether the source is there, and nobody asks for its contents to be
// kept.
func (h *History) Unversioned() bool {
	if h.live == nil {
		return false
	}
	versioned, _ := snapshot.Versioned(*h.live)
	return !versioned
}

// currentOf is the index of the last revision that is what the source holds, or -1.
func (h *History) currentOf(all []Revision) int {
	if h.live == nil {
		return -1
	}
	for i, revision := range slices.Backward(all) {
		if revision.content.Digest == h.current.Digest {
			return i
		}
	}
	return -1
}
