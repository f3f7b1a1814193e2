package cli

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/wellknown"
)

func settingsBy(t *testing.T, args ...string) settings {
	t.Helper()
	text, err := json.Marshal(args)
	require.NoError(t, err)
	return settingsOf(gjson.Parse(`{"spec": {"template": {"spec": {
		"containers": [{"name": "mesh", "args": ["--namespaces=mesh"]}, {"name": "versioner", "args": ` + string(text) + `}],
		"volumes": [{"name": "certificate", "secret": {"secretName": "shown"}}]}}}}`))
}

func TestSettings(t *testing.T) {
	t.Parallel()
	rollouts := schema.GroupVersionResource{Group: "argoproj.io", Version: "v1alpha1", Resource: "rollouts"}
	everywhere, some := cluster.Everywhere, []string{"shop", "bank"}
	for name, c := range map[string]struct {
		args []string
		want settings
	}{
		"none":                         {nil, settings{namespaces: everywhere}},
		"Secrets":                      {[]string{"--secrets"}, settings{namespaces: everywhere, secrets: everywhere}},
		"Secrets, said":                {[]string{"-secrets=true"}, settings{namespaces: everywhere, secrets: everywhere}},
		"no Secrets":                   {[]string{"--secrets=false"}, settings{namespaces: everywhere}},
		"Secrets of some namespaces":   {[]string{"--secrets-namespaces=shop,bank"}, settings{namespaces: everywhere, secrets: some}},
		"some namespaces":              {[]string{"--namespaces=shop,bank"}, settings{namespaces: some}},
		"some namespaces, in two args": {[]string{"--namespaces", "shop,bank", "-v", "1"}, settings{namespaces: some}},
		"some namespaces, said twice":  {[]string{"--namespaces=shop", "--namespaces=bank"}, settings{namespaces: some}},
		"Secrets of what is served":    {[]string{"--secrets", "--namespaces=shop,bank"}, settings{namespaces: some, secrets: some}},
		"other kinds":                  {[]string{"--gc-reference-kinds=argoproj.io/v1alpha1/rollouts"}, settings{namespaces: everywhere, kinds: []schema.GroupVersionResource{rollouts}}},
		"its own certificate":          {[]string{"--issue-certificate=configpin-system/webhook"}, settings{namespaces: everywhere, issues: "shown"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, c.want, settingsBy(t, c.args...))
		})
	}
}

func TestUnserved(t *testing.T) {
	t.Parallel()
	some := settingsBy(t, "--namespaces=shop,bank", "--secrets-namespaces=shop")
	assert.Empty(t, some.unserved(wellknown.ConfigMap, "bank"))
	assert.Empty(t, some.unserved(wellknown.Secret, "shop"))
	assert.Equal(t, "Secrets are not served", some.unserved(wellknown.Secret, "bank"))
	assert.Equal(t, "configpin does not serve this namespace", some.unserved(wellknown.Secret, "other"))
	assert.Equal(t, "configpin does not serve this namespace", settingsBy(t).unserved(wellknown.ConfigMap, "kube-system"))
}
