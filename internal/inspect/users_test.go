package inspect_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/configpin/configpin/internal/inspect"
)

func TestRoles(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		user inspect.User
		want inspect.Role
	}{
		{"a Deployment", inspect.User{Resource: "deployments.apps"}, inspect.Workload},
		{"a Job of a CronJob", inspect.User{Resource: "jobs.batch", Owner: "CronJob/a"}, inspect.Workload},
		{"a bare ReplicaSet, whose next Pods read it", inspect.User{Resource: "replicasets.apps"}, inspect.Workload},
		{"a ReplicaSet of a Deployment", inspect.User{Resource: "replicasets.apps", Owner: "Deployment/a"}, inspect.Past},
		{"a revision", inspect.User{Resource: "controllerrevisions.apps"}, inspect.Past},
		{"a Pod", inspect.User{Resource: "pods", Owner: "ReplicaSet/a"}, inspect.Pod},
	} {
		assert.Equal(t, test.want, test.user.Role(), test.name)
	}
}

func TestWhatUsersAreCalled(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "pod/a", inspect.User{Resource: "pods", Name: "a"}.String())
	assert.Equal(t, "deployment.apps/a", inspect.User{Resource: "deployments.apps", Name: "a"}.String())
	assert.Equal(t, "deployment/a", inspect.User{Resource: "deployments.apps", Name: "a"}.Short())
}

// owned is an object that mentions what it is called, with a controller and an owner that
// isn't one.
func owned(name, uid, owner string) []byte {
	return fmt.Appendf(nil, `{"metadata": {"name": %q, "uid": %q, "ownerReferences": [
		{"kind": "Other", "name": "other", "uid": "u-other"},
		{"kind": "Kind", "name": "owner", "uid": %q, "controller": true}]}, "spec": {"x": "app-000000000001"}, "status": {"phase": "Running"}}`, name, uid, owner)
}

func TestTheTreeOfUsers(t *testing.T) {
	t.Parallel()
	users := inspect.NewUsers([]string{"app-000000000001"})
	users.Add("pods", owned("pod", "u-pod", "u-set"))
	users.Add("replicasets.apps", owned("set", "u-set", "u-deployment"))
	users.Add("deployments.apps", owned("deployment", "u-deployment", ""))
	users.Add("pods", owned("stray", "u-stray", "u-gone"))
	users.Add("jobs.batch", owned("self", "u-self", "u-self"))

	var told []string
	var tell func(indent string, branches []inspect.Branch)
	tell = func(indent string, branches []inspect.Branch) {
		for _, b := range branches {
			told = append(told, indent+b.Short()+" "+b.Owner+" "+b.Phase)
			tell(indent+"  ", b.Branches)
		}
	}
	tell("", users.Tree("app-000000000001"))
	assert.Equal(t, []string{
		"deployment/deployment  ",
		"  replicaset/set Kind/owner ",
		"    pod/pod Kind/owner Running",
		"job/self Kind/owner ",
		"pod/stray Kind/owner Running",
	}, told)
	require.Empty(t, users.Tree("app"))
}
