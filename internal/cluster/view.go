package cluster

import (
	"context"
	"errors"
	"maps"

	"golang.org/x/sync/errgroup"

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
	objects, found := make([]snapshot.Object, len(targets)), make([]bool, len(targets))
	err := inParallel(ctx, len(targets), func(ctx context.Context, i int) (err error) {
		if v.objects.Serves(targets[i].Kind, v.namespace) {
			objects[i], found[i], err = v.objects.Read(ctx, v.namespace, targets[i])
		}
		return err
	})
	if err != nil {
		return err
	}
	for i, target := range targets {
		switch {
		case !v.objects.Serves(target.Kind, v.namespace):
			v.Facts[target] = pin.Fact{Role: pin.Unserved}
		case !found[i]:
			v.Facts[target] = pin.Fact{Role: pin.Absent}
		default:
			v.Facts[target], v.read[target] = factOf(objects[i]), objects[i]
		}
	}
	return nil
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
		maps.Copy(v.Facts, learned)
		named := refs.Target{Kind: outcomes[i].Source.Kind, Name: outcomes[i].Name}
		settled = settled && (len(learned) == 0 || learned[named].Role == pin.Snapshot)
	}
	return settled, nil
}

// keep makes sure of one snapshot, and returns what it learned.
func (v *View) keep(ctx context.Context, outcome pin.Outcome, dryRun bool) (pin.Facts, error) {
	named := refs.Target{Kind: outcome.Source.Kind, Name: outcome.Name}
	if v.Facts[named].Role == pin.Snapshot {
		there, err := v.objects.Unmark(ctx, v.read[named], dryRun)
		if err != nil || there {
			return nil, err
		}
		return pin.Facts{named: {Role: pin.Absent}}, nil
	}
	fact := v.Facts[outcome.Source]
	if fact.Role != pin.Source || fact.Current != outcome.Name {
		return nil, nil // a pin that is kept although nothing is there: it can't be made
	}
	kept, err := v.objects.Keep(ctx, v.read[outcome.Source], dryRun)
	if refused := (*RefusedError)(nil); errors.As(err, &refused) {
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
