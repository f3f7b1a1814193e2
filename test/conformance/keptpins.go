package conformance

import (
	"fmt"
	"strings"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/configpin/configpin/internal/wellknown"
)

// keptPins are about the policy that keeps pins while the webhook is away: what it
// refuses then, and that it refuses nothing otherwise.
var keptPins = []scenario{
	{"with the webhook there, the policy refuses nothing: Deployment", ordinaryActions("Deployment")},
	{"with the webhook there, the policy refuses nothing: StatefulSet", ordinaryActions("StatefulSet")},
	{"with the webhook there, the policy refuses nothing: CronJob", ordinaryActions("CronJob")},
}

// unpins is what the policy says of a request that would un-pin a workload.
func unpins(workload, source string) string {
	return fmt.Sprintf("%s would name %s itself again instead of a snapshot: the configpin webhook is away, or something changes what it answers. "+
		"Try again when it is back, or opt out first: kubectl label %s configpin.io/enabled=false --overwrite", workload, source, workload)
}

// ordinaryActions each un-pin something, because somebody says so, or write the
// name of a source that stays pinned.
func ordinaryActions(kind string) func(*space) {
	return func(s *space) {
		for _, name := range []string{"app", "extra", "third"} {
			s.source(name, "blue")
		}
		manifestOf := func(uses ...use) *unstructured.Unstructured { return optedIn(s.t, kind, "web", uses...) }
		web := manifestOf(envFrom("app"), volume("extra"), volume("third"))
		s.apply(web)
		s.showing(web, "third", "blue")

		s.apply(web)
		s.replace(web)
		assert.Equal(s.t, "blue", s.colourOf(web, "third"), "replaced by its manifest")

		excluding := manifestOf(envFrom("app"), volume("extra"), volume("third"))
		annotate(s, excluding, wellknown.Exclude, "configmap/third")
		s.apply(excluding)
		assert.Empty(s.t, s.snapshotsNamed(web, "third"), "excluded")
		s.apply(web)
		assert.Equal(s.t, "blue", s.colourOf(web, "third"), "excluded no more")
		s.replace(excluding)
		assert.Empty(s.t, s.snapshotsNamed(web, "third"), "excluded by a replace")
		s.replace(web)

		s.kubectl("annotate", "configmap/third", wellknown.Versioned+"-")
		s.apply(web)
		assert.Empty(s.t, s.snapshotsNamed(web, "third"), "not versioned any more")

		s.absent["configmap/extra"] = true
		s.remove(configMap("extra", nil))
		s.apply(web)
		s.replace(web)
		assert.Equal(s.t, "blue", s.colourOf(web, "extra"), "a deleted source keeps its pin")

		without := manifestOf(envFrom("app"))
		s.apply(without)
		assert.Empty(s.t, s.snapshotsNamed(web, "extra"), "a ref that is gone")
		s.apply(manifestOf(envFrom("app"), volume("app")))
		renamed := manifestOf(envFrom("app"), volume("app"))
		renameVolume(s, renamed, "renamed")
		s.apply(renamed)
		assert.Equal(s.t, "blue", s.colourOf(web, "app"), "a volume with another name")

		s.absent["secret/app"] = true
		secret := manifestOf(secretVolume("app"))
		s.apply(secret)
		assert.Empty(s.t, s.snapshotsNamed(web, "app"), "a Secret of the same name")
		s.apply(without)
		s.replace(secret)
		assert.Empty(s.t, s.snapshotsNamed(web, "app"), "a Secret of the same name by a replace")

		s.apply(without)
		s.kubectl("label", resourceArgument(web), "configpin.io/enabled=false", "--overwrite")
		s.replace(plainWorkload(s.t, kind, "web", envFrom("app")))
		assert.Empty(s.t, s.snapshotsNamed(web, "app"), "opted out")
	}
}

// snapshotsNamed are the snapshots of a source that a template names, whatever its
// annotation says.
func (s *space) snapshotsNamed(of *unstructured.Unstructured, source string) []string {
	s.t.Helper()
	var found []string
	for _, r := range refsOf(templateOf(s.t, s.get(of)).Spec) {
		if strings.HasPrefix(r.name, source+"-") {
			found = append(found, r.String())
		}
	}
	return found
}

// replace replaces an object by its manifest, and leaves kubectl apply what it has
// to know. kubectl sends the resourceVersion that it read, so the controller has
// to be done.
func (s *space) replace(object *unstructured.Unstructured) {
	s.t.Helper()
	s.complete(object)
	out, err := s.tryKubectl(manifest(s.t, object), "replace", "--filename=-", "--save-config")
	require.NoError(s.t, err, out.err)
}

func renameVolume(s *space, of *unstructured.Unstructured, name string) {
	s.t.Helper()
	spec := append(templatePath(s.t, of), "spec")
	volumes, _, err := unstructured.NestedSlice(of.Object, append(spec, "volumes")...)
	require.NoError(s.t, err)
	volumes[0].(map[string]any)["name"] = name
	require.NoError(s.t, unstructured.SetNestedSlice(of.Object, volumes, append(spec, "volumes")...))
	containers, _, err := unstructured.NestedSlice(of.Object, append(spec, "containers")...)
	require.NoError(s.t, err)
	delete(containers[0].(map[string]any), "volumeMounts")
	require.NoError(s.t, unstructured.SetNestedSlice(of.Object, containers, append(spec, "containers")...))
}
