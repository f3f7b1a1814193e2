package admission_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/semaphore"
	"golang.org/x/tools/txtar"
	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	"sigs.k8s.io/yaml"

	"github.com/configpin/configpin/internal/admission"
	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/cluster/live"
	"github.com/configpin/configpin/internal/hashing"
	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/wellknown"
)

var update = flag.Bool("update", false, "rewrite the expectations in testdata")

// TestCases answers the request of each testdata/*.txtar. An archive holds
// cluster.yaml, the ConfigMaps and Secrets that are there; request.yaml, with the object
// and, for an update, the old one; and what comes of it: answer.yaml. The name
// SNAPSHOT(x), in either, stands for the snapshot of the ConfigMap x of the
// cluster, and SNAPSHOT(x,key=value) for that of another content of it. A Secret is
// called secret/x. SNAPSHOT(x,lost) is the one of a key that is lost. Where cluster.yaml
// has an object that is called snapshot-of-x, that snapshot is there.
func TestCases(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			require.NoError(t, err)
			got := answer(t, section(t, archive, "cluster.yaml"), section(t, archive, "request.yaml"))
			if *update {
				setSection(archive, "answer.yaml", got)
				require.NoError(t, os.WriteFile(file, txtar.Format(archive), 0o600))
			}
			assert.Equal(t, string(section(t, archive, "answer.yaml")), string(got))
		})
	}
}

func section(t *testing.T, archive *txtar.Archive, name string) []byte {
	t.Helper()
	for _, file := range archive.Files {
		if file.Name == name {
			return file.Data
		}
	}
	require.True(t, *update && name == "answer.yaml", "no %s; -update writes answers", name)
	return nil
}

func setSection(archive *txtar.Archive, name string, data []byte) {
	for i := range archive.Files {
		if archive.Files[i].Name == name {
			archive.Files[i].Data = data
			return
		}
	}
	archive.Files = append(archive.Files, txtar.File{Name: name, Data: data})
}

// outcome is what of a response a case expects.
type outcome struct {
	Denied   string          `json:"denied,omitempty"`
	Warnings []string        `json:"warnings,omitempty"`
	Decision string          `json:"decision,omitempty"`
	Patch    json.RawMessage `json:"patch,omitempty"`
	Made     []string        `json:"made,omitempty"` // ConfigMaps that are there now and weren't before
	Marked   []string        `json:"marked,omitempty"`
}

// holding is a cluster that holds sources, and those of their snapshots that are to be there.
func holding(t *testing.T, sources map[string]snapshot.Object) (client *fake.Clientset, names map[string]bool) {
	t.Helper()
	var objects []runtime.Object
	names = map[string]bool{}
	for _, o := range sources {
		if of, found := strings.CutPrefix(o.Name, "snapshot-of-"); found {
			if o.Kind == wellknown.Secret {
				of = "secret/" + of
			}
			made := snapshotOf(t, sources, of)
			maps.Copy(made.Annotations, o.Annotations)
			o = made
		}
		if o.Kind == wellknown.Secret {
			objects = append(objects, o.Secret())
		} else {
			objects = append(objects, o.ConfigMap())
		}
		names[o.Name] = true
	}
	return fake.NewClientset(objects...), names
}

// requested is a request with what it doesn't say.
func requested(t *testing.T, text []byte) admissionv1.AdmissionRequest {
	t.Helper()
	request := admissionv1.AdmissionRequest{UID: "1", Namespace: "shop"}
	require.NoError(t, yaml.Unmarshal(text, &request))
	if request.Operation == "" {
		request.Operation = admissionv1.Create
		if request.OldObject.Raw != nil {
			request.Operation = admissionv1.Update
		}
	}
	var object metav1.PartialObjectMetadata
	require.NoError(t, json.Unmarshal(request.Object.Raw, &object))
	request.Kind = metav1.GroupVersionKind(object.GroupVersionKind())
	return request
}

