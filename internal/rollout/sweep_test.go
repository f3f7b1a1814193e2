package rollout

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/client-go/tools/events"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/cluster/watch"
	"github.com/configpin/configpin/internal/wellknown"
	"github.com/configpin/configpin/internal/workload"
)

// fleet is workloads without a label, in namespaces that opt in and others.
type fleet struct {
	*deployment
	optedIn    []string
	unknown    []string // namespaces that can't be asked
	workloads  []cluster.Workload
	unlistable map[string]bool // namespaces
	away       bool            // admission
	broken     map[string]bool // workloads that nothing becomes of
	touched    []string
	stored     bool // what has admission release a workload was written in vain
	looked     []string
}

func newFleet(names ...string) *fleet {
	f := &fleet{deployment: &deployment{}, unlistable: map[string]bool{}, broken: map[string]bool{}}
	for _, name := range names {
		namespace, name, _ := strings.Cut(name, "/")
		f.workloads = append(f.workloads, cluster.Workload{Kind: web.Kind, Namespace: namespace, Name: name})
	}
	return f
}

func (f *fleet) Scope() []string { return cluster.Everywhere }

func (f *fleet) OptedIn(context.Context) (namespaces, unknown []string, err error) {
	return slices.DeleteFunc(slices.Clone(f.optedIn), func(namespace string) bool {
		return slices.Contains(f.unknown, namespace)
	}), f.unknown, nil
}

func (f *fleet) Unstamped(_ context.Context, namespace string) ([]cluster.Workload, error) {
	return f.list(namespace)
}

func (f *fleet) LeftPinned(_ context.Context, namespace string) ([]cluster.Workload, error) {
	f.looked = append(f.looked, namespace)
	return f.list(namespace)
}

func (f *fleet) list(namespace string) (found []cluster.Workload, err error) {
	for _, of := range f.workloads {
		if namespace == "" || of.Namespace == namespace {
			found = append(found, of)
		}
	}
	if f.unlistable[namespace] {
		err = errors.New("listing cronjobs: trouble")
	}
	return found, err
}

func (f *fleet) Touch(_ context.Context, of cluster.Workload) (cluster.Touched, error) {
	touched := cluster.Touched{}
	if f.answers(of) && slices.Contains(f.optedIn, of.Namespace) {
		touched.Object.Labels = map[string]string{wellknown.Enabled: wellknown.True}
	}
	return touched, nil
}

func (f *fleet) Release(_ context.Context, of cluster.Workload, dryRun bool) (cluster.Touched, error) {
	before := slices.Clone(f.workloads)
	touched := cluster.Touched{}
	if !f.answers(of) || slices.Contains(f.optedIn, of.Namespace) {
		touched.Object.Labels = map[string]string{wellknown.ObservedPrefix + "configmap.app": "1"}
		f.stored = f.stored || !dryRun
	}
	if dryRun {
		f.workloads = before
	} else { // it was tried before
		f.touched = f.touched[:len(f.touched)-1]
	}
	return touched, nil
}

func (f *fleet) answers(of cluster.Workload) bool {
	name := of.Namespace + "/" + of.Name
	f.touched = append(f.touched, name)
	if f.away || f.broken[name] {
		return false
	}
	f.workloads = slices.DeleteFunc(f.workloads, func(w cluster.Workload) bool { return w == of })
	return true
}

// sweep returns what a sweep touches, in order, and where it looks for what lost its label.
func (f *fleet) sweep(t *testing.T, r *Rollout) (touched, looked []string) {
	t.Helper()
	f.touched, f.looked = nil, nil
	r.sweep(t.Context())
	return f.touched, f.looked
}

func (f *fleet) rollout() *Rollout {
	return New(Options{}, f, current("app-1"), events.NewFakeRecorder(1))
}

func TestSweepStampsWhatNamespacesOptIn(t *testing.T) {
	f := newFleet("bank/web", "shop/web", "shop/worker")
	f.optedIn = []string{"shop"}
	r := f.rollout()
	touched, _ := f.sweep(t, r)
	assert.Equal(t, []string{"shop/web", "shop/worker"}, touched)
	touched, _ = f.sweep(t, r)
	assert.Empty(t, touched)
}

// TestSweepGoesOnAfterAListThatFails: what it found is touched, there and elsewhere.
func TestSweepGoesOnAfterAListThatFails(t *testing.T) {
	f := newFleet("bank/web", "shop/web")
	f.optedIn = []string{"bank", "shop"}
	f.unlistable["bank"] = true
	touched, _ := f.sweep(t, f.rollout())
	assert.Equal(t, []string{"bank/web", "shop/web"}, touched)
}

