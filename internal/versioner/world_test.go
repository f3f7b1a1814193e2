package versioner_test

import (
	"context"
	"fmt"
	"strconv"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"

	"github.com/stretchr/testify/require"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/cluster/watch"
	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/versioner"
	"github.com/configpin/configpin/internal/wellknown"
)

var app = cluster.Key{Namespace: "shop", Target: refs.Target{Kind: wellknown.ConfigMap, Name: "app"}}

// world is a cluster with one source, as its API server and its watches tell.
type world struct {
	all              []snapshot.Object // as the watch sees them
	pinned           int               // workloads
	workloadsUnknown bool

	source    *snapshot.Object
	unseen    bool // the watch hasn't got it
	snapshots map[string]snapshot.Object
	current   map[cluster.Key]watch.Current
	read      map[string]bool // by UID
	stale     bool            // the watch has seen no snapshot
	refuses   error
	taken     int
	vanishes  bool // snapshots do, before they are annotated
	made      int
	writes    int
	changed   int
}

func holding(colour string) *snapshot.Object {
	return &snapshot.Object{
		Kind: wellknown.ConfigMap, Namespace: "shop", Name: "app", UID: "1",
		Annotations: map[string]string{wellknown.Versioned: "true"},
		Data:        map[string]string{"colour": colour},
	}
}

func (w *world) Find(context.Context, string, refs.Target) (snapshot.Object, bool, error) {
	if w.source == nil {
		return snapshot.Object{}, false, nil
	}
	return *w.source, true, nil
}

func (w *world) Keep(_ context.Context, source snapshot.Object, _ bool) (cluster.Kept, error) {
	if w.refuses != nil {
		return cluster.Kept{}, w.refuses
	}
	made := snapshot.Of(source, 12)
	if kept, there := w.snapshots[made.Name]; there {
		return cluster.Kept{Snapshot: kept, Taken: w.taken}, nil
	}
	w.writes++
	w.made++
	made.UID = "snapshot-" + strconv.Itoa(w.made)
	w.snapshots[made.Name] = made
	return cluster.Kept{Snapshot: made, Created: true, Taken: w.taken}, nil
}

func (w *world) Annotate(_ context.Context, object snapshot.Object, annotations map[string]any) (snapshot.Object, error) {
	w.writes++
	if w.vanishes {
		delete(w.snapshots, object.Name)
		return snapshot.Object{}, fmt.Errorf("annotating: %w", apierrors.NewNotFound(schema.GroupResource{Resource: "configmaps"}, object.Name))
	}
	for key, value := range annotations {
		if value == nil {
			delete(w.snapshots[object.Name].Annotations, key)
		} else {
			w.snapshots[object.Name].Annotations[key] = value.(string)
		}
	}
	return w.snapshots[object.Name], nil
}

func (w *world) Labelled(_ context.Context, _ cluster.Key, f func(snapshot.Object)) error {
	for _, object := range w.snapshots {
		f(object)
	}
	return nil
}

func (w *world) Unread(object snapshot.Object) bool {
	return object.Kind == wellknown.Secret && snapshot.Rekeyed(object, w.source.Key) && !w.read[object.UID]
}

func (w *world) SetRead(object snapshot.Object) { w.read[object.UID] = true }

func (w *world) ForgetDigests() { clear(w.current) }

func (w *world) Synced() bool { return true }

func (w *world) All() []snapshot.Object { return w.all }

func (w *world) Metadata(key cluster.Key) (snapshot.Object, bool) {
	if key == app && w.source != nil && !w.unseen {
		return *w.source, true
	}
	found, there := w.snapshots[key.Name]
	return found, there
}

func (w *world) Snapshots(context.Context, cluster.Key) ([]snapshot.Object, error) {
	var all []snapshot.Object
	for _, object := range w.snapshots {
		all = append(all, object)
	}
	return all, nil
}

func (w *world) KnownSnapshots(source cluster.Key) []snapshot.Object {
	if w.stale {
		return nil
	}
	all, _ := w.Snapshots(context.Background(), source)
	return all
}

func (w *world) SetCurrent(source cluster.Key, current watch.Current) bool {
	have, known := w.current[source]
	news := !known || have != current
	w.current[source] = current
	return news
}

func (w *world) Current(source cluster.Key) (watch.Current, bool) {
	current, known := w.current[source]
	return current, known
}

func (w *world) Forget(source cluster.Key) bool {
	_, known := w.current[source]
	delete(w.current, source)
	return known
}

func (w *world) revision(colour string) int {
	made, there := w.snapshots[snapshot.Of(*holding(colour), 12).Name]
	if !there {
		return 0
	}
	revision, _ := strconv.Atoi(made.Annotations[wellknown.Revision])
	return revision
}

func newWorld() *world {
	return &world{read: map[string]bool{}, snapshots: map[string]snapshot.Object{}, current: map[cluster.Key]watch.Current{}}
}

// start returns a versioner of the world, as a new process would be.
func (w *world) start(recorder *events.FakeRecorder) *versioner.Versioner {
	w.current = map[cluster.Key]watch.Current{}
	return &versioner.Versioner{
		Objects: w, Sources: w, Events: recorder,
		Changed:   func(cluster.Key) { w.changed++ },
		PinnedFor: func(cluster.Key) (int, bool) { return w.pinned, !w.workloadsUnknown },
	}
}

// keepAs puts a snapshot there as somebody does who has it from elsewhere.
func (w *world) keepAs(colour string, revision int) snapshot.Object {
	made := snapshot.Of(*holding(colour), 12)
	made.UID = "from-elsewhere-" + colour
	made.Annotations[wellknown.Revision] = strconv.Itoa(revision)
	w.snapshots[made.Name] = made
	return made
}

// leading is the queue of a versioner that begins to lead.
func leading(t *testing.T, v *versioner.Versioner) workqueue.TypedRateLimitingInterface[cluster.Key] {
	t.Helper()
	queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[cluster.Key]())
	t.Cleanup(queue.ShutDown)
	require.NoError(t, v.Feed().Start(t.Context(), queue))
	return queue
}
