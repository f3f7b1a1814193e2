package conformance

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// settling is about how many rollouts a change is.
var settling = []scenario{
	{"two ConfigMaps changed together are one rollout", twoTogether},
	{"ten edits in two seconds are at most two rollouts, and the last one counts", tenEdits},
}

// defaults are about what the versioner waits for when it isn't told otherwise.
var defaults = []scenario{
	{"a ConfigMap and its Deployment in one apply are one rollout, each of 50 times", oneApply},
}

// defaultSettle is long enough for all that one kubectl apply does.
const defaultSettle = 2 * time.Second

// oneApply has no pause between its turns: each must be right at once.
func oneApply(s *space) {
	s.insteadOfVersioner([]string{"--settle=" + defaultSettle.String(), "--settle-max=10s"}, []string{"patient"}, func() {
		const turns = 50
		dir := s.t.TempDir()
		web := optedIn(s.t, "Deployment", "web", envFrom("app"), volume("app"))
		require.NoError(s.t, unstructured.SetNestedField(web.Object, int64(0), "spec", "replicas"))
		require.NoError(s.t, unstructured.SetNestedField(web.Object, int64(3), "spec", "revisionHistoryLimit"))
		slow := 0
		for turn := range turns + 1 {
			value := strconv.Itoa(turn)
			config := &unstructured.Unstructured{Object: toUnstructured(s.t, versioned(configMap("app", map[string]string{colour: value})))}
			config.SetGroupVersionKind(configMapKind)
			annotate(s, web, "release", value)
			require.NoError(s.t, os.WriteFile(filepath.Join(dir, "configmap.json"), []byte(manifest(s.t, config)), 0o600))
			require.NoError(s.t, os.WriteFile(filepath.Join(dir, "deployment.json"), []byte(manifest(s.t, web)), 0o600))
			began := time.Now()
			s.kubectl("apply", "--filename="+dir)
			if time.Since(began) >= defaultSettle {
				slow++ // the one may have been there for so long before the other
			}
			require.Equal(s.t, value, s.colourOf(web, "app"))
		}
		s.pass()
		assert.GreaterOrEqual(s.t, s.rollouts(web), turns)
		assert.LessOrEqual(s.t, s.rollouts(web), turns+slow)
		assert.Len(s.t, s.snapshots(), turns+1)
	})
}

// annotate sets an annotation in the manifest of a workload's template.
func annotate(s *space, of *unstructured.Unstructured, key, value string) {
	s.t.Helper()
	path := slices.Concat(templatePath(s.t, of), []string{"metadata", "annotations", key})
	require.NoError(s.t, unstructured.SetNestedField(of.Object, value, path...))
}

func twoTogether(s *space) {
	s.source("app", "blue")
	s.source("extra", "grey")
	web := s.deploy("Deployment", "web", envFrom("app"), volume("extra"))
	s.rolledOut(web, 1)
	s.editTogether(map[string]string{"app": "green", "extra": "white"})
	s.showing(web, "app", "green")
	s.showing(web, "extra", "white")
	s.pass()
	assert.Equal(s.t, 1, s.rollouts(web))
	s.rolledOut(web, 2)

	s.undo(web)
	assert.Equal(s.t, "blue", s.colourOf(web, "app"), "an undo brings both back")
	assert.Equal(s.t, "grey", s.colourOf(web, "extra"))
	s.rolledOut(web, 2)
	s.edit("extra", "black")
	s.showing(web, "extra", "black")
	assert.Equal(s.t, "blue", s.colourOf(web, "app"), "a source that didn't change again stays held")
	s.pass()
	assert.Equal(s.t, 3, s.rollouts(web))
}

func tenEdits(s *space) {
	s.source("app", "0")
	web := s.deploy("Deployment", "web", envFrom("app"))
	s.rolledOut(web, 1)
	rhythm := time.NewTicker(200 * time.Millisecond)
	defer rhythm.Stop()
	last, pauses := time.Now(), 0
	for edit := range 10 {
		<-rhythm.C
		s.edit("app", strconv.Itoa(edit+1))
		// On a machine that hesitates the source may really be quiet for long
		// enough. That isn't what this is about.
		now := time.Now()
		if now.Sub(last) >= s.Settle {
			pauses++
		}
		last = now
	}
	s.showing(web, "app", "10")
	s.pass()
	assert.LessOrEqual(s.t, s.rollouts(web), 2+pauses)
}
