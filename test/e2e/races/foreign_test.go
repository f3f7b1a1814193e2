package races

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/wellknown"
)

// foreign shows that what isn't a snapshot beyond doubt isn't touched, and takes
// nobody's place.
func (l *lab) foreign(t *testing.T) {
	t.Run("what isn't ours isn't touched", l.notOurs)
	t.Run("a snapshot that is used may say what it wants", l.editedAndUsed)
	t.Run("a spoof takes nobody's place", l.spoof)
}

// red is the snapshot that there would be of a content which a source never held.
func (h *history) red() *corev1.ConfigMap {
	return snapshot.Of(snapshot.Object{
		Kind:      wellknown.ConfigMap,
		Namespace: h.namespace,
		Name:      h.name,
		Data:      map[string]string{colour: "red"},
	}, snapshot.Lengths[0]).ConfigMap()
}

func (h *history) notOursOf(t *testing.T) map[string]*corev1.ConfigMap {
	t.Helper()
	changed := func(change func(*corev1.ConfigMap)) *corev1.ConfigMap {
		spoof := h.red()
		change(spoof)
		return spoof
	}
	suffix := snapshot.Suffix(h.red().Name)
	return map[string]*corev1.ConfigMap{
		"it can be changed": changed(func(c *corev1.ConfigMap) { c.Immutable = nil }),
		"it holds something else": changed(func(c *corev1.ConfigMap) {
			c.Data = map[string]string{colour: "pink"}
		}),
		"it holds something more": changed(func(c *corev1.ConfigMap) {
			c.BinaryData = map[string][]byte{"more": {1}}
		}),
		"it has another name": changed(func(c *corev1.ConfigMap) {
			c.Name = h.name + "-" + strings.Repeat("0", len(suffix))
		}),
		"it has a name that is none of a snapshot": changed(func(c *corev1.ConfigMap) { c.Name = h.name + "-mine" }),
		"its digest is another one": changed(func(c *corev1.ConfigMap) {
			digest := c.Annotations[wellknown.Digest]
			c.Annotations[wellknown.Digest] = digest[:len(digest)-1] + "_"
		}),
		"it has no digest":               changed(func(c *corev1.ConfigMap) { delete(c.Annotations, wellknown.Digest) }),
		"it says to be of another one":   changed(func(c *corev1.ConfigMap) { c.Labels[wellknown.SnapshotOf] = "other" }),
		"it was made of another one":     changed(func(c *corev1.ConfigMap) { c.Annotations[wellknown.Source] = "other" }),
		"it doesn't say what it is of":   changed(func(c *corev1.ConfigMap) { c.Labels = nil }),
		"it is somebody's, and so named": {ObjectMeta: metav1.ObjectMeta{Name: h.red().Name}, Data: h.red().Data, Immutable: ptr.To(true)},
		"it is marked, and holds something else": changed(func(c *corev1.ConfigMap) {
			c.Data = map[string]string{colour: "pink"}
			c.Annotations[wellknown.UnusedSince] = "2000-01-01T00:00:00Z"
		}),
	}
}

func (l *lab) notOurs(t *testing.T) {
	namespace := l.borrow(t)
	for name := range (&history{name: "app"}).notOursOf(t) {
		t.Run(name, func(t *testing.T) {
			h, c := l.history(t, namespace), newClock()
			maps := l.api.CoreV1().ConfigMaps(namespace)
			stored, err := maps.Create(t.Context(), h.notOursOf(t)[name], metav1.CreateOptions{})
			require.NoError(t, err)
			t.Cleanup(func() { h.removeMap(t, stored.Name) })
			collector := l.collector(t, namespace, c)
			for range 4 {
				h.collects(t, c, collector)
			}
			found := h.snapshot(t, stored.Name)
			require.NotNil(t, found)
			assert.Equal(t, stored.ResourceVersion, found.ResourceVersion)
		})
	}
	t.Run("somebody took its labels off", func(t *testing.T) {
		h, c := l.history(t, namespace), newClock()
		t.Cleanup(func() { h.removeMap(t, h.old) })
		stored := h.annotate(t, h.old, `{"metadata":{"labels":null}}`)
		collector := l.collector(t, namespace, c)
		for range 4 {
			c.passGrace()
			require.NoError(t, collector.Pass(t.Context()))
		}
		found := h.snapshot(t, h.old)
		require.NotNil(t, found)
		assert.Equal(t, stored.ResourceVersion, found.ResourceVersion)
	})
}

