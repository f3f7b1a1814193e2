package admission

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/tidwall/gjson"
	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// review is what is read of an AdmissionReview. The objects stay JSON.
type review struct {
	uid         string
	group, kind string
	namespace   string
	name        string
	operation   admissionv1.Operation
	subresource string
	dryRun      bool
	object, old string
}

// maxDepth is how deeply a review may be nested: as deeply as the API server
// itself reads JSON (encoding/json/scanner.go, maxNestingDepth). The bound keeps
// a body of brackets from exhausting the stack.
const maxDepth = 10000

var errNotAReview = errors.New("not an AdmissionReview of " + admissionv1.SchemeGroupVersion.String() + " with a request")

// parse reads a review. Its error is about the body, never about what an object
// in it contains.
func parse(body string) (review, error) {
	if !shallow(body) {
		return review{}, fmt.Errorf("body is nested more than %d levels deep", maxDepth)
	}
	if !gjson.Valid(body) {
		return review{}, errors.New("body is not JSON")
	}
	root := gjson.Parse(body)
	request := root.Get("request")
	if root.Get("apiVersion").Str != admissionv1.SchemeGroupVersion.String() || root.Get("kind").Str != "AdmissionReview" || request.Get("uid").Str == "" {
		return review{}, errNotAReview
	}
	var r review
	request.ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "uid":
			r.uid = value.Str
		case "kind":
			r.group, r.kind = value.Get("group").Str, value.Get("kind").Str
		case "namespace":
			r.namespace = value.Str
		case "name":
			r.name = value.Str
		case "operation":
			r.operation = admissionv1.Operation(value.Str)
		case "subResource":
			r.subresource = value.Str
		case "dryRun":
			r.dryRun = value.Bool()
		case "object":
			r.object = value.Raw
		case "oldObject":
			r.old = value.Raw
		}
		return true
	})
	return r, nil
}

// shallow says whether text is nested no deeper than maxDepth. It needn't be
// exact for text that isn't JSON. Most texts have fewer brackets than that, and
// counting them takes a tenth of the time.
func shallow(text string) bool {
	if strings.Count(text, "{")+strings.Count(text, "[") <= maxDepth {
		return true
	}
	depth, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			depth++
			if depth > maxDepth {
				return false
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return true
}

// answer is the AdmissionReview that goes back.
func (r review) answer(response admissionv1.AdmissionResponse) ([]byte, error) {
	response.UID = types.UID(r.uid)
	return json.Marshal(admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: admissionv1.SchemeGroupVersion.String(), Kind: "AdmissionReview"},
		Response: &response,
	})
}
