package cli

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/tidwall/gjson"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/configpin/configpin/internal/inspect"
)

func TestCompares(t *testing.T) {
	t.Parallel()
	for expression, want := range map[string]bool{
		`c.envFrom.exists(e, e.configMapRef.name == "app")`:    true,
		`!c.envFrom.exists(e, e.configMapRef.name == 'app')`:   true,
		`e.name in ["other", "app"]`:                           true,
		`"app" in names`:                                       true,
		`e.name != "app"`:                                      true,
		`e.name.matches("app")`:                                true,
		`e.name == "app-other"`:                                false,
		`e.name.startsWith("app") || e.name.contains( 'app' )`: false,
		`Object{spec: Object.spec{configMap: Object.spec.configMap{name: "app"}}}`: false,
		`JSONPatch{op: "add", path: "/spec", value: {"name": "app"}}`:              false,
		``: false,
	} {
		assert.Equal(t, want, compares(expression, "app"), expression)
	}
}

func TestMutatingPoliciesOfWhichNobodyCanTell(t *testing.T) {
	t.Parallel()
	s, _, _ := offline("")
	notFound := apierrors.NewNotFound(schema.GroupResource{}, "")
	forbidden := apierrors.NewForbidden(schema.GroupResource{}, "", nil)
	for name, row := range map[string]struct {
		tell func(*checkup)
		want finding
	}{
		"there can't be any": {func(c *checkup) { c.noMutators(notFound) }, finding{aboutMutators, fine, "this API server doesn't serve any", ""}},
		"they can't be read": {func(c *checkup) { c.noMutators(forbidden) }, finding{aboutMutators, unknown, "you may not read it", ""}},
		"workloads can't be": {
			func(c *checkup) { c.tellMutators([]string{"a, which sees b"}, nil, errors.New("not you")) },
			finding{aboutMutators, unknown, "a, which sees b; nobody can tell whether they look for the names of sources: not you", ""},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := &checkup{session: s}
			row.tell(c)
			assert.Equal(t, []finding{row.want}, c.findings)
		})
	}
}

func TestAPolicyLooksForSourcesThatArePinned(t *testing.T) {
	t.Parallel()
	m := mutator{policy: gjson.Parse(`{"spec": {
		"matchConditions": [{"expression": "request.name == 'condition'"}],
		"variables": [{"expression": "x == 'variable'"}],
		"mutations": [{"jsonPatch": {"expression": "x == 'patch'"}}, {"applyConfiguration": {"expression": "x == 'applied' || x == 'plain'"}}]}}`)}
	status := func(kind, name string, state inspect.State, pinned string) workloadStatus {
		return workloadStatus{Refs: []inspect.Ref{{Source: kind + "/" + name, State: state, Pinned: pinned}}}
	}
	report := statusReport{Workloads: []workloadStatus{
		status("configmap", "patch", inspect.Current, "patch-a"),
		status("configmap", "patch", inspect.Current, "patch-b"),
		status("configmap", "condition", inspect.Kept, "condition-a"),
		status("secret", "variable", inspect.Settling, ""),
		status("configmap", "applied", inspect.Held, "applied-a"),
		status("configmap", "plain", inspect.Unpinned, ""),
		status("configmap", "other", inspect.Current, "other-a"),
	}}
	assert.Equal(t, []string{"configmap/applied", "configmap/condition", "configmap/patch", "secret/variable"}, m.looksFor(report))
}

// A cluster may have tens of thousands of refs, and a policy many expressions: what isn't in
// any is passed over, and no source is looked for twice.
func TestLookingForManySources(t *testing.T) {
	const sources, expression = 400, `c.envFrom.exists(e, e.configMapRef.name == 'app-399')`
	m := mutator{policy: gjson.Parse(`{"spec": {"variables": [` + strings.Repeat(`{"expression": "`+expression+`"},`, 4) + `{"expression": "` + expression + `"}]}}`)}
	var report statusReport
	for i := range 4 * sources {
		name := fmt.Sprintf("app-%d", i%sources)
		report.Workloads = append(report.Workloads, workloadStatus{Refs: []inspect.Ref{{Source: "configmap/" + name, Pinned: name + "-111111111111"}}})
	}
	var found []string
	assert.Less(t, testing.AllocsPerRun(1, func() { found = m.looksFor(report) }), float64(len(report.Workloads)))
	assert.Equal(t, []string{"configmap/app-399"}, found)
}
