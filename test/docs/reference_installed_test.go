package docs

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/configpin/configpin/manifests"
	"github.com/configpin/configpin/test/lab/markdown"
)

func objects(t *testing.T, components ...manifests.Component) []*unstructured.Unstructured {
	t.Helper()
	found, err := manifests.Objects(components...)
	require.NoError(t, err)
	return found
}

// webhooks are the entries of every webhook configuration.
func webhooks(t *testing.T) []map[string]any {
	t.Helper()
	var found []map[string]any
	for _, object := range objects(t) {
		entries, _, err := unstructured.NestedSlice(object.Object, "webhooks")
		require.NoError(t, err)
		for _, entry := range entries {
			found = append(found, entry.(map[string]any))
		}
	}
	require.NotEmpty(t, found)
	return found
}

func TestReferenceListsWhatIsInstalled(t *testing.T) {
	t.Parallel()
	d := reference(t)
	there := map[string]string{}
	for _, object := range objects(t) {
		there[object.GetKind()+" "+object.GetName()] = object.GetNamespace()
	}
	listed := rows(t, d, "What is installed")
	sameSubjects(t, "What is installed", listed, there, "manifests")
	const columnNamespace = 1
	for name, row := range listed {
		sameCell(t, row, "namespace", code(row, columnNamespace), there[name])
	}

	webhookRows, settings := map[string]markdown.Row{}, map[string]markdown.Row{}
	for name, row := range rows(t, d, "Webhooks") {
		if strings.Contains(name, ".") {
			webhookRows[name] = row
		} else {
			settings[name] = row
		}
	}
	names := map[string]bool{}
	for _, webhook := range webhooks(t) {
		names[webhook["name"].(string)] = true
		for setting, row := range settings {
			sameCell(t, row, "value", code(row, 1), fmt.Sprint(webhook[setting]))
		}
	}
	sameSubjects(t, "Webhooks", webhookRows, names, "manifests")
}

// right is a row of the RBAC tables.
type right struct{ resource, group, in string }

func TestReferenceListsEveryRight(t *testing.T) {
	t.Parallel()
	d := reference(t)
	for _, program := range []string{"webhook", "versioner"} {
		section := "Of the " + program
		there := map[right][]string{}
		for _, object := range objects(t, manifests.Secrets, manifests.DigestKey) {
			if strings.HasPrefix(object.GetName(), "configpin-"+program) && (object.GetKind() == "ClusterRole" || object.GetKind() == "Role") {
				addRights(t, object, there)
			}
		}
		require.NotEmpty(t, there)
		for _, table := range d.Tables {
			if table.Section != section {
				continue
			}
			for _, row := range table.Rows {
				r := right{code(row, 0), code(row, 1), code(row, 2)}
				if assert.Contains(t, there, r, "%s:%d: %s has no right to that in manifests: remove the row", referencePath, row.Line, program) {
					sameCell(t, row, "verbs", strings.Join(codes(row, 3), ", "), strings.Join(there[r], ", "))
				}
				delete(there, r)
			}
		}
		for r, verbs := range there {
			t.Errorf("%s: section %q doesn't list %v on %+v, which is in manifests: add a row", referencePath, section, verbs, r)
		}
	}
}

func addRights(t *testing.T, object *unstructured.Unstructured, into map[right][]string) {
	t.Helper()
	var role rbacv1.ClusterRole // a Role has the same rules
	require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &role))
	in := object.GetNamespace()
	if in == "" {
		in = "all namespaces"
	}
	for _, rule := range role.Rules {
		for _, group := range rule.APIGroups {
			if group == "" {
				group = "core"
			}
			for _, resource := range rule.Resources {
				into[right{resource, group, in}] = append(into[right{resource, group, in}], rule.Verbs...)
			}
		}
	}
}

var celLiteral = regexp.MustCompile(`'([^']*)'`)

// TestReferenceListsWhatPoliciesSay compares what is between the placeholders with
// the literals of the expressions that make the messages.
func TestReferenceListsWhatPoliciesSay(t *testing.T) {
	t.Parallel()
	d := reference(t)
	listed := strings.Join(slices.Collect(maps.Keys(rows(t, d, "Refused by policies"))), "\n")
	var said strings.Builder
	for _, object := range objects(t) {
		if object.GetKind() != "ValidatingAdmissionPolicy" {
			continue
		}
		validations, _, err := unstructured.NestedSlice(object.Object, "spec", "validations")
		require.NoError(t, err)
		for _, validation := range validations {
			for _, literal := range celLiteral.FindAllStringSubmatch(validation.(map[string]any)["messageExpression"].(string), -1) {
				said.WriteString(literal[1])
				assert.Contains(t, listed, literal[1], "%s: section %q lacks what %s says", referencePath, "Refused by policies", object.GetName())
			}
		}
	}
	for text, row := range rows(t, d, "Refused by policies") {
		for fragment := range strings.SplitSeq(unnamed(text), "<>") {
			assert.Contains(t, said.String(), fragment, "%s:%d", referencePath, row.Line)
		}
	}
}
