package refs_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/configpin/configpin/internal/refs"
)

// namesSource matches the types that refer to a ConfigMap or a Secret, and the
// fields that do so by another type.
var namesSource = regexp.MustCompile(`(?i)configmap|secret`)

// notRefs are the fields that match namesSource and are none of our business.
var notRefs = map[string]string{
	"/imagePullSecrets":                 "a list keyed by name; read by the kubelet, not by the Pod",
	"/volumes/azureFile/secretName":     "read by a storage driver",
	"/volumes/cephfs/secretFile":        "a path on the node",
	"/volumes/cephfs/secretRef":         "read by a storage driver",
	"/volumes/cinder/secretRef":         "read by a storage driver",
	"/volumes/csi/nodePublishSecretRef": "read by a storage driver",
	"/volumes/flexVolume/secretRef":     "read by a storage driver",
	"/volumes/iscsi/secretRef":          "read by a storage driver",
	"/volumes/rbd/secretRef":            "read by a storage driver",
	"/volumes/scaleIO/secretRef":        "read by a storage driver",
	"/volumes/storageos/secretRef":      "read by a storage driver",
}

// TestWalkIsComplete fills every field of the API's PodSpec, and expects the
// walk to find exactly the fields that reflection says name a source.
func TestWalkIsComplete(t *testing.T) {
	var spec corev1.PodSpec
	fill(reflect.ValueOf(&spec).Elem())
	raw, err := json.Marshal(spec)
	require.NoError(t, err)

	want := map[string]bool{}
	collect(reflect.TypeFor[corev1.PodSpec](), "", want)
	for path := range notRefs {
		assert.Contains(t, want, path, "the API no longer has this field")
		delete(want, path)
	}

	got := map[string]bool{}
	for _, ref := range refs.Walk(string(raw)) {
		pointer := regexp.MustCompile(`/0\b`).ReplaceAllString(ref.Pointer, "")
		got[pointer[:strings.LastIndex(pointer, "/")]] = true
		assert.Equal(t, "text", ref.Name, ref.Pointer)
		assert.True(t, ref.Optional, ref.Pointer)
	}
	assert.Equal(t, want, got)
	assert.Len(t, got, 3*4+2+2, "four forms in each of three kinds of containers, two in volumes, two in projected volumes")
}

// collect finds the JSON paths, without indexes, of what matches namesSource.
func collect(in reflect.Type, path string, into map[string]bool) {
	switch in.Kind() {
	case reflect.Pointer, reflect.Slice:
		collect(in.Elem(), path, into)
	case reflect.Struct:
		for field := range fields(in) {
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			at := path
			if name != "" {
				at += "/" + name
			}
			if namesSource.MatchString(field.Name) || namesSource.MatchString(field.Type.String()) {
				into[at] = true
				continue
			}
			collect(field.Type, at, into)
		}
	}
}

func fields(in reflect.Type) func(yield func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for i := range in.NumField() {
			if !yield(in.Field(i)) {
				return
			}
		}
	}
}

// fill sets every field to something that isn't empty, one element per list.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0))
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[metav1.ObjectMeta]() {
			return // of an ephemeral volume's claim
		}
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				fill(v.Field(i))
			}
		}
	case reflect.String:
		v.SetString("text")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(1)
	}
}

