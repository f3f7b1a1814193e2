// Package census counts, live, which sources and snapshots there are, and what names them,
// for the garbage collector. It is apart from what the other programs read because nothing
// may be concluded from a part of it: it reads lists side by side, says of each namespace
// when all of them are past it, and has an error for whatever it isn't sure of.
//
// It deliberately doesn't judge: what may go is for packages retention and gc to say.
package census

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/tidwall/gjson"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/retention"
	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/wellknown"
)

// Taker takes the census. It asks the API server for lists of what is stored now, page by page, and
// keeps nothing.
type Taker struct {
	api   rest.Interface
	scope cluster.Scope
	kinds []schema.GroupVersionResource
	date  atomic.Pointer[time.Time]
}

// New returns the Taker of the census of scope in the cluster at config. Kinds beyond the
// ReferenceKinds are searched before those.
func New(config *rest.Config, scope cluster.Scope, beyond []schema.GroupVersionResource) (*Taker, error) {
	t := &Taker{scope: scope}
	seen := map[schema.GroupVersionResource]bool{}
	for _, kinds := range [][]schema.GroupVersionResource{beyond, cluster.ReferenceKinds} {
		for _, kind := range kinds {
			if !seen[kind] {
				seen[kind] = true
				t.kinds = append(t.kinds, kind)
			}
		}
	}
	config = rest.CopyConfig(config)
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return dating{next, &t.date} })
	var err error
	t.api, err = cluster.Dial(config)
	return t, err
}

// Space is what there is in a namespace.
type Space struct {
	Namespace string

	// Objects are the metadata of its sources and snapshots.
	Objects []snapshot.Object

	// Others are the ConfigMaps and Secrets that are neither, by name alone: one may have
	// been a source.
	Others []refs.Target

	// Mentions are the parts of the texts of its objects that a snapshot's name can
	// be in.
	Mentions []string
}

// Spaces counts all namespaces in which there are sources or snapshots, one after
// another; one of which Secrets alone are served by name comes twice. It holds no more
// than a page of each list at a time.
//
// An error comes with the namespace that it is about, of which nothing is known then.
// It may have been deleted, with the Roles by which we read it: the others come all the
// same. An error without a namespace is the last that comes: nothing is known of the
// namespaces that haven't come.
func (t *Taker) Spaces(ctx context.Context) iter.Seq2[Space, error] {
	return func(yield func(Space, error) bool) {
		for _, p := range t.parts() {
			for space, err := range t.count(ctx, p) {
				if err != nil {
					space = Space{Namespace: p.namespace}
				}
				if !yield(space, err) || err != nil && p.namespace == metav1.NamespaceAll {
					return
				}
			}
		}
	}
}

// Space counts one namespace.
func (t *Taker) Space(ctx context.Context, namespace string) (Space, error) {
	for space, err := range t.count(ctx, part{namespace, t.scope.KindsIn(namespace)}) {
		return space, err
	}
	return Space{Namespace: namespace}, nil
}

// part is what is counted at a time: kinds of sources, in one namespace or in all.
type part struct {
	namespace string
	kinds     []wellknown.Kind
}

func (t *Taker) parts() []part {
	var all []part
	for _, namespace := range t.scope.Namespaces {
		all = append(all, part{namespace, t.scope.KindsIn(namespace)})
	}
	if slices.Equal(t.scope.Namespaces, cluster.Everywhere) && !slices.Equal(t.scope.Secrets, cluster.Everywhere) {
		for _, namespace := range t.scope.Secrets {
			all = append(all, part{namespace, []wellknown.Kind{wellknown.Secret}})
		}
	}
	return all
}

// Date is the time of the API server when it answered last, or zero if it never
// did. Creation times are by the same clock.
func (t *Taker) Date() time.Time { return ptr.Deref(t.date.Load(), time.Time{}) }

