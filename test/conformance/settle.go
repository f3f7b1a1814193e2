package conformance

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
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

// oneApply has no pause between its turns: each must be right at once. A turn in which
// the machine hesitated for as long as a source has to be quiet tells nothing, since the
// one object may have been there for so long before the other, and is played again.
func oneApply(s *space) {
	s.insteadOfVersioner([]string{"--settle=" + defaultSettle.String(), "--settle-max=10s"}, []string{"patient"}, func() {
		const turns = 50
		dir := s.t.TempDir()
		web := optedIn(s.t, "Deployment", "web", envFrom("app"), volume("app"))
		require.NoError(s.t, unstructured.SetNestedField(web.Object, int64(0), "spec", "replicas"))
		require.NoError(s.t, unstructured.SetNestedField(web.Object, int64(3), "spec", "revisionHistoryLimit"))
		slow := map[string]bool{} // releases in which, or after which, the machine hesitated
		turn := 0
		for ; turn-len(slow) <= turns; turn++ {
			require.Less(s.t, len(slow), turns, "an apply took %s too often for anything to be told", defaultSettle)
			value := strconv.Itoa(turn)
			config := &unstructured.Unstructured{Object: toUnstructured(s.t, versioned(configMap("app", map[string]string{colour: value})))}
			config.SetGroupVersionKind(configMapKind)
			annotate(s, web, "release", value)
			require.NoError(s.t, os.WriteFile(filepath.Join(dir, "configmap.json"), []byte(manifest(s.t, config)), 0o600))
			require.NoError(s.t, os.WriteFile(filepath.Join(dir, "deployment.json"), []byte(manifest(s.t, web)), 0o600))
			began := time.Now()
			s.kubectl("apply", "--filename="+dir)
			if time.Since(began) >= defaultSettle {
				slow[strconv.Itoa(turn-1)], slow[value] = true, true // the webhook may not have answered in time, either
			}
			require.Equal(s.t, value, s.colourOf(web, "app"))
		}
		s.pass()
		templates := map[string]int{} // by the release that was deployed
		for _, text := range s.templates(web) {
			var template corev1.PodTemplateSpec
			require.NoError(s.t, json.Unmarshal([]byte(text), &template))
			templates[template.Annotations["release"]]++
		}
		assert.Len(s.t, templates, turn)
		for release, count := range templates {
			if !slow[release] {
				assert.Equal(s.t, 1, count, "rollouts of release %s", release)
			}
		}
		assert.GreaterOrEqual(s.t, len(s.snapshots()), turn-len(slow))
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

// tenEdits edits until ten edits in a row came without a pause in which the source was
// quiet for long enough: on a machine that hesitates, others tell nothing.
func tenEdits(s *space) {
	s.source("app", "0")
	web := s.deploy("Deployment", "web", envFrom("app"))
	s.rolledOut(web, 1)
	edits := 0
	s.eventually("ten edits without a pause", func() (string, bool) {
		before := s.rollouts(web)
		hesitated := s.editTen(&edits)
		s.showing(web, "app", strconv.Itoa(edits))
		s.pass()
		if hesitated {
			return "the machine hesitated after " + strconv.Itoa(edits) + " edits altogether", false
		}
		assert.LessOrEqual(s.t, s.rollouts(web)-before, 2)
		return "", true
	})
}

// editTen edits app ten times in two seconds, unless the machine hesitates for as long as
// a source has to be quiet.
func (s *space) editTen(edits *int) (hesitated bool) {
	s.t.Helper()
	rhythm := time.NewTicker(200 * time.Millisecond)
	defer rhythm.Stop()
	last := time.Now()
	for range 10 {
		<-rhythm.C
		*edits++
		s.edit("app", strconv.Itoa(*edits))
		now := time.Now()
		if now.Sub(last) >= s.Settle {
			return true
		}
		last = now
	}
	return false
}
