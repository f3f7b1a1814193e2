package conformance

import (
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ownership is about server-side apply: an undo is a write by somebody else.
var ownership = []scenario{
	{"after an undo, server-side apply has no conflict: Deployment", applyAfterUndo("Deployment")},
	{"after an undo, server-side apply has no conflict: StatefulSet", applyAfterUndo("StatefulSet")},
	{"after an undo, server-side apply has no conflict: DaemonSet", applyAfterUndo("DaemonSet")},
	{"two who apply in turn write nothing", twoAppliers},
	{"an image that an undo brought back is a conflict for helm 4, as without us, and force ends it", imageConflict},
}

func applyAfterUndo(kind string) func(*space) {
	return func(s *space) {
		serverSide := []string{"--server-side", "--field-manager=gitops"}
		s.source("app", "blue")
		web := optedIn(s.t, kind, "web", envFrom("app"), volume("app"), colourEnv)
		s.apply(web, serverSide...)
		s.showing(web, "app", "blue")
		s.rolledOut(web, 1)
		s.edit("app", "green")
		s.showing(web, "app", "green")
		s.apply(web, serverSide...)
		s.rolledOut(web, 2)

		s.undo(web)
		for _, entry := range s.get(web).GetManagedFields() {
			if entry.Operation == metav1.ManagedFieldsOperationUpdate && entry.Subresource == "" {
				for _, field := range []string{"f:envFrom", "f:configMapKeyRef", "f:configMap"} {
					assert.NotContains(s.t, entry.FieldsV1.GetRawString(), field, "%s owns a name", entry.Manager)
				}
			}
		}
		s.apply(web, serverSide...)
		assert.Equal(s.t, "blue", s.colourOf(web, "app"), "an unchanged manifest doesn't end the hold")
		s.rolledOut(web, 2)

		annotate(s, web, "release", "2")
		s.apply(web, serverSide...)
		assert.Equal(s.t, "green", s.colourOf(web, "app"), "a changed manifest does")
	}
}

// twoAppliers: the API server sorts appliers by the time of their last apply, and
// takes another order for a change.
func twoAppliers(s *space) {
	w := s.rollBack("Deployment", serverSide)
	partial := w.web.DeepCopy()
	delete(partial.Object, "spec")
	partial.SetLabels(map[string]string{"team": "shop"})
	both := func() {
		w.deploy()
		s.pass() // times are in seconds
		s.apply(partial, "--server-side", "--field-manager=labels")
		s.pass()
	}
	both()
	before := w.look()
	both()
	both()
	assert.Equal(s.t, before, w.look())
}

// imageConflict is Kubernetes' own: kubectl owns the image that it brought back.
func imageConflict(s *space) {
	w := s.rollBack("Deployment", helm4)
	newImage(w)
	s.rolledOut(w.web, 3)
	s.undo(w.web)
	out, err := w.tool.deploy(s, w.declared)
	require.Error(s.t, err)
	assert.Contains(s.t, out.err, ".image")
	assert.NotContains(s.t, out.err, "configMap", "the names are nobody's by an update")
	w.deploy("--force-conflicts")
	assert.Equal(s.t, "green", s.colourOf(w.web, "app"), "which is a deploy")
}
