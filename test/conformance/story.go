package conformance

import (
	"maps"
	"strings"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/configpin/configpin/internal/wellknown"
)

// stories are the promise itself, for each kind that rolls out.
var stories = []scenario{
	{"a Deployment rolls out, rolls back, and stays so until its source changes", story("Deployment")},
	{"a StatefulSet rolls out, rolls back, and stays so until its source changes", story("StatefulSet")},
	{"a DaemonSet rolls out, rolls back, and stays so until its source changes", story("DaemonSet")},
	{"a content that comes back is the snapshot that it was", comesBack},
	{"what is said of a content once it is there is said of that one", causes},
}

func story(kind string) func(*space) {
	return func(s *space) {
		s.source("app", "blue")
		web := optedIn(s.t, kind, "web", envFrom("app"), volume("app"), colourEnv)
		said := s.apply(web)
		blue := s.pin(web, "app")
		assert.Equal(s.t, []string{s.sourceKind() + "/app: pinned to " + blue}, said.warnings())
		s.sameButNames(web, s.get(web))
		first := s.rolledOut(web, 1)[0]

		s.edit("app", "green")
		green := s.showing(web, "app", "green")
		before := s.rolledOut(web, 2)
		s.pass()
		assert.Equal(s.t, 1, s.rollouts(web), "one change of the source is one rollout")
		assert.Equal(s.t, first.name, before[0].name)
		assert.Equal(s.t, first.template, before[0].template, "the old revision is as it was")
		assert.Equal(s.t, "blue", s.readConfigMap(blue).Data[colour])

		said = s.undo(web)
		assert.Contains(s.t, said.warnings(), s.sourceKind()+"/app: held at "+blue+"; to end it, label the "+strings.ToLower(kind)+" configpin.io/resume=true")
		assert.Equal(s.t, "blue", s.colourOf(web, "app"))
		back := s.rolledOut(web, 2)[1]
		assert.Equal(s.t, first.name, back.name, "the rollback uses the old revision again")
		assert.Equal(s.t, int64(3), back.number)
		assert.Equal(s.t, s.templates(web)[0], s.templates(web)[2], "the rollback restores every byte of the template")

		s.pass()
		assert.Equal(s.t, "blue", s.colourOf(web, "app"), "nothing but time has passed")
		s.kubectl("label", resourceArgument(web), "team=shop")
		assert.Equal(s.t, "blue", s.colourOf(web, "app"), "something else was written")
		s.apply(web)
		assert.Equal(s.t, "blue", s.colourOf(web, "app"), "its manifest was applied again")
		s.apply(web, "--server-side")
		assert.Equal(s.t, "blue", s.colourOf(web, "app"), "its manifest was applied again, server-side")
		s.kubectl("rollout", "restart", resourceArgument(web))
		assert.Equal(s.t, "blue", s.colourOf(web, "app"), "it was restarted")

		s.edit("app", "red")
		s.showing(web, "app", "red")
		s.rolledOut(web, 4) // blue, green, blue restarted, red
		assert.Len(s.t, s.snapshots(), 3)
		assert.Contains(s.t, s.snapshots(), green)
	}
}

func comesBack(s *space) {
	s.source("app", "blue")
	web := s.deploy("Deployment", "web", envFrom("app"))
	blue := s.showing(web, "app", "blue")
	first := s.rolledOut(web, 1)[0]

	s.edit("app", "green")
	green := s.showing(web, "app", "green")
	s.rolledOut(web, 2)

	s.edit("app", "blue")
	require.Equal(s.t, blue, s.showing(web, "app", "blue"))
	again := s.rolledOut(web, 2)[1]
	assert.Equal(s.t, first.name, again.name, "the ReplicaSet of the same template is used again")

	s.eventually("blue is revision 3 and green is 2", func() (string, bool) {
		numbers := s.numbers()
		return pretty(s, numbers), numbers[blue] == "3" && numbers[green] == "2"
	})
	s.pass()
	assert.Len(s.t, s.snapshots(), 2)
	assert.Equal(s.t, 2, s.rollouts(web))
}

// causes are said as Kubernetes teaches: edit, then annotate. What nobody says anything
// about is said nothing of.
func causes(s *space) {
	s.source("app", "blue")
	said := func(colours map[string]string) {
		s.t.Helper()
		s.eventually("each snapshot says what was said of it: "+pretty(s, colours), func() (string, bool) {
			found := map[string]string{}
			for _, kept := range s.snapshots() {
				if kept.Annotations[wellknown.Revision] != "" {
					found[kept.Data[colour]] = kept.Annotations[wellknown.ChangeCause]
				}
			}
			return pretty(s, found), maps.Equal(found, colours)
		})
	}
	say := func(cause string) {
		s.t.Helper()
		s.kubectl("annotate", s.sourceKind()+"/app", "--overwrite", wellknown.KubernetesChangeCause+"="+cause)
	}
	said(map[string]string{"blue": ""})
	say("first")
	said(map[string]string{"blue": "first"})
	s.edit("app", "green")
	said(map[string]string{"blue": "first", "green": ""})
	say("second")
	said(map[string]string{"blue": "first", "green": "second"})
	web := s.deploy("Deployment", "web", envFrom("app"))
	s.rolledOut(web, 1)
	s.edit("app", "red")
	s.showing(web, "app", "red")
	said(map[string]string{"blue": "first", "green": "second", "red": ""})
	s.edit("app", "blue")
	s.showing(web, "app", "blue")
	s.pass()
	said(map[string]string{"blue": "first", "green": "second", "red": ""})
	say("red was bad")
	said(map[string]string{"blue": "red was bad", "green": "second", "red": ""})
	s.pass()
	assert.Equal(s.t, 2, s.rollouts(web), "words roll nothing out")
}
