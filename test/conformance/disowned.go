package conformance

import (
	"strings"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/configpin/configpin/internal/wellknown"
)

// disowned are about names that somebody owns by an update although admission
// replaced none of them.
var disowned = []scenario{
	{"an exported workload that is put back is no conflict for server-side apply", putBack},
	{"an exported workload that is put back is no conflict for server-side apply: manual", putBackManual},
}

// disownedOutages are about names that were taken while the webhook was away.
var disownedOutages = []scenario{
	{"what an undo took while the webhook was away is put right by a touch: Deployment", takenIsTouched("Deployment")},
	{"what an undo took while the webhook was away is put right by a touch: StatefulSet", takenIsTouched("StatefulSet")},
	{"what an undo took while the webhook was away is put right by a touch: DaemonSet", takenIsTouched("DaemonSet")},
	{"what an undo took while the webhook was away is put right by any write: a restart", takenIsWritten("rollout restart")},
	{"what an undo took while the webhook was away is put right by any write: a label", takenIsWritten("label", "team=shop")},
	{"what an undo took while the webhook was away is put right by any write: rollout is manual", takenIsWritten("label", "configpin.io/rollout=manual")},
	{"a hash of config that an undo took while the webhook was away is put right by a touch", hashTaken},
}

// updaters are the managers that own, by an update, a field that admission answers for.
func (s *space) updaters(of *unstructured.Unstructured) string {
	s.t.Helper()
	var found []string
	for _, entry := range s.get(of).GetManagedFields() {
		if entry.Operation != metav1.ManagedFieldsOperationUpdate || entry.Subresource != "" {
			continue
		}
		for _, field := range []string{`"f:envFrom"`, `"f:configMapKeyRef"`, `"f:configMap":{"f:name"`, `"f:` + wellknown.Pins + `"`} {
			if strings.Contains(entry.FieldsV1.GetRawString(), field) {
				found = append(found, entry.Manager+" owns "+field)
			}
		}
	}
	return strings.Join(found, ", ")
}

func (s *space) putBackAfter(labels map[string]string, back func(web, exported *unstructured.Unstructured)) {
	s.t.Helper()
	s.source("app", "blue")
	web := optedIn(s.t, "Deployment", "web", envFrom("app"), volume("app"), colourEnv)
	for key, value := range labels {
		all := web.GetLabels()
		all[key] = value
		web.SetLabels(all)
	}
	s.apply(web, gitopsTool...)
	s.showing(web, "app", "blue")
	exported := s.exported(web)
	back(web, exported)
	assert.Empty(s.t, s.updaters(web))
	s.apply(web, gitopsTool...)
	partial := optedIn(s.t, "Deployment", "web", colourEnv)
	partial.SetLabels(web.GetLabels())
	s.apply(partial, gitopsTool...)
	assert.NotContains(s.t, templateText(s.t, s.get(web)), "envFrom", "whoever applied it still owned it")
	assert.Empty(s.t, templateOf(s.t, s.get(web)).Spec.Volumes)
}

// gitopsTool are the flags of somebody who applies server-side, unforced.
var gitopsTool = []string{"--server-side", "--field-manager=gitops"}

// putBack looks to admission like its own answer, seen again.
func putBack(s *space) {
	s.putBackAfter(nil, func(web, exported *unstructured.Unstructured) {
		s.edit("app", "green")
		s.showing(web, "app", "green")
		s.edit("app", "blue")
		s.eventually("it is put back", func() (string, bool) {
			out, err := s.tryKubectl(manifest(s.t, exported), "replace", "--filename=-")
			return out.err, err == nil // the versioner may have been quicker
		})
	})
}

func putBackManual(s *space) {
	s.putBackAfter(map[string]string{wellknown.Rollout: wellknown.RolloutManual}, func(web, exported *unstructured.Unstructured) {
		s.edit("app", "green")
		s.pass()
		annotate(s, web, "release", "2")
		s.apply(web, gitopsTool...)
		s.showing(web, "app", "green")
		s.edit("app", "blue")
		s.replace(exported)
	})
}

// undoneUnseen has an undo take names from somebody who applies server-side, while the webhook
// is away.
func (s *space) undoneUnseen(kind string) *unstructured.Unstructured {
	s.t.Helper()
	s.source("app", "blue")
	web := optedIn(s.t, kind, "web", envFrom("app"), volume("app"), colourEnv)
	s.apply(web, gitopsTool...)
	s.showing(web, "app", "blue")
	s.rolledOut(web, 1)
	s.edit("app", "green")
	s.showing(web, "app", "green")
	s.rolledOut(web, 2)
	s.complete(web)
	s.withoutWebhook(func() { s.undo(web) })
	return web
}

func takenIsTouched(kind string) func(*space) {
	return func(s *space) {
		web := s.undoneUnseen(kind)
		s.eventually("nobody owns a name by an update", func() (string, bool) {
			owned := s.updaters(web)
			return owned, owned == ""
		})
		s.rolledOut(web, 2)
		s.complete(web)
		version := s.get(web).GetResourceVersion()
		s.pass()
		s.pass()
		assert.Equal(s.t, version, s.get(web).GetResourceVersion(), "it is touched once")
		s.apply(web, gitopsTool...)
		s.pass()
		assert.Equal(s.t, "blue", s.colourOf(web, "app"))
		assert.True(s.t, s.held(web, "app"))
		s.rolledOut(web, 2)
	}
}

func takenIsWritten(verb string, args ...string) func(*space) {
	return func(s *space) {
		s.withoutVersioner(func() {
			require.NoError(s.t, s.Operator.StartVersioner(s.t.Context()))
			web := s.undoneUnseen("Deployment")
			require.NoError(s.t, s.Operator.StopVersioner())
			s.kubectl(append(append(strings.Fields(verb), resourceArgument(web)), args...)...)
			assert.Empty(s.t, s.updaters(web))
			s.apply(web, gitopsTool...)
			assert.True(s.t, s.held(web, "app"))
		})
	}
}
