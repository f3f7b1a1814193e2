package rollout

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/pin"
	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/workload"
)

// deployment is one workload, which admission pins, or doesn't.
type deployment struct {
	full     bool // its template has no room
	t        *testing.T
	manual   bool
	names    string // what its template names
	live     string // what admission pins it to; empty while it is away
	reverted bool   // something changes back what admission pins
	err      error  // what a touch fails with
	touches  int

	behind  string // what the watch has seen that the template names, if that is another
	version int    // of what is stored, and of what the watch has seen
	seen    int
}

func (d *deployment) object() workload.Object {
	pins, labels := "", `"configpin.io/enabled": "true"`
	if d.names != "app" {
		pins = "configmap/app=" + d.names
		labels += fmt.Sprintf(`, "observed.configpin.io/configmap.app": %q`, d.names[4:])
	}
	own := ""
	if d.full {
		own = strings.Repeat("x", 256<<10)
	}
	if d.manual {
		labels += `, "configpin.io/rollout": "manual"`
	}
	object, err := web.Kind.Read(fmt.Sprintf(`{"metadata": {"name": "web", "namespace": "shop", "labels": {%s}}, "spec": {"template": {
		"metadata": {"annotations": {"configpin.io/pins": %q, "own": %q}},
		"spec": {"volumes": [{"configMap": {"name": %q}}]}}}}`, labels, pins, own, d.names))
	require.NoError(d.t, err)
	return object
}

func (d *deployment) All() []cluster.Workload                { return []cluster.Workload{web} }
func (d *deployment) Synced() bool                           { return true }
func (d *deployment) UsedBy(cluster.Key) []cluster.Workload  { return []cluster.Workload{web} }
func (d *deployment) Sources(cluster.Workload) []cluster.Key { return []cluster.Key{source("app")} }

func (d *deployment) Object(of cluster.Workload) (workload.Object, types.UID, bool) {
	if d.behind != "" {
		return (&deployment{t: d.t, names: d.behind}).object(), "1", of == web
	}
	return d.object(), "1", of == web
}

func (d *deployment) ResourceVersion(cluster.Workload) string { return strconv.Itoa(10 + d.seen) }

func (d *deployment) Touch(context.Context, cluster.Workload) (cluster.Touched, error) {
	d.touches++
	touched := cluster.Touched{}
	if d.err == nil && d.live != "" {
		touched.Warnings = []string{"configmap/app: pinned to " + d.live}
		if !d.reverted {
			d.names = d.live
		}
	}
	d.version++
	touched.Object, touched.ResourceVersion = d.object(), strconv.Itoa(10+d.version)
	if d.behind == "" {
		d.seen = d.version
	}
	return touched, d.err
}

func (d *deployment) Release(ctx context.Context, of cluster.Workload, _ bool) (cluster.Touched, error) {
	return d.Touch(ctx, of)
}

func (d *deployment) Scope() []string { return nil }

func (d *deployment) OptedIn(context.Context) (namespaces, unknown []string, err error) {
	return nil, nil, nil
}

func (d *deployment) Unstamped(context.Context, string) ([]cluster.Workload, error) { return nil, nil }

func (d *deployment) LeftPinned(context.Context, string) ([]cluster.Workload, error) { return nil, nil }

// current is the snapshot of what the one source holds; empty while that isn't
// known.
type current string

func (c current) Synced() bool { return true }

func (c current) Metadata(cluster.Key) (snapshot.Object, bool) { return snapshot.Object{}, false }

func (c current) Holds(key cluster.Key, suffix string) bool {
	return key.Name == "app" && c != "" && strings.HasPrefix(strings.TrimPrefix(string(c), "app-"), suffix)
}

func (c current) Exists(context.Context, cluster.Key) (bool, error) { return false, nil }

func (c current) Tell(_ string, of *pin.Case) map[refs.Target]bool {
	app := refs.Target{Kind: "configmap", Name: "app"}
	_ = of.Ask(func(targets []refs.Target) (pin.Facts, error) {
		facts := pin.Facts{}
		for _, target := range targets {
			facts[target] = pin.Fact{Role: pin.Snapshot, Of: "app", Digest: target.Name}
			if strings.HasPrefix(target.Name, "app-gone") {
				facts[target] = pin.Fact{Role: pin.Absent}
			}
		}
		facts[app] = pin.Fact{Role: pin.Source, Current: string(c), Digest: string(c)}
		return facts, nil
	})
	if c == "" {
		return map[refs.Target]bool{app: true}
	}
	return nil
}