func answer(t *testing.T, clusterYAML, requestYAML []byte) []byte {
	t.Helper()
	sources := stored(t, clusterYAML)
	client, before := holding(t, sources)
	scope := cluster.Scope{Namespaces: cluster.Everywhere, Secrets: []string{"shop"}}
	served := cluster.NewObjects(client.CoreV1(), scope, func() *hashing.Key { return testKey(t, 1) })
	handler := admission.Handler{Objects: live.NewViews(served), Slots: semaphore.NewWeighted(1)}
	request := requested(t, expand(t, sources, requestYAML))
	response := post(t, handler.Mux(), admission.PathWorkload, request)
	got := outcome{Warnings: response.Warnings, Patch: response.Patch, Decision: response.AuditAnnotations["decision"]}
	if !response.Allowed {
		got.Denied = response.Result.Message
	}
	if response.Patch != nil {
		patch, err := jsonpatch.DecodePatch(response.Patch)
		require.NoError(t, err)
		_, err = patch.Apply(request.Object.Raw)
		require.NoError(t, err)
	}
	note := func(m metav1.ObjectMeta) {
		if !before[m.Name] {
			got.Made = append(got.Made, m.Name)
		}
		if m.Annotations["configpin.io/unused-since"] != "" {
			got.Marked = append(got.Marked, m.Name)
		}
	}
	configMaps, err := client.CoreV1().ConfigMaps("").List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	for _, c := range configMaps.Items {
		note(c.ObjectMeta)
	}
	secrets, err := client.CoreV1().Secrets("").List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	for _, s := range secrets.Items {
		note(s.ObjectMeta)
	}
	text, err := yaml.Marshal(got)
	require.NoError(t, err)
	return contract(t, sources, text)
}

// stored are the objects of a cluster, as a test writes them down.
func stored(t *testing.T, clusterYAML []byte) map[string]snapshot.Object {
	t.Helper()
	all := map[string]snapshot.Object{}
	for _, document := range bytes.Split(clusterYAML, []byte("---\n")) {
		var kind metav1.TypeMeta
		require.NoError(t, yaml.Unmarshal(document, &kind))
		if kind.Kind == "Secret" {
			var s corev1.Secret
			require.NoError(t, yaml.UnmarshalStrict(document, &s))
			s.Namespace, s.Data = "shop", map[string][]byte{}
			for key, value := range s.StringData {
				s.Data[key] = []byte(value)
			}
			all["secret/"+s.Name] = snapshot.FromSecret(&s, testKey(t, 1))
			continue
		}
		var c corev1.ConfigMap
		require.NoError(t, yaml.UnmarshalStrict(document, &c))
		if c.Name != "" {
			c.Namespace = "shop"
			all[c.Name] = snapshot.FromConfigMap(&c)
		}
	}
	return all
}

func testKey(t *testing.T, fill byte) *hashing.Key {
	t.Helper()
	key, err := hashing.NewKey(bytes.Repeat([]byte{fill}, hashing.KeySize))
	require.NoError(t, err)
	return key
}

func post(t *testing.T, handler http.Handler, path string, request admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse {
	t.Helper()
	body, err := json.Marshal(admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "admission.k8s.io/v1", Kind: "AdmissionReview"},
		Request:  &request,
	})
	require.NoError(t, err)
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, httptest.NewRequest(http.MethodPost, path+"?timeout=3s", bytes.NewReader(body)))
	require.Equal(t, http.StatusOK, recorder.Code, recorder.Body.String())
	var review admissionv1.AdmissionReview
	require.NoError(t, json.Unmarshal(recorder.Body.Bytes(), &review))
	require.Equal(t, request.UID, review.Response.UID)
	return review.Response
}

func snapshotOf(t *testing.T, sources map[string]snapshot.Object, expression string) snapshot.Object {
	t.Helper()
	name, changes, _ := strings.Cut(expression, ",")
	require.Contains(t, sources, name)
	source := sources[name]
	for change := range strings.SplitSeq(changes, ",") {
		if key, value, content := strings.Cut(change, "="); content {
			source.Data = map[string]string{key: value}
		}
		if change == "lost" {
			source.Key = testKey(t, 2)
		}
	}
	return snapshot.Of(source, 12)
}

var expression = regexp.MustCompile(`(SNAPSHOT|SUFFIX)\(([^)]*)\)`)

// expand replaces SNAPSHOT(x), and SUFFIX(x), by the name that it stands for.
func expand(t *testing.T, sources map[string]snapshot.Object, text []byte) []byte {
	t.Helper()
	return expression.ReplaceAllFunc(text, func(found []byte) []byte {
		parts := expression.FindSubmatch(found)
		name := snapshotOf(t, sources, string(parts[2])).Name
		if string(parts[1]) == "SUFFIX" {
			name = snapshot.Suffix(name)
		}
		return []byte(name)
	})
}

// contract puts back SNAPSHOT(x) for what the sources hold now.
func contract(t *testing.T, sources map[string]snapshot.Object, text []byte) []byte {
	t.Helper()
	for name := range sources {
		if strings.Contains(name, "snapshot-of-") {
			continue
		}
		current := snapshotOf(t, sources, name).Name
		text = bytes.ReplaceAll(text, []byte(current), fmt.Appendf(nil, "SNAPSHOT(%s)", name))
		text = bytes.ReplaceAll(text, []byte(snapshot.Suffix(current)), fmt.Appendf(nil, "SUFFIX(%s)", name))
	}
	return text
}
