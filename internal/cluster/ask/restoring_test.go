package ask

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	corev1 "k8s.io/api/core/v1"
	"pgregory.net/rapid"

	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/wellknown"
)

// Whatever a source held: written back, a content is all that it holds, and its labels stay.
func TestRestoringLeavesThatContentAlone(t *testing.T) {
	t.Parallel()
	text := rapid.MapOfN(rapid.StringMatching("[a-d]"), rapid.SampledFrom([]string{"", "x", "\x00\xff"}), 0, 4)
	binary := rapid.MapOfN(rapid.StringMatching("[e-h]"), rapid.SliceOfN(rapid.Byte(), 0, 3), 0, 4)
	rapid.Check(t, func(t *rapid.T) {
		source, content := snapshot.Object{Data: text.Draw(t, "was")}, snapshot.Object{Data: text.Draw(t, "is")}
		source.Name, source.ResourceVersion, source.Labels = "app", "7", map[string]string{"team": "shop"}
		source.Kind = rapid.SampledFrom(wellknown.Kinds).Draw(t, "kind")
		content.Kind = source.Kind
		var before, after any = source.Secret(), &corev1.Secret{}
		if source.Kind == wellknown.ConfigMap {
			source.Binary, content.Binary = binary.Draw(t, "was binary"), binary.Draw(t, "is binary")
			source.Data, content.Data = printable(source.Data), printable(content.Data)
			before, after = source.ConfigMap(), &corev1.ConfigMap{}
		}
		stored, err := json.Marshal(before)
		require.NoError(t, err)
		patch, err := json.Marshal(restoring(source, content))
		require.NoError(t, err)
		patched, err := jsonpatch.MergePatch(stored, patch)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(patched, after))

		got := snapshot.Object{}
		switch restored := after.(type) {
		case *corev1.ConfigMap:
			got = snapshot.FromConfigMap(restored)
		case *corev1.Secret:
			got = snapshot.FromSecret(restored, nil)
		}
		for key, value := range content.Data {
			require.Equal(t, value, got.Data[key])
		}
		require.Len(t, got.Data, len(content.Data))
		for key, value := range content.Binary {
			require.Equal(t, string(value), string(got.Binary[key]))
		}
		require.Len(t, got.Binary, len(content.Binary))
		require.Equal(t, source.Labels, got.Labels)
	})
}

// Whoever wrote the source after it was read is told of a conflict, and loses nothing: the
// patch says which it is for, and not what is stored by now.
func TestRestoringIsOfWhatWasRead(t *testing.T) {
	t.Parallel()
	read := snapshot.Object{Kind: wellknown.ConfigMap, Name: "app", ResourceVersion: "7", Data: map[string]string{"a": "x"}}
	stored := read.ConfigMap()
	stored.ResourceVersion = "8"
	before, err := json.Marshal(stored)
	require.NoError(t, err)
	patch, err := json.Marshal(restoring(read, snapshot.Object{Kind: wellknown.ConfigMap, Data: map[string]string{"a": "y"}}))
	require.NoError(t, err)
	patched, err := jsonpatch.MergePatch(before, patch)
	require.NoError(t, err)
	after := corev1.ConfigMap{}
	require.NoError(t, json.Unmarshal(patched, &after))
	require.Equal(t, "7", after.ResourceVersion)
}

// printable has the data of a ConfigMap, which is UTF-8.
func printable(data map[string]string) map[string]string {
	for key, value := range data {
		if value == "\x00\xff" {
			data[key] = "ÿ"
		}
	}
	return data
}
