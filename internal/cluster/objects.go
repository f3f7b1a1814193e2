package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"golang.org/x/sync/semaphore"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/validate/content"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"

	"github.com/configpin/configpin/internal/hashing"
	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/wellknown"
)

// Objects reads and writes sources and snapshots, live: every read asks the API
// server for what is stored now. It is safe for concurrent use.
type Objects struct {
	Scope
	kinds   map[wellknown.Kind]access
	shared  sharing             // reads that are under way
	reading *semaphore.Weighted // of single objects; whoever has one waits for no other
	listing *semaphore.Weighted // of pages of snapshots with what they hold
}

// Contents can be a MiB each, and what is under way of one takes several times that.
const (
	// maxReading is so many that thousands of small objects are read in a second,
	// since each takes milliseconds.
	maxReading = 32

	// maxListing is small: a page of contentPage of them is for the collector, and for
	// those that another key was lost with.
	maxListing = 2
)

// NewObjects returns the Objects of scope that client reaches. Digests of Secrets
// are made with key, which returns nil until it is known; it may be nil where no
// Secrets are served.
func NewObjects(client contents, scope Scope, key func() *hashing.Key) *Objects {
	return &Objects{
		kinds: map[wellknown.Kind]access{
			wellknown.ConfigMap: configMaps(client),
			wellknown.Secret:    secrets(client, key),
		},
		Scope:   scope,
		reading: semaphore.NewWeighted(maxReading),
		listing: semaphore.NewWeighted(maxListing),
	}
}

// contents is a client of what is read with what it holds.
type contents interface {
	corev1client.ConfigMapsGetter
	corev1client.SecretsGetter
}

// Find returns an object, or false if there is none. Its maps may be shared with
// others who read it at the same time.
func (o *Objects) Find(ctx context.Context, namespace string, target refs.Target) (object snapshot.Object, found bool, err error) {
	if !Addressable(target.Name) {
		return snapshot.Object{}, false, nil
	}
	return o.shared.do(ctx, Key{namespace, target}, func(ctx context.Context) (object snapshot.Object, found bool, err error) {
		if err := o.reading.Acquire(ctx, 1); err != nil {
			return snapshot.Object{}, false, err
		}
		defer o.reading.Release(1)
		object, err = o.kinds[target.Kind].get(ctx, namespace, target.Name)
		switch {
		case apierrors.IsNotFound(err):
			return snapshot.Object{}, false, nil
		case err != nil:
			return snapshot.Object{}, false, fmt.Errorf("reading %s in %s: %w", target, namespace, err)
		}
		return object, true, nil
	})
}

// Addressable says whether anything can be called so. A template may name what
// can't, and a client may take the name for a path to somewhere else.
func Addressable(name string) bool { return name != "" && len(content.IsPathSegmentName(name)) == 0 }

// Annotate sets annotations of a snapshot, and takes those off whose value is
// nil. It returns the snapshot as it is stored then, and fails with a conflict if
// the snapshot was written since it was read.
func (o *Objects) Annotate(ctx context.Context, object snapshot.Object, annotations map[string]any) (snapshot.Object, error) {
	annotated, err := o.kinds[object.Kind].patch(ctx, object.Namespace, object.Name, annotationPatch(object.ResourceVersion, annotations))
	if err != nil {
		return snapshot.Object{}, fmt.Errorf("annotating %s %s/%s: %w", object.Kind, object.Namespace, object.Name, err)
	}
	return annotated, nil
}

// annotationPatch is a merge patch that sets annotations, or takes those off
// whose value is nil. It conflicts with every write since that resourceVersion,
// also with a deletion after which something else got the name.
func annotationPatch(resourceVersion string, annotations map[string]any) []byte {
	patch, _ := json.Marshal(map[string]any{ // strings always marshal
		"metadata": map[string]any{"resourceVersion": resourceVersion, "annotations": annotations},
	})
	return patch
}

// contentPage is how many objects are read at a time with what they hold, which can be
// a MiB each.
const contentPage = 16

