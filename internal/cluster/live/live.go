// Package live reads what stands in the way of an answer to a request: the sources and
// snapshots that it has to do with (live.go), and the templates that its workload had
// (history.go). The webhook is its consumer. It asks the API server each time for what is
// stored now, with everybody's requests at once, and a bound on what they hold.
//
// It deliberately remembers nothing from one request to the next; who waits for changes is
// in package watch.
package live

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/hashing"
	"github.com/configpin/configpin/internal/pin"
	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/wellknown"
)

// maxReads is how many objects one View reads at a time. It is beyond what
// nearly all templates refer to, so that those cost one round trip.
const maxReads = 32

// maxHeld is how many bytes of contents a View holds on to, which is one source as
// large as it can be. Of what is beyond, it remembers the digest, and reads it again to
// make its snapshot: a template can refer to thousands, and many are looked at at a
// time.
const maxHeld = 1 << 20

// View is what one request has to do with, read live: a cache would show some
// workloads the content before the one that they were deployed with.
type View struct {
	of        *pin.Case
	views     *Views
	namespace string
	read      map[refs.Target]snapshot.Object
	emptied   map[refs.Target]bool // what is in read without its content
	held      atomic.Int64         // bytes of contents

	// key is that of all digests of Secrets. Two of them would make one content look
	// like another, if the key changed while objects are read.
	key atomic.Pointer[hashing.Key]
}

// maxKeeping is half of what is read at a time: making a snapshot is two reads and a
// write, of what can be a MiB.
const maxKeeping = 16

// Views are those of all requests.
type Views struct {
	*cluster.Objects
	keeping *semaphore.Weighted // of what was read again; whoever has one may wait for a read
}

// NewViews returns the Views of objects.
func NewViews(objects *cluster.Objects) *Views {
	return &Views{objects, semaphore.NewWeighted(maxKeeping)}
}

// View has a case learn what a decision about it needs to know of namespace. Distinct
// objects are read once and in parallel.
func (v *Views) View(ctx context.Context, namespace string, of *pin.Case) (*View, error) {
	view := &View{
		of:        of,
		views:     v,
		namespace: namespace,
		read:      map[refs.Target]snapshot.Object{},
		emptied:   map[refs.Target]bool{},
	}
	if err := view.ask(ctx); err != nil {
		return nil, err
	}
	return view, nil
}

func (v *View) load(ctx context.Context, targets []refs.Target) (pin.Facts, error) {
	all := make([]learned, len(targets))
	err := inParallel(ctx, len(targets), func(ctx context.Context, i int) (err error) {
		all[i], err = v.learn(ctx, targets[i])
		return err
	})
	if err != nil {
		return nil, err
	}
	facts := pin.Facts{}
	for i, target := range targets {
		facts[target], v.read[target], v.emptied[target] = all[i].fact, all[i].object, all[i].emptied
	}
	return facts, nil
}

// learned is what a read told of an object, and as much of it as is held on to.
type learned struct {
	fact    pin.Fact
	object  snapshot.Object
	emptied bool
}

func (v *View) learn(ctx context.Context, target refs.Target) (learned, error) {
	if !v.views.Serves(target.Kind, v.namespace) {
		return learned{fact: pin.Fact{Role: pin.Unserved}}, nil
	}
	object, found, err := v.readObject(ctx, target)
	if apierrors.IsForbidden(err) {
		return learned{fact: pin.Fact{Role: pin.Unserved, Hidden: true}}, nil
	}
	if err != nil {
		return learned{}, err
	}
	l := learned{fact: pin.Fact{Role: pin.Absent}}
	if found {
		l.fact, l.object = pin.FactOf(object), object
		l.emptied = l.fact.Role != pin.Source || v.held.Add(int64(object.ContentSize())) > maxHeld
	}
	if l.emptied {
		l.object.Data, l.object.Binary = nil, nil
	}
	return l, nil
}

func (v *View) readObject(ctx context.Context, target refs.Target) (object snapshot.Object, found bool, err error) {
	object, found, err = v.views.Find(ctx, v.namespace, target)
	if object.Key != nil {
		v.key.CompareAndSwap(nil, object.Key)
		object.Key = v.key.Load()
	}
	return object, found, err
}

// inParallel calls f with 0 to n-1, and returns its first error.
func inParallel(ctx context.Context, n int, f func(ctx context.Context, i int) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(maxReads)
	for i := range n {
		group.Go(func() error { return f(ctx, i) })
	}
	return group.Wait()
}

