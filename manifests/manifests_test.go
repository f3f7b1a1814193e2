package manifests_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/configpin/configpin/internal/wellknown"
	"github.com/configpin/configpin/manifests"
)

func names(objects []*unstructured.Unstructured) []string {
	var all []string
	for _, object := range objects {
		all = append(all, strings.TrimSpace(object.GetNamespace()+" "+object.GetKind()+" "+object.GetName()))
	}
	return all
}

func TestObjects(t *testing.T) {
	objects, err := manifests.Objects()
	require.NoError(t, err)
	require.NotEmpty(t, objects)
	assert.Equal(t, "Namespace", objects[0].GetKind(), "what lives in it comes later")
	kinds := map[string]int{}
	for _, object := range objects {
		kinds[object.GetKind()]++
	}
	assert.Equal(t, 1, kinds["MutatingWebhookConfiguration"])
	assert.Equal(t, 2, kinds["ServiceAccount"])
}

func TestNoRightOnSecretsUnlessAskedFor(t *testing.T) {
	base, err := manifests.Objects()
	require.NoError(t, err)
	assert.Empty(t, rightsOn(t, "secrets", base))
	all, err := manifests.Objects(manifests.Secrets, manifests.DigestKey)
	require.NoError(t, err)
	assert.Equal(t, []string{
		"ClusterRole configpin-versioner-secrets",
		"ClusterRole configpin-webhook-secrets",
		"configpin-system Role configpin-versioner-digest-key",
		"configpin-system Role configpin-webhook-digest-key",
	}, rightsOn(t, "secrets", all))
}

func TestNamespaced(t *testing.T) {
	objects, err := manifests.Namespaced([]string{"bank", "shop"}, []string{"shop"})
	require.NoError(t, err)
	for _, name := range names(objects) {
		assert.NotContains(t, name, "ClusterRole")
	}
	assert.Equal(t, []string{"bank Role configpin-versioner", "bank Role configpin-webhook", "shop Role configpin-versioner", "shop Role configpin-webhook"},
		rightsOn(t, "configmaps", objects))
	assert.Equal(t, []string{
		"configpin-system Role configpin-versioner-digest-key",
		"configpin-system Role configpin-webhook-digest-key",
		"shop Role configpin-versioner-secrets",
		"shop Role configpin-webhook-secrets",
	}, rightsOn(t, "secrets", objects))
}

func TestNoRightOnSecretsInNamespacesUnlessAskedFor(t *testing.T) {
	objects, err := manifests.Namespaced([]string{"bank", "shop"}, nil)
	require.NoError(t, err)
	assert.Empty(t, rightsOn(t, "secrets", objects))
}

// TestNoSecretOfOursButTheKey: the key of a certificate is in the same namespace.
func TestNoSecretOfOursButTheKey(t *testing.T) {
	everywhere, err := manifests.Objects(manifests.Secrets, manifests.DigestKey)
	require.NoError(t, err)
	some, err := manifests.Namespaced([]string{"shop"}, []string{"shop"})
	require.NoError(t, err)
	verbs := []string{"get", "list", "watch", "patch", "update", "delete", "deletecollection", "*"}
	for _, objects := range [][]*unstructured.Unstructured{everywhere, some} {
		found := 0
		for _, object := range objects {
			if object.GetKind() != "Role" || object.GetNamespace() != "configpin-system" {
				continue
			}
			var role rbacv1.Role
			require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &role))
			for _, rule := range role.Rules {
				ofSecrets := slices.Contains(rule.Resources, "secrets") || slices.Contains(rule.Resources, "*")
				if ofSecrets && slices.ContainsFunc(rule.Verbs, func(verb string) bool { return slices.Contains(verbs, verb) }) {
					assert.Equal(t, []string{wellknown.DigestKeySecret}, rule.ResourceNames, "%s: %v", role.Name, rule.Verbs)
					found++
				}
			}
		}
		assert.Equal(t, 2, found, "each program reads the key")
	}
}

// rightsOn are the roles that have a rule about a resource.
func rightsOn(t *testing.T, resource string, objects []*unstructured.Unstructured) []string {
	t.Helper()
	var found []string
	for _, object := range objects {
		rules, _, err := unstructured.NestedSlice(object.Object, "rules")
		require.NoError(t, err)
		for _, rule := range rules {
			resources, _, err := unstructured.NestedStringSlice(rule.(map[string]any), "resources")
			require.NoError(t, err)
			if slices.Contains(resources, resource) {
				found = append(found, names([]*unstructured.Unstructured{object})...)
			}
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// TestOneNamespaceHasTheRulesOfAll: but for how namespaces are known.
func TestOneNamespaceHasTheRulesOfAll(t *testing.T) {
	everywhere, err := manifests.Objects(manifests.Secrets)
	require.NoError(t, err)
	one, err := manifests.Namespaced([]string{"shop"}, []string{"shop"})
	require.NoError(t, err)
	for _, role := range []string{"configpin-webhook", "configpin-versioner", "configpin-webhook-secrets", "configpin-versioner-secrets"} {
		assert.Equal(t, rulesOf(t, "ClusterRole", "", role, everywhere), rulesOf(t, "Role", "shop", role, one), role)
	}
}

// rulesOf are the rules of a role that aren't about namespaces.
func rulesOf(t *testing.T, kind, namespace, name string, objects []*unstructured.Unstructured) []any {
	t.Helper()
	for _, object := range objects {
		if object.GetKind() != kind || object.GetNamespace() != namespace || object.GetName() != name {
			continue
		}
		rules, _, err := unstructured.NestedSlice(object.Object, "rules")
		require.NoError(t, err)
		return slices.DeleteFunc(rules, func(rule any) bool {
			return slices.Equal(rule.(map[string]any)["resources"].([]any), []any{"namespaces"})
		})
	}
	require.Fail(t, "there is no such role", name)
	return nil
}

// TestEveryRuleSaysWhy: who is asked for a right wants to know what for.
func TestEveryRuleSaysWhy(t *testing.T) {
	files, err := filepath.Glob("*/*rbac.yaml")
	require.NoError(t, err)
	more, err := filepath.Glob("*/*/*rbac.yaml")
	require.NoError(t, err)
	files = append(files, more...)
	require.GreaterOrEqual(t, len(files), 6)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		explained := false
		for number, line := range strings.Split(string(text), "\n") {
			switch {
			case strings.HasPrefix(line, "rules:"):
				explained = false
			case strings.HasPrefix(line, "  # "):
				explained = true
			case strings.HasPrefix(line, "  - apiGroups:"):
				assert.True(t, explained, "%s:%d: this rule doesn't say why", file, number+1)
				explained = false
			}
		}
	}
}
