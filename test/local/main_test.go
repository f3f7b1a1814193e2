package main

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestWrongUsageIsOneLineAndExitCode2(t *testing.T) {
	for _, test := range []struct {
		name string
		args []string
		want string
	}{
		{"nothing", nil, "local: one of up, down, build is needed; --help explains them\n"},
		{"too much", []string{"up", "down"}, "local: one of up, down, build is needed; --help explains them\n"},
		{"something else", []string{"start"}, "local: \"start\" is none of up, down, build; --help explains them\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			assert.Equal(t, 2, report(t.Context(), run(t.Context(), test.args, &stdout), &stderr))
			assert.Equal(t, test.want, stderr.String())
			assert.Empty(t, stdout.String())
		})
	}
}

func TestSecretsAreServedWhereThatIsAskedFor(t *testing.T) {
	for value, want := range map[string]bool{"1": true, "0": false, "": false} {
		got, err := servesSecrets(value)
		require.NoError(t, err, value)
		assert.Equal(t, want, got, "CONFIGPIN_SECRETS=%s", value)
	}
	_, err := servesSecrets("yes")
	assert.EqualError(t, err, `local: CONFIGPIN_SECRETS is "yes", not 1 or 0`)
	var stderr bytes.Buffer
	assert.Equal(t, 2, report(t.Context(), err, &stderr))
}

func TestANodeIsRealWhereThatIsAskedFor(t *testing.T) {
	for value, want := range map[string]bool{"real": true, "": false} {
		got, err := hasRealNode(value)
		require.NoError(t, err, value)
		assert.Equal(t, want, got, "CONFIGPIN_NODE=%s", value)
	}
	_, err := hasRealNode("fake")
	assert.EqualError(t, err, `local: CONFIGPIN_NODE is "fake", not real`)
}

func TestTheChartGetsWhatTheEnvironmentSays(t *testing.T) {
	t.Setenv("CONFIGPIN_SECRETS", "1")
	t.Setenv("CONFIGPIN_FLAGS_WEBHOOK", "")
	t.Setenv("CONFIGPIN_FLAGS_VERSIONER", "--settle=500ms  --sweep=2s")
	values, err := helmValues()
	require.NoError(t, err)
	assert.ElementsMatch(t, []string{
		"--set=image.registry=localhost",
		"--set=image.tag=checkout",
		"--set=secrets.enabled=true",
		"--set-json=webhook.extraArgs=[]",
		`--set-json=versioner.extraArgs=["--settle=500ms","--sweep=2s"]`,
	}, values)
}

func TestHelpGoesToStandardOutput(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), []string{"--help"}, &out))
	assert.Contains(t, out.String(), "Examples:")
}

func TestBuildSaysWhereThingsAre(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the control plane and the deploy tools")
	}
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), []string{"build"}, &out))
	assert.Regexp(t, `The control plane is built, in .*/kubernetes-v.+`, out.String())
	assert.Regexp(t, `The deploy tools are built, in .*/helm-v.+`, out.String())
}

func TestExitCodes(t *testing.T) {
	var stderr bytes.Buffer
	assert.Equal(t, 0, report(t.Context(), nil, &stderr))
	assert.Empty(t, stderr.String())
	assert.Equal(t, 1, report(t.Context(), errors.New("starting kwok: gone"), &stderr))
	assert.Equal(t, "starting kwok: gone\n", stderr.String())
	stderr.Reset()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	assert.Equal(t, 130, report(ctx, errors.New("building etcd: interrupted"), &stderr))
	assert.Equal(t, "interrupted; run the same command again to go on\n", stderr.String())
}

func TestDownIsFineWhenNothingRuns(t *testing.T) {
	dir := filepath.Join(t.TempDir(), ".cluster")
	var out bytes.Buffer
	require.NoError(t, down(t.Context(), dir, &out))
	assert.Equal(t, "Nothing runs, and there is no "+dir+".\n", out.String())
	assert.NoDirExists(t, dir)
}
