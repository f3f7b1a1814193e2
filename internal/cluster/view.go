package cluster

import (
	"context"
	"errors"
	"sync"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/configpin/configpin/internal/pin"
	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/snapshot"
)

// maxReads is how many objects one View reads at a time. It is beyond what
// nearly all templates refer to, so that those cost one round trip.
const maxReads = 32

// View is what one request has to do with, read live: a cache would show some
// workloads the content before the one that they were deployed with.
type View struct {
	// Facts are what pin.Decide needs to know.
	Facts pin.Facts

	objects   *Objects
	namespace string
	read      map[refs.Target]snapshot.Object
}

// View reads what a decision about request needs to know of namespace. Distinct
// objects are read once and in parallel.
func (o *Objects) View(ctx context.Context, namespace string, request pin.Request) (*View, error) {
	view := &View{
		Facts:     pin.Facts{},
		objects:   o,
		namespace: namespace,
		read:      map[refs.Target]snapshot.Object{},
	}
	for {
		targets := pin.Wanted(request, view.Facts)
		if len(targets) == 0 {
			return view, nil
		}
		if err := view.load(ctx, targets); err != nil {
			return nil, err
		}
	}
}

func (v *View) load(ctx context.Context, targets []refs.Target) error {
	var served []refs.Target
	for _, target := range targets {
		if v.objects.Serves(target.Kind) {
			served = append(served, target)
		} else {
			v.Facts[target] = pin.Fact{Role: pin.Unserved}
		}
	}
	var mutex sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(maxReads)
	for _, target := range served {
		group.Go(func() error {
			object, found, err := v.objects.Read(ctx, v.namespace, target)
			if err != nil {
				return err
			}
			fact := pin.Fact{Role: pin.Absent}
			if found {
				fact = factOf(object)
			}
			mutex.Lock()
			defer mutex.Unlock()
			v.Facts[target] = fact
			if found {
				v.read[target] = object
			}
			return nil
		})
	}
	return group.Wait()
}

// factOf tells what an object with its content is. The name of a source's
// current snapshot is taken to be the first that it can have; Keep finds out.
func factOf(object snapshot.Object) pin.Fact {
	if source, digest, verified := snapshot.Verified(object); verified {
		return pin.Fact{Role: pin.Snapshot, Of: source, Digest: digest}
	}
	versioned, invalid := snapshot.Versioned(object)
	if !versioned {
		return pin.Fact{Role: pin.Plain, Invalid: invalid}
	}
	digest := object.Digest(object.Name).String()
	return pin.Fact{
		Role:    pin.Source,
		Digest:  digest,
		Current: snapshot.Name(object.Name, digest[:snapshot.Lengths[0]]),
	}
}

// Keep makes sure that the snapshots which outcomes name exist, and aren't
// marked as unused. Where that turns out differently than Facts say, it corrects
// them and returns false: then the decision must be taken again.
func (v *View) Keep(ctx context.Context, outcomes []pin.Outcome, dryRun bool) (settled bool, err error) {
	settled = true
	for _, outcome := range outcomes {
		if !outcome.Pinned() {
			continue
		}
		named := refs.Target{Kind: outcome.Source.Kind, Name: outcome.Name}
		fact := v.Facts[outcome.Source]
		switch {
		case v.Facts[named].Role == pin.Snapshot:
			there, err := v.unmark(ctx, named, dryRun)
			if err != nil {
				return false, err
			}
			settled = settled && there
		case fact.Role == pin.Source && fact.Current == outcome.Name:
			kept, err := v.objects.Keep(ctx, v.read[outcome.Source], dryRun)
			if err != nil {
				if refused := (*RefusedError)(nil); errors.As(err, &refused) {
					fact.Current, fact.Problem = "", refused.Error()
					v.Facts[outcome.Source] = fact
					settled = false
					continue
				}
				return false, err
			}
			fact.Current = kept.Snapshot.Name
			settled = settled && fact.Current == outcome.Name
			v.Facts[outcome.Source] = fact
			v.Facts[refs.Target{Kind: named.Kind, Name: fact.Current}] = pin.Fact{Role: pin.Snapshot, Of: outcome.Source.Name, Digest: fact.Digest}
		}
	}
	return settled, nil
}

// unmark reports whether the snapshot is still there. One that vanished since it
// was read counts as one that never was.
func (v *View) unmark(ctx context.Context, named refs.Target, dryRun bool) (there bool, err error) {
	err = v.objects.Unmark(ctx, v.read[named], dryRun)
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		v.Facts[named] = pin.Fact{Role: pin.Absent}
		return false, nil
	}
	return true, err
}