func TestWalk(t *testing.T) {
	const spec = `{
		"unknown": {"configMap": {"name": "no"}},
		"containers": [
			{"name": "web", "env": [
				{"name": "PLAIN", "value": "configMapKeyRef"},
				{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "app", "key": "a"}}},
				{"name": "B", "valueFrom": {"secretKeyRef": {"key": "b", "name": "db", "optional": true}}},
				{"name": "C", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
				{"name": "EMPTY", "valueFrom": {"configMapKeyRef": {"name": "", "key": "a"}}}
			]},
			{"name": "side", "envFrom": [{"prefix": "X"}, {"configMapRef": {"name": "app"}}]}
		],
		"volumes": [
			{"name": "a", "configMap": {"name": "app"}},
			{"name": "b", "secret": {"secretName": "db"}},
			{"name": "c", "projected": {"sources": [{"secret": {"name": "db"}}, {"configMap": {"name": "app"}}]}},
			{"name": "d", "csi": {"nodePublishSecretRef": {"name": "no"}}}
		],
		"imagePullSecrets": [{"name": "no"}]
	}`
	var got []string
	for _, ref := range refs.Walk(spec) {
		got = append(got, fmt.Sprintf("%s %s %s", ref.Pointer, ref.Target, ref.Place))
	}
	assert.Equal(t, []string{
		"/containers/0/env/1/valueFrom/configMapKeyRef/name configmap/app {containers web env A configMapKeyRef}",
		"/containers/0/env/2/valueFrom/secretKeyRef/name secret/db {containers web env B secretKeyRef}",
		"/containers/1/envFrom/1/configMapRef/name configmap/app {containers side envFrom  configMapRef}",
		"/volumes/0/configMap/name configmap/app {volumes a   configMap}",
		"/volumes/1/secret/secretName secret/db {volumes b   secret}",
		"/volumes/2/projected/sources/0/secret/name secret/db {volumes c projected  secret}",
		"/volumes/2/projected/sources/1/configMap/name configmap/app {volumes c projected  configMap}",
	}, got)
}

func TestRepeatedVariables(t *testing.T) {
	const spec = `{"containers": [
		{"name": "web", "env": [
			{"name": "X", "value": "1"},
			{"name": "X", "valueFrom": {"configMapKeyRef": {"name": "app", "key": "a"}}},
			{"name": "Y", "valueFrom": {"secretKeyRef": {"name": "db", "key": "b"}}}
		]},
		{"name": "side", "env": [{"name": "X", "valueFrom": {"configMapKeyRef": {"name": "app", "key": "a"}}}]}
	]}`
	var got []bool
	for _, ref := range refs.Walk(spec) {
		got = append(got, ref.Repeated)
	}
	assert.Equal(t, []bool{true, false, false}, got, "a name may come back in another container")
}

func TestWalkPassesOverOtherShapes(t *testing.T) {
	for _, spec := range []string{
		``, `null`, `[]`, `"text"`, `{}`,
		`{"containers": null}`,
		`{"containers": {"env": []}}`,
		`{"containers": [null, 3, "x", {"env": {"valueFrom": {}}}, {"env": [null, {"valueFrom": "x"}]}]}`,
		`{"volumes": [{"configMap": "x"}, {"configMap": {"name": 3}}, {"configMap": {"name": {}}}, {"projected": null}]}`,
	} {
		assert.Empty(t, refs.Walk(spec), spec)
	}
}

func TestRewriteChangesNamesOnly(t *testing.T) {
	const spec = `{"volumes": [ {"configMap":{"defaultMode":420, "name" : "app"}, "future": 1.0e2} ,{"secret":{"secretName":"db"}}]}`
	found := refs.Walk(spec)
	require.Len(t, found, 2)
	assert.Equal(t,
		`{"volumes": [ {"configMap":{"defaultMode":420, "name" : "app-1"}, "future": 1.0e2} ,{"secret":{"secretName":"db-1"}}]}`,
		refs.Rewrite(spec, found, func(ref refs.Ref) string { return ref.Name + "-1" }))
	assert.Equal(t, spec, refs.Rewrite(spec, nil, nil))
}

