package conformance

import (
	"context"
	"sync"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admission/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/configpin/configpin/test/lab/oracle"
)

// storeOutages are about what we run on.
var storeOutages = []scenario{
	{"an API server that dies in the middle of a touch is one rollout all the same", apiServerDies},
	{"after eight seconds without the store, a change has rolled out once, and a hold holds", storeFreezes},
}

// versionerUser is who touches (manifests/core/versioner-rbac.yaml).
const versionerUser = ourUsers + "configpin-versioner"

func apiServerDies(s *space) {
	web, held := s.beforeOutage()

	touched, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	rival := &rivalWebhook{order: beforeOurs, change: func(request *admissionv1.AdmissionRequest, object *unstructured.Unstructured) {
		if object.GetName() == "web" && request.UserInfo.Username == versionerUser {
			once.Do(func() { close(touched) })
			<-release
		}
	}}
	remove := rival.install(s)
	goOn := sync.OnceFunc(func() { close(release) })
	s.t.Cleanup(goOn)
	s.edit("app", "green")
	select {
	case <-touched:
	case <-time.After(patience):
		require.FailNow(s.t, "nobody touched the workload")
	}
	require.NoError(s.t, s.Operator.KillAPIServer())
	goOn()
	require.NoError(s.t, s.Operator.StartAPIServer(s.t.Context()))
	require.NoError(s.t, s.Operator.StartWebhook(s.t.Context()))
	require.NoError(s.t, s.Operator.StartVersioner(s.t.Context())) // where it lost its lease
	remove()
	s.showing(web, "app", "green")
	s.afterOutage(web, held)
}

// beforeOutage returns a workload that is pinned to blue, and one that is held.
func (s *space) beforeOutage() (web, held *unstructured.Unstructured) {
	s.t.Helper()
	s.record.excuse()
	s.unknowable = append(s.unknowable, oracle.Gaps)
	s.source("app", "blue")
	web = s.deploy("Deployment", "web", envFrom("app"))
	s.showing(web, "app", "blue")
	s.rolledOut(web, 1)
	return web, s.rollBackNamed("held")
}

// afterOutage checks that the one has rolled out once, and the other is held.
func (s *space) afterOutage(web, held *unstructured.Unstructured) {
	s.t.Helper()
	s.pass()
	s.rolledOut(web, 2)
	assert.Equal(s.t, "blue", s.colourOf(held, "held"))
	assert.True(s.t, s.held(held, "held"))
}

// rollBackNamed makes a source and a workload of one name, and takes the workload
// back.
func (s *space) rollBackNamed(name string) *unstructured.Unstructured {
	s.t.Helper()
	s.source(name, "blue")
	w := s.deploy("Deployment", name, envFrom(name))
	s.rolledOut(w, 1)
	s.edit(name, "green")
	s.showing(w, name, "green")
	s.rolledOut(w, 2)
	s.undo(w)
	s.rolledOut(w, 2)
	require.True(s.t, s.held(w, name))
	return w
}

// frozen is longer than a leader may go without its lease here.
const frozen = 8 * time.Second

func storeFreezes(s *space) {
	web, held := s.beforeOutage()

	thaw := sync.OnceFunc(func() { assert.NoError(s.t, s.Operator.ThawStore()) })
	s.t.Cleanup(thaw)
	require.NoError(s.t, s.Operator.FreezeStore())
	time.AfterFunc(frozen, thaw)
	// It comes back when the store does, or fails without anybody knowing whether it
	// was written.
	_, _ = s.tryKubectl("", "patch", "configmap/app", "--type=merge", `--patch={"data":{"colour":"green"}}`)
	s.edit("app", "green")
	require.NoError(s.t, s.Operator.StartWebhook(s.t.Context()))
	require.NoError(s.t, s.Operator.StartVersioner(context.WithoutCancel(s.t.Context())))
	s.showing(web, "app", "green")
	s.afterOutage(web, held)
}
