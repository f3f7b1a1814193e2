package conformance

import (
	"encoding/json"
	"maps"
	"strings"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/configpin/configpin/internal/wellknown"
)

// dryRuns are about answers to questions. The versioner would keep a content by
// itself, so it is away.
var dryRuns = []scenario{
	{"a dry run writes nothing, and says what a write would store", dryRun},
}

func dryRun(s *space) {
	s.withoutVersioner(func() {
		s.source("app", "blue")
		web := optedIn(s.t, "Deployment", "web", envFrom("app"), volume("app"))
		s.sameAnswer(web)
		assert.Equal(s.t, "blue", s.colourOf(web, "app"))
		s.rolledOut(web, 1)
		s.edit("app", "green")
		annotate(s, web, "release", "2")
		s.sameAnswer(web)
		assert.Equal(s.t, "green", s.colourOf(web, "app"))
		s.rolledOut(web, 2)

		before := s.content()
		s.kubectl("rollout", "undo", "deployment/web", "--dry-run=server")
		assert.Equal(s.t, before, s.content())
	})
}

// sameAnswer applies a workload dry, and then for good.
func (s *space) sameAnswer(web *unstructured.Unstructured) {
	s.t.Helper()
	before := s.content()
	said := s.apply(web, "--dry-run=server", "--output=json")
	assert.Equal(s.t, before, s.content(), "a dry run writes nothing")
	answer := &unstructured.Unstructured{}
	require.NoError(s.t, json.Unmarshal([]byte(said.out), answer))

	again := s.apply(web)
	assert.Equal(s.t, said.warnings(), again.warnings())
	stored := s.get(web)
	assert.Equal(s.t, templateText(s.t, stored), templateText(s.t, answer))
	assert.Equal(s.t, ourLabels(stored), ourLabels(answer))
}

func ourLabels(of *unstructured.Unstructured) map[string]string {
	found := maps.Clone(of.GetLabels())
	maps.DeleteFunc(found, func(key, _ string) bool { return !strings.Contains(key, wellknown.Domain) })
	return found
}