// specs draws PodSpecs with refs anywhere, in the API's own JSON.
func specs() *rapid.Generator[string] {
	name := rapid.StringMatching(`[a-c"\\é]{1,3}`)
	source := func(t *rapid.T) (configMap, secret bool) {
		return rapid.Bool().Draw(t, "configMap"), rapid.Bool().Draw(t, "secret")
	}
	container := rapid.Custom(func(t *rapid.T) corev1.Container {
		c := corev1.Container{Name: name.Draw(t, "container")}
		for range rapid.IntRange(0, 3).Draw(t, "env") {
			variable := corev1.EnvVar{Name: name.Draw(t, "variable"), ValueFrom: &corev1.EnvVarSource{}}
			if configMap, _ := source(t); configMap {
				variable.ValueFrom.ConfigMapKeyRef = &corev1.ConfigMapKeySelector{Key: "k"}
				variable.ValueFrom.ConfigMapKeyRef.Name = name.Draw(t, "name")
			} else {
				variable.ValueFrom.SecretKeyRef = &corev1.SecretKeySelector{Key: "k"}
				variable.ValueFrom.SecretKeyRef.Name = name.Draw(t, "name")
			}
			c.Env = append(c.Env, variable)
		}
		if configMap, _ := source(t); configMap {
			from := corev1.EnvFromSource{ConfigMapRef: &corev1.ConfigMapEnvSource{}}
			from.ConfigMapRef.Name = name.Draw(t, "name")
			c.EnvFrom = append(c.EnvFrom, from)
		}
		return c
	})
	return rapid.Custom(func(t *rapid.T) string {
		spec := corev1.PodSpec{
			Containers:     rapid.SliceOfN(container, 0, 3).Draw(t, "containers"),
			InitContainers: rapid.SliceOfN(container, 0, 2).Draw(t, "initContainers"),
		}
		if configMap, secret := source(t); configMap || secret {
			volume := corev1.Volume{Name: "v"}
			volume.Projected = &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{{ConfigMap: &corev1.ConfigMapProjection{}}}}
			volume.Projected.Sources[0].ConfigMap.Name = name.Draw(t, "name")
			spec.Volumes = append(spec.Volumes, volume, corev1.Volume{VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: name.Draw(t, "name")}}})
		}
		raw, err := json.Marshal(spec)
		require.NoError(t, err)
		return string(raw)
	})
}

func TestWhatIsRewrittenIsRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		spec := specs().Draw(t, "spec")
		found := refs.Walk(spec)
		rewritten := refs.Rewrite(spec, found, func(ref refs.Ref) string { return "new-" + ref.Name })
		again := refs.Walk(rewritten)
		require.Len(t, again, len(found))
		for i, ref := range again {
			assert.Equal(t, "new-"+found[i].Name, ref.Name)
			assert.Equal(t, found[i].Pointer, ref.Pointer)
			assert.Equal(t, found[i].Place, ref.Place)
		}
		back := refs.Rewrite(rewritten, again, func(ref refs.Ref) string { return strings.TrimPrefix(ref.Name, "new-") })
		assert.JSONEq(t, spec, back)
	})
}

func TestReduceKeepsTargets(t *testing.T) {
	targets := func(spec string) map[refs.Target]bool { // whether all that names one is repeated
		found := map[refs.Target]bool{}
		for _, ref := range refs.Walk(spec) {
			others, known := found[ref.Target]
			found[ref.Target] = ref.Repeated && (others || !known)
		}
		return found
	}
	rapid.Check(t, func(t *rapid.T) {
		spec := specs().Draw(t, "spec")
		reduced := refs.Reduce(spec)
		assert.Equal(t, targets(spec), targets(reduced))
		assert.Len(t, refs.Walk(reduced), len(targets(spec)), "each once")
	})
}

func FuzzWalk(f *testing.F) {
	f.Add(`{"containers":[{"name":"a","envFrom":[{"configMapRef":{"name":"x"}}]}],"volumes":[{"secret":{"secretName":"y"}}]}`)
	f.Fuzz(func(t *testing.T, spec string) {
		if !json.Valid([]byte(spec)) {
			return
		}
		found := refs.Walk(spec)
		rewritten := refs.Rewrite(spec, found, func(refs.Ref) string { return "pinned" })
		require.True(t, gjson.Valid(rewritten), rewritten)
		names := refs.Walk(rewritten)
		require.Len(t, names, len(found))
		require.False(t, slices.ContainsFunc(names, func(ref refs.Ref) bool { return ref.Name != "pinned" }))
	})
}

func ExampleWalk() {
	spec := `{"containers": [{"name": "web", "envFrom": [{"configMapRef": {"name": "app"}}]}]}`
	for _, ref := range refs.Walk(spec) {
		fmt.Println(ref.Pointer, "names", ref.Target)
	}
	// Output: /containers/0/envFrom/0/configMapRef/name names configmap/app
}
