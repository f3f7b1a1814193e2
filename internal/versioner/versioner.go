// Package versioner keeps every content of every source: when a source changes
// it makes the snapshot, numbers it, and says so. It is level-triggered: what
// happened while it was away it sees at its start.
//
// It deliberately knows nothing of workloads. Who uses a source is told that it
// changed (Changed), and everything else is somebody else's work.
package versioner

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/events"
	"k8s.io/klog/v2"
	logf "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/cluster/watch"
	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/retention"
	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/wellknown"
)

// Versioner reconciles sources. Two of them at once do no harm: every write is
// safe to repeat.
type Versioner struct {
	Objects objects
	Sources sources
	Events  events.EventRecorder

	// Changed is called when a source holds something else than before, or
	// isn't a source any more.
	Changed func(cluster.Key)

	// PinnedFor returns how many workloads are pinned for a source, if that is known.
	PinnedFor func(cluster.Key) (count int, known bool)

	Options Options

	feed watch.Feed[cluster.Key]
	pace pace

	mutex    sync.Mutex
	numbered map[cluster.Key]string // the UID of the snapshot that has the highest revision
	frozen   map[cluster.Key]bool   // sources that aren't versioned any more, of which that was told
}

type objects interface {
	Find(ctx context.Context, namespace string, target refs.Target) (object snapshot.Object, found bool, err error)
	Keep(ctx context.Context, source snapshot.Object, dryRun bool) (cluster.Kept, error)
	Annotate(ctx context.Context, object snapshot.Object, annotations map[string]any) (snapshot.Object, error)
	Labelled(ctx context.Context, source cluster.Key, f func(snapshot.Object)) error
}

type sources interface {
	All() []snapshot.Object
	Synced() bool
	Metadata(key cluster.Key) (snapshot.Object, bool)
	KnownSnapshots(source cluster.Key) []snapshot.Object
	Snapshots(ctx context.Context, source cluster.Key) ([]snapshot.Object, error)
	SetCurrent(source cluster.Key, current watch.Current) (news bool)
	Current(source cluster.Key) (watch.Current, bool)
	Forget(source cluster.Key) (news bool)
	ForgetDigests()
	Unread(object snapshot.Object) bool
	SetRead(object snapshot.Object)
}

// Feed is where the keys to reconcile come from.
func (v *Versioner) Feed() *watch.Feed[cluster.Key] {
	v.feed.Begin = func(ctx context.Context, add func(cluster.Key)) error {
		if err := watch.WaitSynced(ctx, v.Sources.Synced); err != nil {
			return err
		}
		for _, object := range v.Sources.All() {
			if versioned, _ := snapshot.Versioned(object); versioned || v.wasVersioned(object) {
				add(keyOf(object))
			}
		}
		return nil
	}
	return &v.feed
}

// Observe takes note of an object that came, changed or went.
func (v *Versioner) Observe(object snapshot.Object) {
	key := keyOf(object)
	_, there := v.Sources.Metadata(key)
	if source, digest, claimed := snapshot.Claimed(object); claimed {
		key.Name = source
		if !there {
			v.missed(key, digest)
		} else if v.Sources.Unread(object) || v.outnumbered(key, object) {
			v.feed.AddAfter(key, 0)
		}
		return
	}
	if !there {
		v.thaw(key)
	}
	versioned, invalid := snapshot.Versioned(object)
	if _, known := v.Sources.Current(key); known || versioned || invalid != "" {
		v.feed.AddAfter(key, 0)
	}
}

// missed takes note that a snapshot went: if it was the current one it has to be
// made again, and if there was no room for that, there may be some now.
func (v *Versioner) missed(source cluster.Key, digest string) {
	current, known := v.Sources.Current(source)
	if !known || current.Digest == "" || current.Digest == digest {
		v.feed.AddAfter(source, 0)
	}
}

// outnumbered says whether the current snapshot of a source has a number that isn't
// the highest any more, since a snapshot came or changed: somebody brings older ones
// back, as out of a backup. One that has none is about to get it.
func (v *Versioner) outnumbered(source cluster.Key, seen snapshot.Object) bool {
	current, known := v.Sources.Current(source)
	if !known || current.Name == "" {
		return false
	}
	object, there := v.Sources.Metadata(cluster.Key{Namespace: source.Namespace, Target: refs.Target{Kind: source.Kind, Name: current.Name}})
	if !there || snapshot.Revision(object) == 0 {
		return false
	}
	revision, others := snapshot.Revision(object), snapshot.Revision(seen)
	if seen.Name == object.Name {
		revision, others = revisions(v.Sources.KnownSnapshots(source), object.UID)
	}
	if isHighest(revision, others) {
		return false
	}
	v.mutex.Lock()
	defer v.mutex.Unlock()
	delete(v.numbered, source)
	return true
}

