package cli

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/manifests"
)

const home = "configpin-system"

func TestRightsAreThoseThatAreGranted(t *testing.T) {
	t.Parallel()
	everywhere := func() ([]*unstructured.Unstructured, error) { return manifests.Objects() }
	withSecrets := func() ([]*unstructured.Unstructured, error) {
		return manifests.Objects(manifests.Secrets, manifests.DigestKey)
	}
	some := []string{"shop", "bank"}
	inSome := func() ([]*unstructured.Unstructured, error) { return manifests.Namespaced(some, some[:1]) }
	for name, c := range map[string]struct {
		settings settings
		objects  func() ([]*unstructured.Unstructured, error)
	}{
		"everywhere":              {settings{namespaces: cluster.Everywhere}, everywhere},
		"everywhere with Secrets": {settings{namespaces: cluster.Everywhere, secrets: cluster.Everywhere}, withSecrets},
		"in some namespaces":      {settings{namespaces: some, secrets: some[:1]}, inSome},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			objects, err := c.objects()
			require.NoError(t, err)
			assert.ElementsMatch(t, granted(t, objects), c.settings.rights(home))
		})
	}
}

// granted are the rights in roles.
func granted(t *testing.T, objects []*unstructured.Unstructured) []right {
	t.Helper()
	var all []right
	for _, object := range objects {
		if kind := object.GetKind(); kind != "ClusterRole" && kind != "Role" {
			continue
		}
		var role rbacv1.Role // a ClusterRole has the same rules
		require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &role))
		for _, rule := range role.Rules {
			r := right{program: object.GetLabels()["app.kubernetes.io/component"], namespace: object.GetNamespace(), group: rule.APIGroups[0]}
			if len(rule.ResourceNames) > 0 {
				r.name = rule.ResourceNames[0]
			}
			if r.resource = rule.Resources[0]; r.resource == "namespaces" && r.namespace != "" {
				r.name = r.namespace // the only one that a Role is about
			}
			for _, r.resource = range rule.Resources {
				for _, r.verb = range rule.Verbs {
					all = append(all, r)
				}
			}
		}
	}
	return all
}

func TestRightsToListWhatElseCanNameASnapshot(t *testing.T) {
	t.Parallel()
	rollouts := schema.GroupVersionResource{Group: "argoproj.io", Version: "v1alpha1", Resource: "rollouts"}
	s := settings{namespaces: cluster.Everywhere, kinds: []schema.GroupVersionResource{rollouts}}
	assert.Contains(t, s.rights(home), right{program: versioner, group: "argoproj.io", resource: "rollouts", verb: "list"})
}

func TestRightsToIssueTheCertificate(t *testing.T) {
	t.Parallel()
	all := settings{namespaces: cluster.Everywhere, issues: "shown"}.rights(home)
	assert.Contains(t, all, right{program: versioner, namespace: home, resource: "secrets", name: "shown", verb: "update"})
	assert.Contains(t, all, right{program: versioner, group: "admissionregistration.k8s.io", resource: "mutatingwebhookconfigurations", name: "zz-configpin", verb: "update"})
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	missing := []right{
		{program: webhook, resource: "configmaps", verb: "get"},
		{program: versioner, namespace: "shop", group: "apps", resource: "deployments", verb: "patch"},
		{program: webhook, resource: "configmaps", verb: "create"},
		{program: versioner, namespace: home, resource: "secrets", name: "configpin-digest-key", verb: "list"},
	}
	const all = "the webhook may not get, create configmaps in all namespaces; " +
		"the versioner may not patch deployments.apps in namespace shop; " +
		"the versioner may not list secrets configpin-digest-key in namespace configpin-system"
	assert.Equal(t, all, refusals(missing))

	for i := range maxTold {
		missing = append(missing, right{program: versioner, namespace: fmt.Sprint(i), resource: "pods", verb: "list"})
	}
	assert.Regexp(t, `^`+all+`; .* and 3 more$`, refusals(missing))
}