// Labelled calls f with each object that is labelled as a snapshot of a source,
// with what it holds. It has to be verified: anybody can label anything.
func (o *Objects) Labelled(ctx context.Context, source Key, f func(snapshot.Object)) error {
	selector := wellknown.SnapshotOf + "=" + snapshot.LabelValue(source.Name)
	if err := o.eachContent(ctx, source.Kind, source.Namespace, selector, contentPage, f); err != nil {
		return fmt.Errorf("listing the snapshots of %s: %w", source, err)
	}
	return nil
}

// Contents calls f with each object of a kind, in one namespace or in all, whose labels
// a selector fits, with what it holds.
func (o *Objects) Contents(ctx context.Context, kind wellknown.Kind, namespace, selector string, f func(snapshot.Object)) error {
	if err := o.eachContent(ctx, kind, namespace, selector, contentsPage, f); err != nil {
		return fmt.Errorf("listing %s: %w", kind.Resource(), err)
	}
	return nil
}

const (
	// contentsPage is how many are read at a time where they turn out to be small. No
	// object holds more than 1 MiB, so a page has 128 MiB if all of a sudden they don't.
	contentsPage = 128

	// pageBytes is how much a page shall hold, then.
	pageBytes = 4 << 20
)

// eachContent reads page by page. The first is a small one; how large the others may be,
// and at most most, is judged by the one before.
func (o *Objects) eachContent(ctx context.Context, kind wellknown.Kind, namespace, selector string, most int64, f func(snapshot.Object)) error {
	options := metav1.ListOptions{LabelSelector: selector, Limit: min(contentPage, most)}
	for size, err := range paged(func(following string) (size int, next string, err error) {
		options.Continue = following
		return o.contentPage(ctx, kind, namespace, options, f)
	}) {
		if err != nil {
			return err
		}
		options.Limit = min(most, 2*options.Limit, max(contentPage, options.Limit*pageBytes/int64(size+1)))
	}
	return nil
}

func (o *Objects) contentPage(ctx context.Context, kind wellknown.Kind, namespace string, options metav1.ListOptions, f func(snapshot.Object)) (size int, following string, err error) {
	if err := o.listing.Acquire(ctx, 1); err != nil {
		return 0, "", err
	}
	defer o.listing.Release(1)
	objects, following, err := o.kinds[kind].list(ctx, namespace, options)
	for _, object := range objects {
		size += object.ContentSize()
		f(object)
	}
	return size, following, err
}

// Remove deletes a snapshot. It fails with a conflict if the snapshot was written
// since it was read, or if something else has its name.
func (o *Objects) Remove(ctx context.Context, object snapshot.Object) error {
	if err := o.kinds[object.Kind].remove(ctx, object); err != nil {
		return fmt.Errorf("deleting %s %s/%s: %w", object.Kind, object.Namespace, object.Name, err)
	}
	return nil
}

// RefusedError says that a snapshot can't be made: the cluster won't take it
// because of a quota, a policy, a webhook that is down, a namespace that is being
// deleted, and trying again at once is of no use; or it never could, which is Final.
type RefusedError struct {
	Err   error
	Final bool
}

func (e *RefusedError) Error() string { return e.Err.Error() }

// Unwrap returns what the API server said.
func (e *RefusedError) Unwrap() error { return e.Err }

// Going says whether a write failed because what it was about is deleted, most likely
// with its namespace: nobody has to do anything about that.
func Going(err error) bool {
	return apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) || apierrors.IsNotFound(err)
}

// Kept is a snapshot that is there.
type Kept struct {
	Snapshot snapshot.Object
	Created  bool

	// Taken is how many names would have come first, but something else has them.
	Taken int
}

// errTaken says that a snapshot's name is in use by something else. That is
// never repaired: kubelets go on serving what an immutable name held when they
// first read it (kubernetes/kubernetes#119733).
var errTaken = errors.New("its name is taken")

