package admission_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"
	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	admissionv1 "k8s.io/api/admission/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/configpin/configpin/internal/admission"
)

// statuses are those that docs/reference.md lists for a POST to one of our paths.
var statuses = []int{
	http.StatusOK, http.StatusBadRequest, http.StatusRequestEntityTooLarge,
	http.StatusInternalServerError, http.StatusServiceUnavailable,
}

// FuzzReview: whatever comes in, one of the known answers goes out. It is a denial
// only where the decision denies; and if an API server could have sent what came, a patch
// applies to the object and changes nothing but names of refs and our keys.
func FuzzReview(f *testing.F) {
	for _, text := range seeds() {
		f.Add([]byte(text), false)
		f.Add([]byte(text), true)
	}
	mux := shop(1).Mux()
	f.Fuzz(func(t *testing.T, body []byte, ofNamespace bool) {
		path := admission.PathWorkload
		if ofNamespace {
			path = admission.PathNamespace
		}
		answered(t, mux, path, body)
		if sent, is := asSent(body); is {
			if patch := answered(t, mux, path, sent); patch != nil {
				checkPatch(t, sent, patch)
			}
		}
	})
}

// answered is the patch of an answer, which has to be one of those that are known.
func answered(t *testing.T, mux http.Handler, path string, body []byte) []byte {
	t.Helper()
	recorder := httptest.NewRecorder()
	mux.ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, bytes.NewReader(body)))
	require.Contains(t, statuses, recorder.Code)
	require.NotContains(t, recorder.Body.String(), "internal error", "a panic")
	if recorder.Code != http.StatusOK {
		return nil
	}
	var answer admissionv1.AdmissionReview
	require.NoError(t, json.Unmarshal(recorder.Body.Bytes(), &answer))
	if !answer.Response.Allowed {
		require.Regexp(t, denial, answer.Response.Result.Message)
		require.Nil(t, answer.Response.Patch)
	}
	return answer.Response.Patch
}

// asSent is a review as an API server encodes it, if its object is of the type that it says.
func asSent(body []byte) (sent []byte, is bool) {
	var review map[string]any
	if json.Unmarshal(body, &review) != nil {
		return nil, false
	}
	sent, _ = json.Marshal(review) // it was JSON
	request := gjson.GetBytes(sent, "request")
	kind := schema.GroupVersionKind{Group: request.Get("kind.group").String(), Version: "v1", Kind: request.Get("kind.kind").String()}
	object, err := scheme.Scheme.New(kind)
	return sent, err == nil && request.Get("object.metadata").IsObject() && json.Unmarshal([]byte(request.Get("object").Raw), object) == nil
}

var denial = regexp.MustCompile(`^(?s).* (can't be rolled back to .*: there is no such snapshot of|refers to \d+ snapshots of) `)

// seeds are what the tables above are about. What people and tools send, the cases
// of TestCases, is in testdata/fuzz.
func seeds() []string {
	return []string{
		body, `{`, "{\"kind\": \"\xff\"}",
		reviewOf(deployment()),
		reviewOf(deployment(`"app"`, `"\ud800app"`)),
		reviewOf(deployment(`"name": "app"`, `"name": "app", "name": "other"`)),
		reviewOf(deployment(`"metadata": {}`, `"metadata": {"annotations": {"configpin.io/pins": "configmap/app=app-x"}}`)),
		reviewOf(`{"spec": {"template": {"spec": {}}}}`),
	}
}

func checkPatch(t *testing.T, body, operations []byte) {
	t.Helper()
	var review struct {
		Request struct {
			Kind   struct{ Kind string }
			Object json.RawMessage
		}
	}
	require.NoError(t, json.Unmarshal(body, &review))
	patch, err := jsonpatch.DecodePatch(operations)
	require.NoError(t, err)
	patched, err := patch.Apply(review.Request.Object)
	require.NoError(t, err, "%s\n%s", operations, review.Request.Object)
	var before, after any
	require.NoError(t, json.Unmarshal(review.Request.Object, &before))
	require.NoError(t, json.Unmarshal(patched, &after))
	for _, at := range differences("", before, after) {
		assert.True(t, slices.ContainsFunc(ours, func(r *regexp.Regexp) bool { return r.MatchString(at) }),
			"%q changes\n%s\n%s", at, operations, review.Request.Object)
	}
}

// ours are the pointers at which a patch may change something. Maps of keys, and
// what holds them, may appear.
var ours = []*regexp.Regexp{
	regexp.MustCompile(`^/metadata/labels( appears|/(observed\.)?configpin\.io/.*)$`),
	regexp.MustCompile(`^/metadata/managedFields(/|$)`),
	regexp.MustCompile(`^/spec(/jobTemplate/spec)?/template/metadata( appears|/annotations( appears|/configpin\.io/pins))$`),
	regexp.MustCompile(`^/spec(/jobTemplate/spec)?/template/spec/\w*[cC]ontainers/\d+/env/\d+/valueFrom/(configMap|secret)KeyRef/name$`),
	regexp.MustCompile(`^/spec(/jobTemplate/spec)?/template/spec/\w*[cC]ontainers/\d+/envFrom/\d+/(configMap|secret)Ref/name$`),
	regexp.MustCompile(`^/spec(/jobTemplate/spec)?/template/spec/volumes/\d+/(projected/sources/\d+/)?(configMap/name|secret/(secretN|n)ame)$`),
}

// differences are the pointers, without escapes, of what isn't the same.
func differences(at string, before, after any) (found []string) {
	switch b := before.(type) {
	case map[string]any:
		a, isMap := after.(map[string]any)
		if !isMap {
			return []string{at}
		}
		for key := range b {
			if _, is := a[key]; !is {
				found = append(found, at+"/"+key)
			}
		}
		for key, value := range a {
			if _, was := b[key]; was {
				found = append(found, differences(at+"/"+key, b[key], value)...)
			} else {
				found = append(found, appeared(at+"/"+key, value)...)
			}
		}
	case []any:
		a, isList := after.([]any)
		if !isList || len(a) != len(b) {
			return []string{at}
		}
		for i := range b {
			found = append(found, differences(fmt.Sprintf("%s/%d", at, i), b[i], a[i])...)
		}
	case nil:
		if after != nil {
			return appeared(at, after)
		}
	default:
		if !reflect.DeepEqual(before, after) {
			return []string{at}
		}
	}
	return found
}

// appeared are the pointers of what wasn't there: a map, and what is in it.
func appeared(at string, value any) []string {
	entries, isMap := value.(map[string]any)
	if !isMap {
		return []string{at}
	}
	found := []string{at + " appears"}
	if strings.HasPrefix(at, "/metadata/managedFields") {
		return []string{at}
	}
	for key, value := range entries {
		found = append(found, appeared(at+"/"+key, value)...)
	}
	return found
}
