package conformance

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/configpin/configpin/internal/wellknown"
)

// configMap is a manifest of a ConfigMap, not a source yet.
func configMap(name string, data map[string]string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: data}
}

// versioned makes a source of a ConfigMap.
func versioned(c *corev1.ConfigMap) *corev1.ConfigMap {
	metav1.SetMetaDataAnnotation(&c.ObjectMeta, wellknown.Versioned, wellknown.True)
	return c
}

// source creates a source whose content is a colour.
func (s *space) source(name, value string) {
	s.t.Helper()
	s.create(versioned(configMap(name, map[string]string{colour: value})))
}

// edit gives a source another colour.
func (s *space) edit(name, value string) {
	s.t.Helper()
	s.patch(configMap(name, nil), s.colourPatch(value))
}

// colourPatch gives a source another colour.
func (s *space) colourPatch(value string) string {
	s.t.Helper()
	field := "data"
	if s.secrets {
		field = "stringData"
	}
	patch, err := json.Marshal(map[string]any{field: map[string]string{colour: value}})
	require.NoError(s.t, err)
	return string(patch)
}

// editTogether gives sources another colour, all at a time: one after another
// could be further apart than the versioner waits, on a machine that hesitates.
func (s *space) editTogether(colours map[string]string) {
	s.t.Helper()
	var group errgroup.Group
	ctx := s.t.Context()
	for name, value := range colours {
		patch := client.RawPatch(types.MergePatchType, []byte(s.colourPatch(value)))
		source := s.inKind(configMap(name, nil))
		source.SetNamespace(s.name)
		group.Go(func() error { return s.api.Patch(ctx, source, patch) })
	}
	require.NoError(s.t, group.Wait())
}

func (s *space) readConfigMap(name string) *corev1.ConfigMap {
	s.t.Helper()
	if s.secrets {
		found := &corev1.Secret{}
		require.NoError(s.t, s.api.Get(s.t.Context(), client.ObjectKey{Namespace: s.name, Name: name}, found))
		return configMapOf(found)
	}
	found := &corev1.ConfigMap{}
	require.NoError(s.t, s.api.Get(s.t.Context(), client.ObjectKey{Namespace: s.name, Name: name}, found))
	return found
}

// snapshots returns the snapshots of app by name. Anything that isn't one beyond
// doubt is left out.
func (s *space) snapshots() map[string]*corev1.ConfigMap {
	s.t.Helper()
	found := map[string]*corev1.ConfigMap{}
	for _, kept := range s.configMaps().snapshots["app"] {
		found[kept.Name] = kept
	}
	return found
}

// names are the keys of a map, sorted.
func names[T any](of map[string]T) []string { return slices.Sorted(maps.Keys(of)) }

// current is the snapshot of what a source holds now, or empty.
func (s *space) current(source string) string {
	s.t.Helper()
	if current := s.configMaps().current(source); current != nil {
		return current.Name
	}
	return ""
}

func sameContent(a, b *corev1.ConfigMap) bool {
	return maps.Equal(a.Data, b.Data) && maps.EqualFunc(a.BinaryData, b.BinaryData, slices.Equal)
}

// pins are those that a workload's template says, source to snapshot.
func pins(template corev1.PodTemplateSpec) map[string]string {
	found := map[string]string{}
	for entry := range strings.SplitSeq(template.Annotations[wellknown.Pins], ",") {
		if source, name, ok := strings.Cut(entry, "="); ok {
			_, source, _ = strings.Cut(source, "/")
			found[source] = name
		}
	}
	return found
}

// pin is the snapshot of source that a workload's refs name, or empty. The
// annotation must say the same.
func (s *space) pin(of *unstructured.Unstructured, source string) string {
	s.t.Helper()
	template := templateOf(s.t, s.get(of))
	name := pins(template)[source]
	if name == "" {
		return ""
	}
	for _, ref := range refsOf(template.Spec) {
		if ref.name == name {
			return name
		}
	}
	require.FailNow(s.t, "the pins annotation names what no ref names", "%s: %s", name, describe(refsOf(template.Spec)))
	return ""
}

// colourOf is the colour that a workload is pinned to, or empty.
func (s *space) colourOf(of *unstructured.Unstructured, source string) string {
	s.t.Helper()
	name := s.pin(of, source)
	if name == "" {
		return ""
	}
	return s.readConfigMap(name).Data[colour]
}

// showing waits until a workload is pinned to a colour of a source, and returns
// the snapshot.
func (s *space) showing(of *unstructured.Unstructured, source, value string) string {
	s.t.Helper()
	s.eventually(of.GetKind()+" "+of.GetName()+" is pinned to "+source+" in "+value, func() (string, bool) {
		got := s.colourOf(of, source)
		return strconv.Quote(got), got == value
	})
	return s.pin(of, source)
}

// pass waits until the versioner has dealt with everything that happened before
// the call: a change that comes later, of a source that belongs to nobody else,
// has rolled out. What a scenario expects not to happen would have happened by
// then: its time to settle was over earlier.
func (s *space) pass() {
	s.t.Helper()
	s.markers++
	value := strconv.Itoa(s.markers)
	marker := optedIn(s.t, "Deployment", "marker", envFrom("marker"))
	if s.markers == 1 {
		require.NoError(s.t, unstructured.SetNestedField(marker.Object, int64(0), "spec", "replicas"))
		s.source("marker", "0")
		s.create(marker.DeepCopy())
	}
	s.showing(marker, "marker", strconv.Itoa(s.markers-1))
	s.edit("marker", value)
	s.showing(marker, "marker", value)
}

// numbers are the revisions of the snapshots of app.
func (s *space) numbers() map[string]string {
	s.t.Helper()
	found := map[string]string{}
	for name, kept := range s.snapshots() {
		found[name] = kept.Annotations[wellknown.Revision]
	}
	return found
}