// TestSweepWhileAdmissionIsAway: a namespace is left after a few touches in vain, which
// count as such, and everything is done once admission is back.
func TestSweepWhileAdmissionIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var names []string
		for i := range 30 {
			names = append(names, fmt.Sprintf("bank/web-%02d", i), fmt.Sprintf("shop/web-%02d", i))
		}
		f := newFleet(names...)
		f.optedIn, f.away = []string{"bank", "shop"}, true
		r := f.rollout()
		for range 3 {
			touched, _ := f.sweep(t, r)
			assert.Len(t, touched, 2*triesOfNamespace)
			assert.ElementsMatch(t, []string{"bank", "shop"}, []string{touched[0][:4], touched[1][:4]}, "namespaces take turns")
		}
		f.away = false
		began := time.Now()
		touched, _ := f.sweep(t, r)
		assert.Len(t, touched, len(names))
		assert.GreaterOrEqual(t, time.Since(began), time.Duration(len(names)-sweptAtOnce)*time.Second/sweptPerSecond, "at its pace")
		assert.Empty(t, f.workloads)
	})
}

// TestSweepLetsNothingHoldUpOthers: workloads of which nothing becomes are last.
func TestSweepLetsNothingHoldUpOthers(t *testing.T) {
	f := newFleet("shop/a", "shop/b", "shop/c", "shop/d", "shop/e")
	f.optedIn = []string{"shop"}
	f.broken = map[string]bool{"shop/a": true, "shop/b": true, "shop/c": true}
	r := f.rollout()
	touched, _ := f.sweep(t, r)
	assert.Equal(t, []string{"shop/a", "shop/b", "shop/c"}, touched)
	touched, _ = f.sweep(t, r)
	assert.Equal(t, []string{"shop/d", "shop/e", "shop/a", "shop/b", "shop/c"}, touched)
}

// TestNothingIsNotedBeforeItSweeps: a versioner that never leads would note every namespace
// that there ever was, and one that does looks everywhere first.
func TestNothingIsNotedBeforeItSweeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet()
		r := f.rollout()
		depart := func(namespace string) {
			r.WorkloadChanged(watch.Change{Workload: cluster.Workload{Kind: web.Kind, Namespace: namespace, Name: "web"}})
		}
		for i := range 100 {
			depart(fmt.Sprint("shop-", i))
		}
		assert.Empty(t, r.swept.left)

		r.options.Sweep = time.Minute
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- r.Start(ctx) }()
		synctest.Wait()
		depart("bank")
		<-time.After(time.Minute)
		synctest.Wait()
		assert.Equal(t, []string{"", "bank"}, f.looked)
		stop()
		require.NoError(t, <-ended)
	})
}

// TestSweepReleasesNothingWhereItIsUnknownWhoOptsIn: what its namespace opts in would roll
// out twice, there and back.
func TestSweepReleasesNothingWhereItIsUnknownWhoOptsIn(t *testing.T) {
	f := newFleet("bank/web", "shop/web")
	f.optedIn, f.unknown = []string{"shop"}, []string{"shop"}
	r := f.rollout()
	r.leaveAll()
	failed := testutil.ToFloat64(sweepFailures)
	touched, _ := f.sweep(t, r)
	assert.Equal(t, []string{"bank/web"}, touched)
	assert.InDelta(t, failed+1, testutil.ToFloat64(sweepFailures), 0)
	f.optedIn, f.unknown = nil, nil
	touched, looked := f.sweep(t, r)
	assert.Equal(t, []string{"shop"}, looked, "it is looked at again")
	assert.Equal(t, []string{"shop/web"}, touched)
}

// TestSweepReleasesWhatLostItsLabel: it looks everywhere at first, and then where something
// left the watch, or is still to be done.
func TestSweepReleasesWhatLostItsLabel(t *testing.T) {
	f := newFleet("bank/web", "shop/web")
	f.optedIn, f.away = []string{"bank"}, true
	r := f.rollout()
	r.leaveAll()
	touched, looked := f.sweep(t, r)
	assert.Equal(t, []string{""}, looked)
	assert.Equal(t, []string{"bank/web", "shop/web"}, touched, "each once")
	assert.False(t, f.stored, "admission may never see it, as in a namespace that is excluded")
	_, looked = f.sweep(t, r)
	assert.Equal(t, []string{"shop"}, looked)
	f.away = false
	_, looked = f.sweep(t, r)
	assert.Equal(t, []string{"shop"}, looked)
	assert.Empty(t, f.workloads)
	_, looked = f.sweep(t, r)
	assert.Empty(t, looked, "nothing is listed while nothing happens")

	pinned, plain := workload.Object{Labels: map[string]string{wellknown.ObservedPrefix + "configmap.app": "1"}}, workload.Object{}
	for namespace, change := range map[string]watch.Change{
		"gone":    {Before: &pinned},
		"missed":  {},
		"changed": {Before: &pinned, After: &pinned},
		"plain":   {Before: &plain},
	} {
		change.Workload = cluster.Workload{Kind: web.Kind, Namespace: namespace, Name: "web"}
		r.WorkloadChanged(change)
	}
	f.unlistable["gone"] = true
	_, looked = f.sweep(t, r)
	assert.Equal(t, []string{"gone", "missed"}, looked)
	_, looked = f.sweep(t, r)
	assert.Equal(t, []string{"gone"}, looked, "what couldn't be listed is looked at again")
}
