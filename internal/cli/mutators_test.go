package cli

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/tidwall/gjson"

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
