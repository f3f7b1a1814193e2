package conformance

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// right is something that a service account may do: "versioner: list pods". In what
// namespaces doesn't matter here.
type right struct{ account, verb, group, resource string }

func (r right) String() string {
	resource := r.resource
	if r.group != "" {
		resource += "." + r.group
	}
	return fmt.Sprintf("%s: %s %s", r.account, r.verb, resource)
}

// rightsAreUsed compares what configpin's service accounts may do with what they
// have done in the whole suite: a right too many is one to be misused, and one that
// is missing is a request that was refused.
func (c *cluster) rightsAreUsed(t *testing.T) {
	t.Helper()
	granted, used := c.granted(t), map[right]bool{}
	var refused []string
	c.eachAudited(t, ourUsers, func(event audited) {
		account, ours := strings.CutPrefix(event.User.Username, ourUsers)
		if !ours || event.ObjectRef.Resource == "" {
			return
		}
		r := right{account, event.Verb, event.ObjectRef.APIGroup, event.ObjectRef.Resource}
		if event.ObjectRef.Subresource != "" {
			r.resource += "/" + event.ObjectRef.Subresource
		}
		switch event.Annotations["authorization.k8s.io/decision"] {
		case "allow":
			used[r] = true
		case "forbid":
			refused = append(refused, r.String()+" in "+event.ObjectRef.Namespace)
		}
	})
	require.NotEmpty(t, used)
	assert.Empty(t, slices.Compact(slices.Sorted(slices.Values(refused))), "what our programs tried without the right to")
	assert.Equal(t, texts(granted), texts(used), "what they may, and what they do")
}

func texts(rights map[right]bool) []string {
	var all []string
	for r := range maps.Keys(rights) {
		all = append(all, r.String())
	}
	slices.Sort(all)
	return all
}

// granted are the rights of configpin's service accounts, by the bindings that are
// installed.
func (c *cluster) granted(t *testing.T) map[right]bool {
	t.Helper()
	rules := map[string][]rbacv1.PolicyRule{}
	var clusterRoles rbacv1.ClusterRoleList
	require.NoError(t, c.api.List(t.Context(), &clusterRoles))
	for _, role := range clusterRoles.Items {
		rules["ClusterRole/"+role.Name] = role.Rules
	}
	var roles rbacv1.RoleList
	require.NoError(t, c.api.List(t.Context(), &roles))
	for _, role := range roles.Items {
		rules["Role/"+role.Namespace+"/"+role.Name] = role.Rules
	}
	granted := map[right]bool{}
	grant := func(subjects []rbacv1.Subject, role string) {
		for _, subject := range subjects {
			if subject.Kind != rbacv1.ServiceAccountKind || subject.Namespace != installed {
				continue
			}
			require.Contains(t, rules, role)
			for _, rule := range rules[role] {
				addRule(granted, subject.Name, rule)
			}
		}
	}
	var clusterBindings rbacv1.ClusterRoleBindingList
	require.NoError(t, c.api.List(t.Context(), &clusterBindings, client.Limit(0)))
	for _, binding := range clusterBindings.Items {
		grant(binding.Subjects, "ClusterRole/"+binding.RoleRef.Name)
	}
	var bindings rbacv1.RoleBindingList
	require.NoError(t, c.api.List(t.Context(), &bindings))
	for _, binding := range bindings.Items {
		role := binding.RoleRef.Kind + "/" + binding.RoleRef.Name
		if binding.RoleRef.Kind == "Role" {
			role = "Role/" + binding.Namespace + "/" + binding.RoleRef.Name
		}
		grant(binding.Subjects, role)
	}
	return granted
}

func addRule(granted map[right]bool, account string, rule rbacv1.PolicyRule) {
	for _, group := range rule.APIGroups {
		for _, resource := range rule.Resources {
			for _, verb := range rule.Verbs {
				granted[right{account, verb, group, resource}] = true
			}
		}
	}
}
