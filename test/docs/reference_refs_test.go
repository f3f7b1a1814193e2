package docs

import (
	"encoding/json"
	"maps"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/configpin/configpin/internal/refs"
)

// TestReferenceListsEveryRef asks the walk itself, about every field of the API
// that could name a ConfigMap or a Secret.
func TestReferenceListsEveryRef(t *testing.T) {
	t.Parallel()
	d := reference(t)
	pinned, left := map[string]string{}, map[string]bool{}
	for path, spec := range nameFields(reflect.TypeFor[corev1.PodSpec](), "", func(inner any) any { return inner }) {
		raw, err := json.Marshal(spec)
		require.NoError(t, err)
		found := refs.Walk(string(raw))
		path = strings.NewReplacer("initContainers", "containers", "ephemeralContainers", "containers").Replace(path)
		if len(found) == 1 {
			pinned[path] = found[0].Kind.KubernetesKind()
		} else if sourceInPath.MatchString(path) {
			left[path] = true
		}
	}
	listed := rows(t, d, "Fields that count")
	sameSubjects(t, "Fields that count", listed, pinned, "what internal/refs finds")
	for path, row := range listed {
		sameCell(t, row, "names a", row.Cells[1], pinned[path])
	}
	sameSubjects(t, "Fields that are left as they are", rows(t, d, "Fields that are left as they are"), left, "k8s.io/api")
}

// sourceInPath matches fields that name a ConfigMap or Secret.
var sourceInPath = regexp.MustCompile(`(?i)(configMap|secret)\w*(\[\])?(\.name|\.secretName)?$`)

// nameFields returns every field called name or secretName, by its path, with an
// object in which it alone is set.
func nameFields(in reflect.Type, path string, wrap func(inner any) any) map[string]any {
	found := map[string]any{}
	switch in.Kind() {
	case reflect.Pointer:
		return nameFields(in.Elem(), path, wrap)
	case reflect.Slice:
		return nameFields(in.Elem(), path+"[]", func(inner any) any { return wrap([]any{inner}) })
	case reflect.String:
		if strings.HasSuffix(path, ".name") || strings.HasSuffix(path, ".secretName") {
			found[path] = wrap("x")
		}
	case reflect.Struct:
		if in == reflect.TypeFor[metav1.ObjectMeta]() {
			return nil // of an ephemeral volume's claim
		}
		for field := range in.Fields() {
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if name == "" {
				maps.Copy(found, nameFields(field.Type, path, wrap))
				continue
			}
			maps.Copy(found, nameFields(field.Type, strings.TrimPrefix(path+"."+name, "."), func(inner any) any { return wrap(map[string]any{name: inner}) }))
		}
	}
	return found
}