func TestReconcile(t *testing.T) {
	forbidden := apierrors.NewForbidden(schema.GroupResource{Resource: "deployments"}, "web", errors.New("policy"))
	notFound := apierrors.NewNotFound(schema.GroupResource{Resource: "deployments"}, "web")
	for _, test := range []struct {
		name       string
		deployment deployment
		current    current
		changed    bool // just now
		reconciles int
		touches    int
		requeue    time.Duration
		events     []string
		err        error
	}{
		{
			name:       "one that is right isn't touched",
			deployment: deployment{names: "app-1", live: "app-1"}, current: "app-1",
		},
		{
			name:       "one that is behind is touched, once",
			deployment: deployment{names: "app-1", live: "app-2"}, current: "app-2", reconciles: 2,
			touches: 1,
		},
		{
			name:       "one that was never pinned is",
			deployment: deployment{names: "app", live: "app-1"}, current: "app-1",
			touches: 1,
		},
		{
			name:       "it waits until its sources are quiet",
			deployment: deployment{names: "app-1", live: "app-2"}, current: "app-2", changed: true,
			requeue: time.Hour,
		},
		{
			name:       "it waits until it is known what its sources hold",
			deployment: deployment{names: "app-1"},
			requeue:    time.Second,
		},
		{
			name:       "it waits for that longer and longer",
			deployment: deployment{names: "app-1"}, reconciles: 5,
			requeue: 16 * time.Second,
		},
		{
			name:       "it never waits for that longer than a minute",
			deployment: deployment{names: "app-1"}, reconciles: 20,
			requeue: time.Minute,
		},
		{
			name:       "a snapshot that is gone isn't told of while it may be the current one",
			deployment: deployment{names: "app-gone"},
			requeue:    time.Second,
		},
		{
			name:       "one that rolled but is behind again, because a source changed, isn't called unanswered",
			deployment: deployment{names: "app-1", live: "app-2"}, current: "app-3",
			touches: 1, requeue: time.Hour,
		},
		{
			name:       "a touch that changes nothing is tried again, later and later, and is told",
			deployment: deployment{names: "app-1"}, current: "app-2", reconciles: 4,
			touches: 4, requeue: 8 * time.Second,
			events: []string{"Warning TouchUnanswered It is behind its sources, and sending it through admission changes nothing: is the configpin webhook reachable, and does nothing undo its answers?"},
		},
		{
			name:       "one whose pins its template has no room for is told so",
			deployment: deployment{names: "app", full: true}, current: "app-2", reconciles: 3,
			touches: 3, requeue: 4 * time.Second,
			events: []string{"Warning PinConflict It is behind its sources, and something is in the way of pinning it: its template's annotations have 262183 bytes with its pins, more than 262144"},
		},
		{
			name:       "one that something changes back isn't touched without end, and is told",
			deployment: deployment{names: "app-1", live: "app-2", reverted: true}, current: "app-2", reconciles: 4,
			touches: 4, requeue: 8 * time.Second,
			events: []string{"Warning PinConflict It is behind its sources, and something is in the way of pinning it: another webhook or a MutatingAdmissionPolicy changes back what admission answers (kubectl get mutatingwebhookconfigurations)"},
		},
		{
			name:       "one whose touches are refused is tried again, later and later, and is told",
			deployment: deployment{names: "app-1", err: fmt.Errorf("touching: %w", forbidden)}, current: "app-2", reconciles: 4,
			touches: 4, requeue: 8 * time.Second,
			events: []string{`Warning PinConflict It is behind its sources, and something is in the way of pinning it: touching: deployments "web" is forbidden: policy`},
		},
		{
			name:       "one that a webhook refuses by its default code is told of too",
			deployment: deployment{names: "app-1", err: fmt.Errorf("touching: %w", apierrors.NewBadRequest("no"))}, current: "app-2", reconciles: 3,
			touches: 3, requeue: 4 * time.Second,
			events: []string{"Warning PinConflict It is behind its sources, and something is in the way of pinning it: touching: no"},
		},
		{
			name:       "one that can't be written without admission waits for it, and is told",
			deployment: deployment{names: "app-1", err: fmt.Errorf("touching: %w", apierrors.NewInternalError(errors.New("failed calling webhook")))}, current: "app-2", reconciles: 3,
			touches: 3, requeue: 4 * time.Second,
			events: []string{"Warning PinConflict It is behind its sources, and something is in the way of pinning it: touching: Internal error occurred: failed calling webhook"},
		},
		{
			name:       "one that names a snapshot that is gone isn't touched, and is told once",
			deployment: deployment{names: "app-gone", manual: true}, current: "app-2", reconciles: 2,
			events: []string{"Warning SnapshotMissing A snapshot that it names is gone, so new Pods can't start: configmap/app-gone; to use what the source holds now, label the deployment configpin.io/resume=true"},
		},
		{
			name:       "one that is gone is forgotten",
			deployment: deployment{names: "app-1", err: fmt.Errorf("touching: %w", notFound)}, current: "app-2",
			touches: 1,
		},
		{
			name:       "a touch that fails is an error",
			deployment: deployment{names: "app-1", err: errors.New("trouble")}, current: "app-2",
			touches: 1, err: errors.New("trouble"),
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.deployment.t = t
			recorder := events.NewFakeRecorder(10)
			r := New(Options{Settle: time.Hour, SettleMax: time.Hour, Burst: 3, Every: time.Minute}, &test.deployment, test.current, recorder)
			if test.changed {
				r.SourceChanged(source("app"))
			}
			for range max(0, test.reconciles-1) {
				_, err := r.Reconcile(t.Context(), web)
				assert.Equal(t, test.err, err)
			}
			result, err := r.Reconcile(t.Context(), web)
			assert.Equal(t, test.err, err)
			assert.InDelta(t, test.requeue.Seconds(), result.RequeueAfter.Seconds(), 0.9)
			assert.Equal(t, test.touches, test.deployment.touches)
			assert.Equal(t, test.events, drain(recorder))
		})
	}
}

