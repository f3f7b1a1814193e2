package conformance

import (
	"context"
	"slices"
	"strings"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// waiting is about a versioner that can't know yet what there is.
var waiting = []scenario{
	{"a versioner that may not read a kind waits, says so, and goes on once it may", waitsForRight},
}

func waitsForRight(s *space) {
	s.source("app", "blue")
	web := s.deploy("Deployment", "web", envFrom("app"))
	s.showing(web, "app", "blue")
	const said = "Not ready yet, and waiting"
	before := strings.Count(s.said(), said)
	s.withoutVersioner(func() {
		giveBack := s.takeRight("statefulsets")
		ctx, started := s.t.Context(), make(chan error)
		go func() { started <- s.Operator.StartVersioner(ctx) }()
		want := `not ready: still learning what there is: statefulsets (statefulsets.apps is forbidden: User "system:serviceaccount:configpin-system:configpin-versioner" ` +
			`cannot list resource "statefulsets" in API group "apps" at the cluster scope)`
		s.eventually("the versioner says what it waits for", func() (string, bool) {
			now, err := s.Operator.Readiness(ctx)
			return now, err == nil && strings.TrimSpace(now) == want
		})
		require.Error(s.t, <-started, "whoever waits for it has lost patience")
		assert.Equal(s.t, before+1, strings.Count(s.said(), said))
		giveBack()
		s.eventually("the versioner is ready", func() (string, bool) {
			now, err := s.Operator.Readiness(ctx)
			return now, err == nil && strings.TrimSpace(now) == "ok"
		})
		assert.Equal(s.t, before+1, strings.Count(s.said(), said), "it is the same that waited")
		s.edit("app", "green")
		s.showing(web, "app", "green")
	})
}

func (s *space) said() string {
	s.t.Helper()
	said, err := s.Operator.Said(s.t.Context())
	require.NoError(s.t, err)
	return said
}

// takeRight takes from the versioner what it may do with a resource, and returns what
// gives it back.
func (s *space) takeRight(resource string) (giveBack func()) {
	s.t.Helper()
	role := &rbacv1.ClusterRole{}
	require.NoError(s.t, s.api.Get(s.t.Context(), client.ObjectKey{Name: "configpin-versioner"}, role))
	rules := role.DeepCopy().Rules
	for i := range role.Rules {
		role.Rules[i].Resources = slices.DeleteFunc(role.Rules[i].Resources, func(r string) bool { return r == resource })
	}
	require.NoError(s.t, s.api.Update(s.t.Context(), role))
	giveBack = func() {
		role.Rules = rules
		assert.NoError(s.t, s.api.Update(context.WithoutCancel(s.t.Context()), role))
	}
	s.t.Cleanup(giveBack)
	return giveBack
}