func (h *history) removeMap(t *testing.T, name string) {
	t.Helper()
	err := h.api.CoreV1().ConfigMaps(h.namespace).Delete(context.WithoutCancel(t.Context()), name, metav1.DeleteOptions{})
	assert.True(t, err == nil || apierrors.IsNotFound(err), err)
}

func (h *history) annotate(t *testing.T, name, patch string) *corev1.ConfigMap {
	t.Helper()
	stored, err := h.api.CoreV1().ConfigMaps(h.namespace).Patch(t.Context(), name, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
	require.NoError(t, err)
	return stored
}

// editedAndUsed: whatever somebody writes on a snapshot, what names it still does.
func (l *lab) editedAndUsed(t *testing.T) {
	namespace := l.borrow(t)
	for name, patch := range map[string]string{
		"it has no labels":            `{"metadata":{"labels":null}}`,
		"it says to be of another":    fmt.Sprintf(`{"metadata":{"labels":{%q:"other"}}}`, wellknown.SnapshotOf),
		"it has another revision":     fmt.Sprintf(`{"metadata":{"annotations":{%q:"-7"}}}`, wellknown.Revision),
		"it was marked long ago":      fmt.Sprintf(`{"metadata":{"annotations":{%q:"2000-01-01T00:00:00Z"}}}`, wellknown.UnusedSince),
		"it has a mark nobody reads":  fmt.Sprintf(`{"metadata":{"annotations":{%q:"long ago"}}}`, wellknown.UnusedSince),
		"it has further labels":       `{"metadata":{"labels":{"team":"shop"}}}`,
		"it doesn't say who made it":  fmt.Sprintf(`{"metadata":{"annotations":{%q:null}}}`, wellknown.Source),
		"it doesn't say what it held": fmt.Sprintf(`{"metadata":{"annotations":{%q:null}}}`, wellknown.Digest),
	} {
		t.Run(name, func(t *testing.T) {
			h, c := l.history(t, namespace), newClock()
			t.Cleanup(func() { h.removeMap(t, h.old) })
			require.NoError(t, h.create(t.Context(), h.pinned(h.old)))
			h.settle(t)
			h.annotate(t, h.old, patch)
			collector := l.collector(t, namespace, c)
			for range 4 {
				c.passGrace()
				require.NoError(t, collector.Pass(t.Context()))
			}
			assert.Empty(t, h.dangling(t))
			assert.NotEmpty(t, h.references(t))
		})
	}
}

// spoof: one snapshot is retained, and that is the one that the source held last,
// whatever somebody numbers what isn't one.
func (l *lab) spoof(t *testing.T) {
	h, c := l.history(t, l.borrow(t)), newClock()
	red := h.red()
	red.Data = map[string]string{colour: "pink"}
	red.Annotations[wellknown.Revision] = "2000000000"
	_, err := l.api.CoreV1().ConfigMaps(h.namespace).Create(t.Context(), red, metav1.CreateOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { h.removeMap(t, red.Name) })
	collector := l.collector(t, h.namespace, c)
	collector.Options.HistoryLimit = map[wellknown.Kind]int{wellknown.ConfigMap: 1}
	for range 4 {
		c.passGrace()
		require.NoError(t, collector.Pass(t.Context()))
	}
	assert.NotNil(t, h.snapshot(t, h.old), "there is room for it")
	assert.NotNil(t, h.snapshot(t, h.current))
	assert.NotNil(t, h.snapshot(t, red.Name), "it is somebody's")
	collector.Options.HistoryLimit = nil
	h.collects(t, c, collector)
}