// Keep makes sure that the snapshots which outcomes name exist, and aren't
// marked as unused. Where that turns out differently than the case has it, the case
// learns that, and it returns false: then the decision must be taken again.
func (v *View) Keep(ctx context.Context, outcomes []pin.Outcome, dryRun bool) (settled bool, err error) {
	facts := make([]pin.Facts, len(outcomes))
	err = inParallel(ctx, len(outcomes), func(ctx context.Context, i int) (err error) {
		if outcomes[i].Pinned() {
			facts[i], err = v.keep(ctx, outcomes[i], dryRun)
		}
		return err
	})
	if err != nil {
		return false, err
	}
	settled = true
	for i, learned := range facts {
		v.of.Learn(learned)
		named := refs.Target{Kind: outcomes[i].Source.Kind, Name: outcomes[i].Name}
		settled = settled && (len(learned) == 0 || learned[named].Role == pin.Snapshot)
	}
	if !settled { // what an object is by now may be a snapshot of what nobody asked for
		err = v.ask(ctx)
	}
	return settled, err
}

// ask has the case learn what is wanted still.
func (v *View) ask(ctx context.Context) error {
	return v.of.Ask(func(targets []refs.Target) (pin.Facts, error) { return v.load(ctx, targets) })
}

// keep makes sure of one snapshot, and returns what it learned.
func (v *View) keep(ctx context.Context, outcome pin.Outcome, dryRun bool) (pin.Facts, error) {
	named := refs.Target{Kind: outcome.Source.Kind, Name: outcome.Name}
	if v.of.Facts()[named].Role == pin.Snapshot {
		return v.unmark(ctx, named, dryRun)
	}
	fact := v.of.Facts()[outcome.Source]
	if fact.Role != pin.Source || fact.Current != outcome.Name {
		return nil, nil // a pin that is kept although nothing is there: it can't be made
	}
	source, now, done, err := v.whole(ctx, outcome.Source)
	if err != nil {
		return nil, err
	}
	defer done()
	if now.Role != fact.Role || now.Digest != fact.Digest {
		return pin.Facts{outcome.Source: now}, nil // it changed since it was read
	}
	kept, err := v.make(ctx, source, dryRun)
	if refused := (*cluster.RefusedError)(nil); errors.As(err, &refused) {
		fact.Current, fact.Problem = "", refused.Error()
		return pin.Facts{outcome.Source: fact}, nil
	}
	if err != nil {
		return nil, err
	}
	fact.Current = kept.Snapshot.Name
	return pin.Facts{
		outcome.Source:                         fact,
		{Kind: named.Kind, Name: fact.Current}: {Role: pin.Snapshot, Of: outcome.Source.Name, Digest: fact.Digest},
	}, nil
}

// answering is the time that is left to answer in when a snapshot isn't made in time.
// Nothing has to be read or written then.
const answering = 500 * time.Millisecond

var errSlow = errors.New("it takes too long, as behind a webhook that doesn't answer")

// make makes a snapshot. A webhook that hangs is down as well: whoever waits for us is
// answered before they give up. It may be made all the same, and does no harm then.
func (v *View) make(ctx context.Context, source snapshot.Object, dryRun bool) (cluster.Kept, error) {
	deadline, bounded := ctx.Deadline()
	if !bounded {
		return v.views.Keep(ctx, source, dryRun)
	}
	making, cancel := context.WithDeadline(ctx, deadline.Add(-answering))
	defer cancel()
	kept, err := v.views.Keep(making, source, dryRun)
	if err != nil && making.Err() != nil && ctx.Err() == nil {
		return cluster.Kept{}, &cluster.RefusedError{Err: errSlow}
	}
	return kept, err
}

func (v *View) unmark(ctx context.Context, named refs.Target, dryRun bool) (pin.Facts, error) {
	object := v.read[named]
	if _, marked := object.Annotations[wellknown.UnusedSince]; marked {
		whole, now, done, err := v.whole(ctx, named)
		if err != nil {
			return nil, err
		}
		defer done()
		if now.Role != pin.Snapshot {
			return pin.Facts{named: now}, nil
		}
		object = whole
	}
	there, err := v.views.Unmark(ctx, object, dryRun)
	if err != nil || there {
		return nil, err
	}
	return pin.Facts{named: {Role: pin.Absent}}, nil
}

// whole returns an object with its content, and what it is now. done says that the
// content isn't needed any more.
func (v *View) whole(ctx context.Context, target refs.Target) (object snapshot.Object, now pin.Fact, done func(), err error) {
	if !v.emptied[target] {
		return v.read[target], v.of.Facts()[target], func() {}, nil
	}
	if err := v.views.keeping.Acquire(ctx, 1); err != nil {
		return snapshot.Object{}, pin.Fact{}, nil, err
	}
	done = func() { v.views.keeping.Release(1) }
	object, found, err := v.readObject(ctx, target)
	if err != nil {
		done()
		return snapshot.Object{}, pin.Fact{}, nil, err
	}
	if !found {
		return snapshot.Object{}, pin.Fact{Role: pin.Absent}, done, nil
	}
	return object, pin.FactOf(object), done, nil
}
