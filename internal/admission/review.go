package admission

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

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
//
// Objects are taken to be what an API server encoded from their types: no key is there
// twice, and maps are maps. Whoever sends others gets a patch that means something else
// than they do, and nobody but them has it: what else admission does, it does by what was read.
func parse(body string) (review, error) {
	if !shallow(body) {
		return review{}, fmt.Errorf("body is nested more than %d levels deep", maxDepth)
	}
	if !gjson.Valid(body) || !utf8.ValidString(body) { // JSON is UTF-8
		return review{}, errors.New("body is not JSON")
	}
	root, err := fieldsOf(gjson.Parse(body), "apiVersion", "kind", "request")
	if err != nil {
		return review{}, err
	}
	request, err := fieldsOf(root["request"], "uid", "kind", "namespace", "name", "operation", "subResource", "dryRun", "object", "oldObject")
	if err != nil {
		return review{}, err
	}
	if root["apiVersion"].Str != admissionv1.SchemeGroupVersion.String() || root["kind"].Str != "AdmissionReview" || request["uid"].Str == "" {
		return review{}, errNotAReview
	}
	kind, err := fieldsOf(request["kind"], "group", "kind")
	if err != nil {
		return review{}, err
	}
	return review{
		uid:         request["uid"].Str,
		group:       kind["group"].Str,
		kind:        kind["kind"].Str,
		namespace:   request["namespace"].Str,
		name:        request["name"].Str,
		operation:   admissionv1.Operation(request["operation"].Str),
		subresource: request["subResource"].Str,
		dryRun:      request["dryRun"].Bool(),
		object:      request["object"].Raw,
		old:         request["oldObject"].Raw,
	}, nil
}

// fieldsOf returns those fields of an object that are named. One that is there
// twice is refused: which of them counts, every reader of JSON says differently.
func fieldsOf(object gjson.Result, names ...string) (map[string]gjson.Result, error) {
	if !object.IsObject() {
		return nil, nil
	}
	var err error
	fields := make(map[string]gjson.Result, len(names))
	object.ForEach(func(key, value gjson.Result) bool {
		if !slices.Contains(names, key.Str) {
			return true
		}
		if _, twice := fields[key.Str]; twice {
			err = fmt.Errorf("body has %q twice", key.Str)
		}
		fields[key.Str] = value
		return err == nil
	})
	return fields, err
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