// Keep makes sure that what source holds is kept in a snapshot that isn't
// marked as unused. With dryRun it writes nothing and answers as if it had. It
// fails with a RefusedError when the cluster won't take the snapshot.
func (o *Objects) Keep(ctx context.Context, source snapshot.Object, dryRun bool) (Kept, error) {
	if err := snapshot.Keepable(source); err != nil {
		return Kept{}, &RefusedError{Err: err, Final: true}
	}
	var kept Kept
	for _, length := range snapshot.Lengths {
		want := snapshot.Of(source, length)
		found, created, err := o.ensure(ctx, want, dryRun)
		if errors.Is(err, errTaken) {
			kept.Taken++
			continue
		}
		if err != nil {
			return Kept{}, fmt.Errorf("keeping %s %s/%s as %q: %w", source.Kind, source.Namespace, source.Name, want.Name, err)
		}
		kept.Snapshot, kept.Created = found, created
		return kept, nil
	}
	return Kept{}, &RefusedError{Err: fmt.Errorf("keeping %s %s/%s: something else has each name that its snapshot could have",
		source.Kind, source.Namespace, source.Name)}
}

// ensure reads before it creates: a snapshot is made once and pinned many
// times. When somebody else creates it in between, the second round reads it;
// when it vanishes in between, the second round creates it.
func (o *Objects) ensure(ctx context.Context, want snapshot.Object, dryRun bool) (found snapshot.Object, created bool, err error) {
	target := refs.Target{Kind: want.Kind, Name: want.Name}
	for range maxTries {
		found, exists, err := o.Find(ctx, want.Namespace, target)
		switch {
		case err != nil:
			return snapshot.Object{}, false, err
		case exists && (found.Terminating || !snapshot.Same(found, want)):
			return snapshot.Object{}, false, errTaken
		case exists:
			var there bool
			there, err = o.Unmark(ctx, found, dryRun)
			if there && err == nil {
				return found, false, nil
			}
		case dryRun:
			return want, true, nil
		default:
			found, err = o.kinds[want.Kind].create(ctx, want)
			if err == nil {
				return found, true, nil
			}
		}
		switch {
		case err == nil, apierrors.IsAlreadyExists(err), apierrors.IsConflict(err):
		case refused(err):
			return snapshot.Object{}, false, &RefusedError{Err: err}
		default:
			return snapshot.Object{}, false, err
		}
	}
	return snapshot.Object{}, false, fmt.Errorf("%s in %s comes and goes", target, want.Namespace)
}

// refused says whether the API server answers that it won't take an object, itself or
// because of what it asks first. A webhook that is down, and has requests fail with it,
// comes as an internal error; one that has a trouble of its own says so with any code.
// What is left is an API server that doesn't know yet who asks, or is too busy: that
// says nothing about the object.
func refused(err error) bool {
	var answer apierrors.APIStatus
	if !errors.As(err, &answer) {
		return false
	}
	switch code := answer.Status().Code; code {
	case http.StatusUnauthorized, http.StatusRequestTimeout, http.StatusTooManyRequests:
		return false
	default:
		return code >= http.StatusBadRequest && code <= http.StatusInternalServerError
	}
}

// maxTries is how often something is tried again that somebody else was quicker
// at. Whoever is, has done it for us or makes the next try the last.
const maxTries = 3

// Unmark takes the mark of the garbage collector off a snapshot, if it has one.
// It reports whether the snapshot is still there.
func (o *Objects) Unmark(ctx context.Context, object snapshot.Object, dryRun bool) (there bool, err error) {
	for range maxTries {
		if _, marked := object.Annotations[wellknown.UnusedSince]; !marked || dryRun {
			return true, nil
		}
		_, err = o.Annotate(ctx, object, map[string]any{wellknown.UnusedSince: nil})
		if !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
			return true, err
		}
		found, exists, readErr := o.Find(ctx, object.Namespace, refs.Target{Kind: object.Kind, Name: object.Name})
		if readErr != nil || !exists || !snapshot.Same(found, object) {
			return false, readErr
		}
		object = found
	}
	return true, err
}