// TestFlaps: a source that never rests can roll a workload a few times, and
// then once in a while.
func TestFlaps(t *testing.T) {
	d := &deployment{t: t, names: "app-0"}
	recorder := events.NewFakeRecorder(10)
	var r *Rollout
	for i := range 10 {
		live := fmt.Sprintf("app-%d", i+1)
		d.live = live
		next := New(Options{Burst: 3, Every: time.Minute}, d, current(live), recorder)
		if r != nil {
			next.records.all = r.records.all
		}
		r = next
		result, err := r.Reconcile(t.Context(), web)
		require.NoError(t, err)
		if i < 3 {
			assert.Zero(t, result.RequeueAfter)
		} else {
			assert.InDelta(t, time.Minute.Seconds(), result.RequeueAfter.Seconds(), 10)
		}
	}
	assert.Equal(t, 3, d.touches)
	told := drain(recorder)
	assert.Equal(t, []string{"Warning RolloutsDamped Its sources change faster than it may roll out: at most one rollout per 1m0s from now on"}, told)
}

// TestATouchIsWaitedFor: whoever is told of a change before the watch has seen what the last
// touch made of the workload doesn't touch it again, which would count as one more rollout.
func TestATouchIsWaitedFor(t *testing.T) {
	d := &deployment{t: t, names: "app-1", behind: "app-1", live: "app-2"}
	r := New(Options{Burst: 1, Every: time.Minute}, d, current("app-2"), events.NewFakeRecorder(1))
	for _, pause := range []time.Duration{0, time.Second, 2 * time.Second} {
		result, err := r.Reconcile(t.Context(), web)
		require.NoError(t, err)
		assert.Equal(t, pause, result.RequeueAfter)
	}
	assert.Equal(t, 1, d.touches)
	assert.InDelta(t, 1, missing(r), 0.1, "one rollout was counted")

	d.behind, d.seen = "", d.version
	result, err := r.Reconcile(t.Context(), web)
	require.NoError(t, err)
	assert.Zero(t, result)
	assert.Equal(t, 1, d.touches)
	assert.Equal(t, &record{limiter: r.records.all[web].limiter}, r.records.all[web])
}

// missing is how many rollouts a workload has had of those that it may have at once.
func missing(r *Rollout) float64 {
	return float64(r.options.Burst) - r.records.all[web].limiter.Tokens()
}

func TestPruneForgetsWhatIsFull(t *testing.T) {
	d := &deployment{t: t, names: "app-1", live: "app-2"}
	r := New(Options{Burst: 1, Every: time.Nanosecond}, d, current("app-2"), events.NewFakeRecorder(1))
	_, err := r.Reconcile(t.Context(), web)
	require.NoError(t, err)
	assert.NotNil(t, r.records.all[web].limiter)
	r.prune()
	assert.Nil(t, r.records.all[web].limiter)
	r.forget(web)
	assert.Empty(t, r.records.all)
}

func drain(recorder *events.FakeRecorder) []string {
	var told []string
	for {
		select {
		case event := <-recorder.Events:
			told = append(told, event)
		default:
			return told
		}
	}
}

// TestAnOutageHidesNoConflict: what is in the way after an outage is told of, too.
func TestAnOutageHidesNoConflict(t *testing.T) {
	d := &deployment{t: t, names: "app-1"}
	recorder := events.NewFakeRecorder(10)
	r := New(Options{Burst: 3, Every: time.Minute}, d, current("app-2"), recorder)
	for try := range 10 {
		if try == 5 {
			d.live, d.reverted = "app-2", true
		}
		_, err := r.Reconcile(t.Context(), web)
		require.NoError(t, err)
	}
	told := drain(recorder)
	require.Len(t, told, 2)
	assert.Contains(t, told[0], "TouchUnanswered")
	assert.Contains(t, told[1], "PinConflict")
}
