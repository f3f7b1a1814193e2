package rollout

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/workload"
)

// misowned is a workload that is pinned as it should be, and whose names somebody owns
// by an update, which admission puts right, or doesn't.
type misowned struct {
	*deployment
	amiss, away bool
}

func (m *misowned) marked(object workload.Object) workload.Object {
	object.Misowned = m.amiss
	return object
}

func (m *misowned) Object(of cluster.Workload) (workload.Object, types.UID, bool) {
	object, uid, found := m.deployment.Object(of)
	return m.marked(object), uid, found
}

func (m *misowned) Touch(ctx context.Context, of cluster.Workload) (cluster.Touched, error) {
	touched, err := m.deployment.Touch(ctx, of)
	m.amiss = m.amiss && m.away
	touched.Object = m.marked(touched.Object)
	return touched, err
}

func TestAWorkloadWhoseNamesSomebodyOwnsIsTouchedOnce(t *testing.T) {
	m := &misowned{&deployment{t: t, names: "app-1", live: "app-1"}, true, false}
	recorder := events.NewFakeRecorder(10)
	r := New(Options{Burst: 1, Every: time.Hour}, m, current("app-1"), recorder)
	for range 3 {
		result, err := r.Reconcile(t.Context(), web)
		require.NoError(t, err)
		assert.Zero(t, result.RequeueAfter)
	}
	assert.Equal(t, 1, m.touches)
	assert.Empty(t, drain(recorder))
	assert.Zero(t, r.allowance(web), "nothing rolled out")
}

func TestATouchThatPutsNothingRightIsTriedAgainLater(t *testing.T) {
	m := &misowned{&deployment{t: t, names: "app-1"}, true, true}
	recorder := events.NewFakeRecorder(10)
	r := New(Options{Burst: 1, Every: time.Hour}, m, current("app-1"), recorder)
	for _, wait := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second} {
		result, err := r.Reconcile(t.Context(), web)
		require.NoError(t, err)
		assert.Equal(t, wait, result.RequeueAfter)
	}
	assert.Equal(t, []string{"Warning TouchUnanswered It is behind its sources, and sending it through admission changes nothing: is the configpin webhook reachable, and does nothing undo its answers?"}, drain(recorder))
}
