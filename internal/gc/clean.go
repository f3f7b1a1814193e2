package gc

import (
	"context"
	"errors"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/klog/v2"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/retention"
	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/wellknown"
)

// clean does what has to be done, one namespace after another. What fails in one
// leaves the rest of it alone.
func (c *Collector) clean(ctx context.Context, suspects []suspect) error {
	var errs []error
	var failures streak
	for begin := 0; begin < len(suspects); {
		namespace, end := suspects[begin].source.Namespace, begin
		for end < len(suspects) && suspects[end].source.Namespace == namespace {
			end++
		}
		err := c.cleanNamespace(ctx, namespace, suspects[begin:end])
		begin = end
		tooMany := failures.isLong(err)
		if err == nil {
			continue
		}
		errs = append(errs, c.abort(ctx, err))
		if tooMany || ctx.Err() != nil {
			break
		}
	}
	return errors.Join(errs...)
}

func (c *Collector) cleanNamespace(ctx context.Context, namespace string, suspects []suspect) error {
	last := proof{}
	for _, s := range suspects {
		f, err := c.examine(ctx, s.source)
		if err != nil {
			return err
		}
		known := proof{used: s.used}
		if s.collect {
			if last, err = c.prove(ctx, namespace, last); err != nil {
				return err
			}
			known = last
		}
		if err := c.cleanSource(ctx, f, known); err != nil {
			return err
		}
	}
	return nil
}

// examine reads what a source and its snapshots hold. What isn't, byte for byte,
// what its name says is none of ours, and is left out: it isn't touched, and
// takes nobody's place.
func (c *Collector) examine(ctx context.Context, source cluster.Key) (*family, error) {
	f := &family{key: source}
	object, found, err := c.Objects.Find(ctx, source.Namespace, source.Target)
	if err != nil {
		return nil, err
	}
	f.gone = !found
	if _, _, claimed := snapshot.Claimed(object); !claimed {
		f.source = object
	}
	if versioned, _ := snapshot.Versioned(object); versioned {
		f.current = object.Digest(object.Name).String()
	}
	err = c.Objects.Labelled(ctx, source, func(object snapshot.Object) {
		if digest, is := genuine(object, source.Name); is {
			object.Data, object.Binary = nil, nil // may be large, and isn't needed any more
			f.snapshots = append(f.snapshots, kept{object, digest})
		}
	})
	if err != nil {
		return nil, err
	}
	return f, nil
}

// genuine returns the digest of what an object holds that is a snapshot of source.
// The digest of a Secret that was made with another key can't be checked; what it
// holds has one by the present key all the same, so that it stays as long as it is
// current.
func genuine(object snapshot.Object, source string) (digest string, is bool) {
	said, digest, claimed := snapshot.Claimed(object)
	_, actual, verified := snapshot.Verified(object)
	agreed := digest == actual || snapshot.Rekeyed(object, object.Key)
	return actual, claimed && verified && said == source && agreed && !object.Terminating
}

// proof is what names snapshots of a namespace, and until when that counts. It is
// conclusive if it was looked for on purpose.
type proof struct {
	used       map[string]bool
	until      time.Duration
	conclusive bool
}

// proofTime is for how long a proof counts at least, from when it was begun: a name
// that is stored behind the back of the list may be as old as that. What admission
// pins takes the mark off, whenever that is; this is for what nobody sends through
// admission, such as a bare Pod.
const proofTime = 10 * time.Second

// conclude makes a proof of what was looked for from began until now. One that took
// long counts for as long again: otherwise it would be worth nothing when it is
// there, and nothing be deleted ever from a namespace that is large.
func (c *Collector) conclude(used map[string]bool, began time.Duration) proof {
	took := c.Clock.Elapsed() - began
	return proof{used, began + max(proofTime, 2*took), true}
}

func (c *Collector) stale(p proof) bool {
	return !p.conclusive || c.Clock.Elapsed() > p.until
}

// prove lists what there is in a namespace once more, unless last still counts.
func (c *Collector) prove(ctx context.Context, namespace string, last proof) (proof, error) {
	if !c.stale(last) {
		return last, nil
	}
	began := c.Clock.Elapsed()
	counted, err := c.Census.Space(ctx, namespace)
	if err != nil {
		return proof{}, err
	}
	return c.conclude(usedIn(counted), began), nil
}

// cleanSource does what has to be done about the snapshots of a source.
func (c *Collector) cleanSource(ctx context.Context, f *family, known proof) error {
	done := map[retention.Action]int{}
	for i, verdict := range c.decide(f, known.used) {
		if verdict.Action == retention.Collect && c.stale(known) {
			continue // the next pass looks again
		}
		did, err := c.do(ctx, f.snapshots[i].Object, verdict.Action)
		if err != nil {
			return err
		}
		if did {
			done[verdict.Action]++
		}
	}
	c.tell(ctx, f, done)
	return nil
}

// do does one thing to one snapshot, and returns whether it has. If somebody else
// was quicker it hasn't: the next pass sees what they made of it.
func (c *Collector) do(ctx context.Context, object snapshot.Object, action retention.Action) (did bool, err error) {
	log := logf.FromContext(ctx).WithValues("snapshot", klog.KRef(object.Namespace, object.Name))
	if action == retention.Keep || c.Options.DryRun {
		log.V(1).Info("Decided about a snapshot", "reason", action)
		return action != retention.Keep, nil
	}
	switch action {
	case retention.Mark:
		err = c.annotate(ctx, object, c.Clock.Now().UTC().Format(time.RFC3339))
	case retention.Unmark:
		err = c.annotate(ctx, object, nil)
	case retention.Collect:
		err = c.Objects.Remove(ctx, object)
	}
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if action == retention.Collect {
		collected.Inc()
		log.Info("Deleted unused snapshot")
	}
	return true, nil
}

func (c *Collector) annotate(ctx context.Context, object snapshot.Object, mark any) error {
	annotated, err := c.Objects.Annotate(ctx, object, map[string]any{wellknown.UnusedSince: mark})
	if err == nil {
		c.seen.of(annotated, c.Clock.Elapsed())
	}
	return err
}

// tell says what was done, or would have been.
func (c *Collector) tell(ctx context.Context, f *family, done map[retention.Action]int) {
	log := logf.FromContext(ctx).WithValues("source", klog.KRef(f.key.Namespace, f.key.Name), "kind", f.key.Kind.KubernetesKind())
	count := done[retention.Collect]
	switch {
	case c.Options.DryRun && count+done[retention.Mark] > 0:
		log.Info("Would delete unused snapshots", "count", count+done[retention.Mark])
	case f.key.Kind == wellknown.Secret: // who may read Events may not know what Secrets there are
	case !c.Options.DryRun && count > 0 && f.source.Name != "":
		c.event(f.source, corev1.EventTypeNormal, wellknown.ReasonCollected,
			"Deleted snapshots that nothing names: %d; left: %d", count, len(f.snapshots)-count)
	}
}

// event records what happened to the snapshots of a source.
func (c *Collector) event(source snapshot.Object, eventType, reason, note string, args ...any) {
	c.Events.Eventf(source.Reference(), nil, eventType, reason, "Collect", note, args...)
}