// KeyChanged takes note that digests of Secrets are made with another key.
func (v *Versioner) KeyChanged() {
	v.Sources.ForgetDigests()
	for _, object := range v.Sources.All() {
		if versioned, _ := snapshot.Versioned(object); versioned && object.Kind == wellknown.Secret {
			v.feed.AddAfter(keyOf(object), 0)
		}
	}
}

func keyOf(object snapshot.Object) cluster.Key {
	return cluster.Key{Namespace: object.Namespace, Target: refs.Target{Kind: object.Kind, Name: object.Name}}
}

// Reconcile makes sure that what a source holds is kept and numbered.
func (v *Versioner) Reconcile(ctx context.Context, key cluster.Key) (reconcile.Result, error) {
	source, found, err := v.Objects.Find(ctx, key.Namespace, key.Target)
	if err != nil {
		return reconcile.Result{}, err
	}
	versioned, invalid := snapshot.Versioned(source)
	if invalid != "" {
		v.invalid(source, wellknown.Versioned, `"true" or "false"`, "nothing is kept")
	}
	if !found {
		v.thaw(key)
		v.forget(key)
		return reconcile.Result{}, nil
	}
	if !versioned {
		v.forget(key)
		return v.tellFrozen(key, source), nil
	}
	v.thaw(key)
	if _, understood := retention.Limit(source.Annotations[wellknown.HistoryLimit], 0); !understood {
		v.invalid(source, wellknown.HistoryLimit, "a number from 0 up", "all its snapshots are retained")
	}
	if err := v.read(ctx, key); err != nil {
		return reconcile.Result{}, err
	}
	if wait := v.wait(key, source); wait > 0 {
		return reconcile.Result{RequeueAfter: wait}, nil
	}
	kept, err := v.keep(ctx, key, source)
	if refused := (*cluster.RefusedError)(nil); errors.As(err, &refused) && refused.Final || cluster.Going(err) {
		return reconcile.Result{}, nil
	}
	if err != nil {
		return reconcile.Result{}, err
	}
	if kept.Created {
		v.pace.spend(v.Options, key, time.Now())
	}
	v.setCurrent(key, watch.Current{Name: kept.Snapshot.Name, Digest: source.Digest(source.Name).String()})
	err = v.number(ctx, key, source, kept)
	if cluster.Going(err) { // the watch tells that it went, and then it is made again
		return reconcile.Result{}, nil
	}
	return reconcile.Result{}, err
}

// wait is how long what a source holds has to wait to be kept, because it changes
// too fast. Those who use it needn't: admission keeps what it pins them to.
func (v *Versioner) wait(key cluster.Key, source snapshot.Object) time.Duration {
	wait, news := v.pace.wait(v.Options, key, time.Now())
	if wait == 0 {
		return 0
	}
	would := snapshot.Of(source, snapshot.Lengths[0])
	if _, there := v.Sources.Metadata(keyOf(would)); there {
		return 0
	}
	v.setCurrent(key, watch.Current{Name: would.Name, Digest: would.Annotations[wellknown.Digest]})
	if news {
		v.event(source, corev1.EventTypeWarning, wellknown.ReasonSnapshotsDamped,
			"It changes faster than its contents are kept: at most one per %s from now on", v.Options.Every)
	}
	return wait
}

func (v *Versioner) setCurrent(source cluster.Key, current watch.Current) {
	if v.Sources.SetCurrent(source, current) {
		v.Changed(source)
	}
}

func (v *Versioner) forget(key cluster.Key) {
	v.mutex.Lock()
	delete(v.numbered, key)
	v.mutex.Unlock()
	if v.Sources.Forget(key) {
		v.Changed(key)
	}
}

func (v *Versioner) keep(ctx context.Context, key cluster.Key, source snapshot.Object) (cluster.Kept, error) {
	kept, err := v.Objects.Keep(ctx, source, false)
	if cluster.Going(err) {
		v.setCurrent(key, watch.Current{})
		return kept, err
	}
	if refused := (*cluster.RefusedError)(nil); errors.As(err, &refused) {
		why := err
		if source.Kind == wellknown.Secret { // the rest has its digest in it
			why = refused
		}
		v.event(source, corev1.EventTypeWarning, wellknown.ReasonSnapshotFailed, "Nothing is pinned to what it holds now: %v", why)
		v.setCurrent(key, watch.Current{})
	}
	if err != nil {
		return kept, err
	}
	if kept.Created {
		logf.FromContext(ctx).Info("Created snapshot", "snapshot", klog.KRef(key.Namespace, kept.Snapshot.Name))
	}
	return kept, nil
}

// read reads the snapshots of a source of which it can't be told from their metadata
// whether they are what it holds.
func (v *Versioner) read(ctx context.Context, key cluster.Key) error {
	if key.Kind != wellknown.Secret || !slices.ContainsFunc(v.Sources.KnownSnapshots(key), v.Sources.Unread) {
		return nil
	}
	if err := v.Objects.Labelled(ctx, key, v.Sources.SetRead); err != nil {
		return err
	}
	v.Changed(key) // those who are pinned to one of them wait to be told whether it is that
	return nil
}

