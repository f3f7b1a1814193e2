package cli

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/configpin/configpin/internal/inspect"
	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/wellknown"
)

func TestSourceArg(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]refs.Target{
		"configmap/app":   {Kind: wellknown.ConfigMap, Name: "app"},
		"configmaps/app":  {Kind: wellknown.ConfigMap, Name: "app"},
		"cm/app.yaml":     {Kind: wellknown.ConfigMap, Name: "app.yaml"},
		"ConfigMap/app":   {Kind: wellknown.ConfigMap, Name: "app"},
		"secret/db":       {Kind: wellknown.Secret, Name: "db"},
		"app":             {},
		"":                {},
		"/":               {},
		"configmap/":      {},
		"configmap/a/b":   {},
		"configmap/App":   {},
		"deployment/web":  {},
		"configmap/../db": {},
	} {
		got, err := sourceArg(text)
		assert.Equal(t, want, got, text)
		assert.Equal(t, want == refs.Target{}, err != nil, text)
	}
}

func TestWorkloadArg(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"deployment/web":       "Deployment web",
		"deploy/web":           "Deployment web",
		"deployments.apps/web": "Deployment web",
		"sts/db":               "StatefulSet db",
		"ds/agent":             "DaemonSet agent",
		"CronJob/nightly":      "CronJob nightly",
		"cj/nightly":           "CronJob nightly",
		"jobs/once":            "Job once",
		"job.batch/once":       "Job once",
		"job.apps/once":        "",
		"/web":                 "",
		"web":                  "",
		"deployment/":          "",
		"deployment/a/b":       "",
		"pod/web":              "",
	} {
		kind, name, err := workloadArg(text)
		if want == "" {
			assert.Error(t, err, text)
			continue
		}
		require.NoError(t, err, text)
		assert.Equal(t, want, kind.Kind+" "+name)
	}
}

func TestOne(t *testing.T) {
	t.Parallel()
	assert.Equal(t, []string{"configmap/app"}, one([]string{"configmap", "app"}))
	assert.Equal(t, []string{"configmap/app"}, one([]string{"configmap/app"}))
	assert.Equal(t, []string{"deploy/a", "deploy/b"}, one([]string{"deploy/a", "deploy/b"}))
}

func TestFind(t *testing.T) {
	t.Parallel()
	source := refs.Target{Kind: wellknown.ConfigMap, Name: "app"}
	all := []inspect.Revision{{Number: 2, Snapshot: "app-a"}, {Number: 3, Snapshot: "app-b", Current: true}, {Number: 3, Snapshot: "app-c"}, {Snapshot: "app-d"}}
	for name, want := range map[string]int{"2": 0, "live": 1, "app-c": 2, "app-d": 3} {
		got, err := find(all, source, name)
		require.NoError(t, err)
		assert.Equal(t, want, got, name)
	}
	for name, want := range map[string]string{
		"3":  "configmap/app has several snapshots of revision 3: name one of them (kubectl configpin history configmap/app)",
		"9":  `configmap/app has no revision "9": it has 2, 3, 3 (kubectl configpin history configmap/app)`,
		"0":  `configmap/app has no revision "0": it has 2, 3, 3 (kubectl configpin history configmap/app)`,
		"":   `configmap/app has no revision "": it has 2, 3, 3 (kubectl configpin history configmap/app)`,
		"-1": `configmap/app has no revision "-1": it has 2, 3, 3 (kubectl configpin history configmap/app)`,
	} {
		_, err := find(all, source, name)
		assert.EqualError(t, err, want)
	}
	_, err := find(all[:1], source, "live")
	assert.EqualError(t, err, "configmap/app holds nothing that is versioned: it does not exist, or is not annotated configpin.io/versioned=true")
}
