package chart

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// essential are resources that a cluster needs in order to come up, to elect its
// leaders and to let nodes join. Gardener calls a webhook problematic that is asked
// about any of them: WebhookConstraintMatchers in
// https://github.com/gardener/gardener/blob/0a555d1eb50fece9fef7585622d2e02b807aef4a/pkg/gardenlet/operation/botanist/matchers/matcher.go
// The versions in which they were served in the past are left out.
var essential = []struct {
	group      string
	namespaces []string // nil for resources of the cluster; "*" for all
	resources  []string
}{
	{"", []string{metav1.NamespaceSystem}, []string{"pods", "pods/status", "configmaps", "secrets", "serviceaccounts"}},
	{"", []string{metav1.NamespaceSystem, metav1.NamespaceDefault}, []string{"endpoints", "services", "services/status"}},
	{"", nil, []string{"nodes", "nodes/status", "namespaces", "namespaces/status"}},
	{"apps", []string{metav1.NamespaceSystem}, []string{
		"controllerrevisions", "daemonsets", "daemonsets/status", "deployments", "deployments/scale", "replicasets", "replicasets/status", "replicasets/scale",
	}},
	{"coordination.k8s.io", []string{"*"}, []string{"leases"}},
	{"networking.k8s.io", []string{metav1.NamespaceSystem}, []string{"networkpolicies"}},
	{"rbac.authorization.k8s.io", nil, []string{"clusterroles", "clusterrolebindings"}},
	{"rbac.authorization.k8s.io", []string{metav1.NamespaceSystem}, []string{"roles", "rolebindings"}},
	{"apiextensions.k8s.io", nil, []string{"customresourcedefinitions", "customresourcedefinitions/status"}},
	{"apiregistration.k8s.io", nil, []string{"apiservices", "apiservices/status"}},
	{"certificates.k8s.io", nil, []string{
		"certificatesigningrequests", "certificatesigningrequests/status", "certificatesigningrequests/approval",
	}},
	{"scheduling.k8s.io", nil, []string{"priorityclasses"}},
}

// longestTimeout is how long Gardener lets a webhook that fails open hold up what is
// essential.
const longestTimeout = 15

// isAsked says whether a webhook is asked about a resource, whatever labels its objects
// have. An empty namespace is that of resources of the cluster.
func isAsked(t *testing.T, w admissionregistrationv1.MutatingWebhook, group, resource, namespace string) bool {
	t.Helper()
	selector, err := metav1.LabelSelectorAsSelector(w.NamespaceSelector)
	require.NoError(t, err)
	ofNamespace := labels.Set{corev1.LabelMetadataName: namespace, "configpin.io/enabled": "true"}
	if namespace != "" && namespace != "*" && !selector.Matches(ofNamespace) {
		return false
	}
	return slices.ContainsFunc(w.Rules, func(r admissionregistrationv1.RuleWithOperations) bool {
		return inScope(r, namespace) && names(r.APIGroups, group) && slices.ContainsFunc(r.Resources, func(rule string) bool {
			asked, sub, _ := strings.Cut(rule, "/")
			wanted, wantedSub, _ := strings.Cut(resource, "/")
			return names([]string{asked}, wanted) && (sub == "*" || sub == wantedSub)
		})
	})
}

func inScope(r admissionregistrationv1.RuleWithOperations, namespace string) bool {
	switch {
	case r.Scope == nil || *r.Scope == admissionregistrationv1.AllScopes:
		return true
	case *r.Scope == admissionregistrationv1.NamespacedScope:
		return namespace != ""
	default:
		return namespace == ""
	}
}

func names(all []string, one string) bool {
	return slices.Contains(all, "*") || slices.Contains(all, one)
}

// harmless checks that a webhook isn't asked about what is essential, nor holds up
// anything for long.
func harmless(t *testing.T, w admissionregistrationv1.MutatingWebhook) {
	t.Helper()
	assert.LessOrEqual(t, *w.TimeoutSeconds, int32(longestTimeout), w.Name)
	for _, e := range essential {
		namespaces := e.namespaces
		if namespaces == nil {
			namespaces = []string{""}
		}
		for _, resource := range e.resources {
			for _, namespace := range namespaces {
				assert.False(t, isAsked(t, w, e.group, resource, namespace), "%s is asked about %s of %q in %q", w.Name, resource, e.group, namespace)
			}
		}
	}
}

func TestNothingEssentialIsAskedAbout(t *testing.T) {
	t.Parallel()
	h := helms(t)[0]
	for _, s := range append([]row{{name: "as it comes"}}, switches...) {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			ofWebhooks(harmless)(t, h.render(t, release, s.values))
		})
	}
}

// A check that finds nothing has to find something where there is something.
func TestWhatIsEssentialIsFound(t *testing.T) {
	t.Parallel()
	all := admissionregistrationv1.AllScopes
	for _, r := range []admissionregistrationv1.Rule{
		{APIGroups: []string{"*"}, Resources: []string{"*"}, Scope: &all},
		{APIGroups: []string{"apps"}, Resources: []string{"deployments"}, Scope: &all},
		{APIGroups: []string{"apps"}, Resources: []string{"deployments/*"}, Scope: &all},
		{APIGroups: []string{""}, Resources: []string{"nodes"}},
		{APIGroups: []string{"coordination.k8s.io"}, Resources: []string{"leases"}},
	} {
		w := admissionregistrationv1.MutatingWebhook{
			NamespaceSelector: &metav1.LabelSelector{},
			Rules:             []admissionregistrationv1.RuleWithOperations{{Rule: r}},
		}
		found := 0
		for _, e := range essential {
			for _, resource := range e.resources {
				for _, namespace := range append([]string{""}, e.namespaces...) {
					if isAsked(t, w, e.group, resource, namespace) {
						found++
					}
				}
			}
		}
		assert.Positive(t, found, "%v", r)
	}
}