// number gives the current snapshot the highest revision of its source, and has its
// change-cause follow that of the source from then on. It believes the watch when that
// says that nothing is to be done, and reads before it writes.
func (v *Versioner) number(ctx context.Context, key cluster.Key, source snapshot.Object, kept cluster.Kept) error {
	v.mutex.Lock()
	done := v.numbered[key] == kept.Snapshot.UID
	v.mutex.Unlock()
	if done || isHighest(revisions(v.Sources.KnownSnapshots(key), kept.Snapshot.UID)) {
		v.setNumbered(key, kept.Snapshot)
		return v.follow(ctx, key, source, kept.Snapshot)
	}
	if err := v.renumber(ctx, key, source, kept); err != nil {
		return err
	}
	v.setNumbered(key, kept.Snapshot)
	return nil
}

func (v *Versioner) setNumbered(key cluster.Key, current snapshot.Object) {
	v.mutex.Lock()
	defer v.mutex.Unlock()
	if v.numbered == nil {
		v.numbered = map[cluster.Key]string{}
	}
	v.numbered[key] = current.UID
}

func (v *Versioner) renumber(ctx context.Context, key cluster.Key, source snapshot.Object, kept cluster.Kept) error {
	listed, err := v.Sources.Snapshots(ctx, key)
	if err != nil {
		return err
	}
	revision, others := revisions(listed, kept.Snapshot.UID)
	if isHighest(revision, others) {
		return v.follow(ctx, key, source, kept.Snapshot)
	}
	revision = min(others+1, snapshot.MaxRevision)
	annotations := map[string]any{wellknown.Revision: strconv.Itoa(revision)}
	maps.Copy(annotations, snapshot.Began(kept.Snapshot, source, newest(listed, kept.Snapshot.UID)))
	if _, err := v.Objects.Annotate(ctx, kept.Snapshot, annotations); err != nil {
		return fmt.Errorf("numbering revision %d of %s: %w", revision, key, err)
	}
	v.tell(source, kept, revision)
	return nil
}

// follow writes on the current snapshot what somebody said of it since.
func (v *Versioner) follow(ctx context.Context, key cluster.Key, source, current snapshot.Object) error {
	annotations := snapshot.Follows(current, source)
	if len(annotations) == 0 {
		return nil
	}
	if _, err := v.Objects.Annotate(ctx, current, annotations); err != nil {
		return fmt.Errorf("writing the change-cause of %s: %w", key, err)
	}
	return nil
}

// tell says that a content is kept. Who may read Events isn't to learn what Secrets
// there are, nor, by a name, when one holds again what it held before.
func (v *Versioner) tell(source snapshot.Object, kept cluster.Kept, revision int) {
	if kept.Taken > 0 {
		v.event(source, corev1.EventTypeWarning, wellknown.ReasonNameTaken, "Something else has the name of its snapshot, which is kept under a longer one")
	}
	if source.Kind != wellknown.Secret {
		v.event(source, corev1.EventTypeNormal, wellknown.ReasonSnapshotted, "Revision %d is kept as %s", revision, kept.Snapshot.Name)
	}
}

func isHighest(revision, others int) bool {
	return revision > others || revision == snapshot.MaxRevision
}

// newest is the snapshot with the highest revision but for the one with uid: what was
// current before that. It is zero where none is numbered.
func newest(snapshots []snapshot.Object, uid string) (found snapshot.Object) {
	for _, object := range snapshots {
		if object.UID != uid && snapshot.Revision(object) > snapshot.Revision(found) {
			found = object
		}
	}
	return found
}

// revisions returns the revision of the snapshot with uid, and the highest of all
// others. One that was deleted and made again has the same name, but no revision
// yet. A revision that nobody can read counts as 0.
func revisions(snapshots []snapshot.Object, uid string) (of, others int) {
	for _, object := range snapshots {
		if object.UID == uid {
			of = snapshot.Revision(object)
		} else {
			others = max(others, snapshot.Revision(object))
		}
	}
	return of, others
}

// invalid tells of an annotation that nobody understands: what it could say, and
// what follows.
func (v *Versioner) invalid(source snapshot.Object, key, values, consequence string) {
	v.event(source, corev1.EventTypeWarning, wellknown.ReasonInvalidValue,
		"Annotation %s is %q, not %s: %s", key, source.Annotations[key], values, consequence)
}

// event records what happened on a source.
func (v *Versioner) event(source snapshot.Object, eventType, reason, note string, args ...any) {
	v.Events.Eventf(source.Reference(), nil, eventType, reason, "Snapshot", note, args...)
}