// count reads all lists side by side. A namespace is complete when each of them
// is past it.
func (t *Taker) count(ctx context.Context, p part) iter.Seq2[Space, error] {
	return func(yield func(Space, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		var lists cursors
		defer lists.stop()
		for _, kind := range p.kinds {
			lists.sources = append(lists.sources, newCursor(t.sources(kind, p.namespace).All(ctx)))
		}
		for _, kind := range t.kinds {
			lists.references = append(lists.references, newCursor(t.references(kind, p.namespace).All(ctx)))
		}
		for {
			space, found, err := lists.next()
			if err != nil {
				yield(Space{}, err)
				return
			}
			if !found || !yield(space, nil) {
				return
			}
		}
	}
}

// cursors are places in all lists: those of what is counted, and those of what may
// name it.
type cursors struct{ sources, references []*cursor }

func (c *cursors) stop() {
	for _, list := range slices.Concat(c.sources, c.references) {
		list.stop()
	}
}

// next counts the next namespace in which there are sources or snapshots.
func (c *cursors) next() (space Space, found bool, err error) {
	for len(space.Objects) == 0 {
		if space.Namespace, found, err = c.namespace(); err != nil || !found {
			return Space{}, false, err
		}
		space.Others = nil
		for _, list := range c.sources {
			if err := list.read(space.Namespace, space.add); err != nil {
				return Space{}, false, err
			}
		}
	}
	for _, list := range c.references {
		if err := list.read(space.Namespace, func(s sighting) { space.Mentions = append(space.Mentions, s.mentions...) }); err != nil {
			return Space{}, false, err
		}
	}
	return space, true, nil
}

// namespace is the next one in which there is anything.
func (c *cursors) namespace() (next string, found bool, err error) {
	for _, list := range c.sources {
		namespace, more, err := list.namespace()
		if err != nil {
			return "", false, err
		}
		if more && (!found || order(namespace) < order(next)) {
			next, found = namespace, true
		}
	}
	return next, found, nil
}

// add adds what is in a list of ConfigMaps or Secrets.
func (s *Space) add(seen sighting) {
	if seen.other {
		s.Others = append(s.Others, refs.Target{Kind: seen.object.Kind, Name: seen.object.Name})
		return
	}
	s.Objects = append(s.Objects, seen.object)
}

// sighting is what matters of an element of a list.
type sighting struct {
	namespace string
	object    snapshot.Object // a source or a snapshot
	other     bool            // it is neither, and no more than its name is known
	mentions  []string        // of anything else
}

// cursor is a place in a list that is in the order of namespaces.
type cursor struct {
	pull func() (sighting, error, bool)
	stop func()

	begun bool
	head  sighting
	err   error
	more  bool // there is a head, or an error
}

func newCursor(list iter.Seq2[sighting, error]) *cursor {
	c := &cursor{}
	c.pull, c.stop = iter.Pull2(list)
	return c
}

// advance moves to the next element. A list that isn't in the order in which the
// API server keeps objects is of no use: nobody can tell when a namespace is
// complete.
func (c *cursor) advance() {
	before := c.head.namespace
	c.head, c.err, c.more = c.pull()
	if c.more && c.err == nil && c.begun && order(c.head.namespace) < order(before) {
		c.err = fmt.Errorf("%w: namespace %q comes after %q", cluster.ErrPartial, c.head.namespace, before)
	}
	c.begun = true
}

// order sorts as the API server does: by keys of namespace, slash and name.
func order(namespace string) string { return namespace + "/" }

// namespace is that of the next element.
func (c *cursor) namespace() (name string, found bool, err error) {
	if !c.begun {
		c.advance()
	}
	return c.head.namespace, c.more, c.err
}

// read calls f with all elements of a namespace, and passes over those before it.
func (c *cursor) read(namespace string, f func(sighting)) error {
	for {
		next, found, err := c.namespace()
		switch {
		case err != nil:
			return err
		case !found || order(next) > order(namespace):
			return nil
		case next == namespace:
			f(c.head)
		}
		c.advance()
	}
}

// sources lists the metadata of sources and snapshots of a kind.
func (t *Taker) sources(kind wellknown.Kind, namespace string) cluster.List[sighting] {
	return cluster.List[sighting]{API: t.api, Kind: cluster.SourceKind(kind), Namespace: namespace, Metadata: func(m *metav1.ObjectMeta) (sighting, bool) {
		object := cluster.OfMetadata(kind, m)
		_, versioned := object.Annotations[wellknown.Versioned]
		_, limited := object.Annotations[wellknown.HistoryLimit]
		if object.Labels == nil && !versioned && !limited {
			return sighting{namespace: object.Namespace, object: snapshot.Object{Kind: kind, Name: object.Name}, other: true}, true
		}
		return sighting{namespace: object.Namespace, object: object}, true
	}}
}

// references lists what objects of a kind mention.
func (t *Taker) references(kind schema.GroupVersionResource, namespace string) cluster.List[sighting] {
	return cluster.List[sighting]{API: t.api, Kind: kind, Namespace: namespace, Whole: func(element []byte) (sighting, bool, error) {
		namespace := gjson.GetBytes(element, "metadata.namespace").Str
		if namespace == "" {
			return sighting{}, false, fmt.Errorf("%w: its objects are in no namespace", cluster.ErrPartial)
		}
		return sighting{namespace: namespace, mentions: retention.Mentions(element)}, true, nil
	}}
}

// dating is a transport that notes the time at which answers were given.
type dating struct {
	next http.RoundTripper
	date *atomic.Pointer[time.Time]
}

// RoundTrip implements http.RoundTripper.
func (d dating) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := d.next.RoundTrip(request)
	if err != nil {
		return response, err
	}
	if date, err := http.ParseTime(response.Header.Get("Date")); err == nil {
		d.date.Store(&date)
	}
	return response, nil
}
