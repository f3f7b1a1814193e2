package conformance

import (
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// goneSnapshots are about snapshots that somebody deleted.
var goneSnapshots = []scenario{
	{"a rollback to a snapshot that is gone is denied, and says what to do", rollbackToNothing},
	{"the current snapshot that somebody deleted is made again", currentDeleted},
}

func rollbackToNothing(s *space) {
	s.source("app", "blue")
	web := s.deploy("Deployment", "web", envFrom("app"))
	blue := s.showing(web, "app", "blue")
	s.becomesGreen(web)
	s.absent[s.sourceKind()+"/"+blue] = true
	s.removeSnapshot(blue)

	said, err := s.tryKubectl("", "rollout", "undo", "deployment/web")
	require.Error(s.t, err)
	assert.Contains(s.t, said.err, `admission webhook "workload.configpin.io" denied the request: `+
		"deployment/web can't be rolled back to "+blue+": there is no such snapshot of "+s.sourceKind()+"/app any more. "+
		`Choose another revision (kubectl rollout history deployment/web), or apply a template that names "app" to use what it holds now.`)
	assert.Equal(s.t, "green", s.colourOf(web, "app"))

	s.edit("app", "blue")
	assert.Equal(s.t, blue, s.showing(web, "app", "blue"), "the content is back, and so is its name")
}

func currentDeleted(s *space) {
	s.source("app", "blue")
	web := s.deploy("Deployment", "web", envFrom("app"))
	blue := s.showing(web, "app", "blue")
	s.eventually("blue is numbered", func() (string, bool) { return "", s.numbers()[blue] != "" })
	uid := s.readConfigMap(blue).UID
	s.removeSnapshot(blue)
	s.eventually("the versioner makes it again", func() (string, bool) {
		kept, there := s.snapshots()[blue]
		return "it is gone", there && kept.UID != uid
	})
	s.pass()
	assert.Zero(s.t, s.rollouts(web))
}
