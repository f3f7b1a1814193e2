package rollout

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/wellknown"
	"github.com/configpin/configpin/internal/workload"
)

// unlabelled is a workload that names what it should, and lost the label of what it was
// offered.
type unlabelled struct{ *deployment }

func (u unlabelled) Object(cluster.Workload) (workload.Object, types.UID, bool) {
	object := u.object()
	delete(object.Labels, snapshot.ObservedLabel(wellknown.ConfigMap, "app"))
	return object, "1", true
}

// TestATouchThatRollsNothingIsNoRollout: it takes nothing from the rollouts that the
// workload may have.
func TestATouchThatRollsNothingIsNoRollout(t *testing.T) {
	d := unlabelled{&deployment{t: t, names: "app-1", live: "app-1"}}
	r := New(Options{Burst: 1, Every: time.Minute}, d, current("app-1"), events.NewFakeRecorder(10))
	for range 5 {
		result, err := r.Reconcile(t.Context(), web)
		require.NoError(t, err)
		assert.Zero(t, result.RequeueAfter)
	}
	assert.Equal(t, 5, d.touches)
	assert.Zero(t, r.allowance(web))
}

// TestATouchThatRollsNothingWaitsForNone: a workload that had its rollouts still gets its
// label.
func TestATouchThatRollsNothingWaitsForNone(t *testing.T) {
	d := unlabelled{&deployment{t: t, names: "app-1", live: "app-1"}}
	r := New(Options{Burst: 1, Every: time.Minute}, d, current("app-1"), events.NewFakeRecorder(10))
	r.spend(web)
	require.NotZero(t, r.allowance(web))
	_, err := r.Reconcile(t.Context(), web)
	require.NoError(t, err)
	assert.Equal(t, 1, d.touches)
}
