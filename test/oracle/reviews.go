package oracle

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	admissionv1 "k8s.io/api/admission/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/configpin/configpin/internal/wellknown"
)

// Compare returns where two versions of an object differ that may differ only in
// what is ours (I11): names of ConfigMaps in refs, our annotation of the template,
// our labels, and managedFields. The paths alone: what is there may be secret.
func Compare(before, after []byte) ([]string, error) {
	a, err := foreignPart(before)
	if err != nil {
		return nil, err
	}
	b, err := foreignPart(after)
	if err != nil {
		return nil, err
	}
	return differences("", a, b), nil
}

// foreignPart is an object without what is ours.
func foreignPart(text []byte) (map[string]any, error) {
	var object map[string]any
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber() // large numbers that differ stay different
	if err := decoder.Decode(&object); err != nil {
		return nil, fmt.Errorf("reading an object: %w", err)
	}
	unstructured.RemoveNestedField(object, "metadata", "managedFields")
	without(object, isOurLabel, "metadata", "labels")
	for _, path := range templatePaths {
		without(object, func(key string) bool { return key == wellknown.Pins }, slices.Concat(path, []string{"metadata", "annotations"})...)
	}
	walk(object["spec"], func(kind string, holder map[string]any, field string) {
		if kind == configMap {
			holder[field] = ""
		}
	})
	return object, nil
}

func isOurLabel(key string) bool {
	return key == wellknown.Enabled || key == wellknown.Resume || strings.HasPrefix(key, wellknown.ObservedPrefix)
}

// without removes keys of a map, and the map where nothing else was in it: one
// that is empty is the same as none.
func without(object map[string]any, drop func(string) bool, path ...string) {
	found, _, _ := unstructured.NestedFieldNoCopy(object, path...)
	entries, is := found.(map[string]any)
	if !is {
		return
	}
	maps.DeleteFunc(entries, func(key string, _ any) bool { return drop(key) })
	if len(entries) == 0 {
		unstructured.RemoveNestedField(object, path...)
	}
}

// differences are the paths at which two JSON values differ.
func differences(at string, a, b any) []string {
	switch x := a.(type) {
	case map[string]any:
		if y, same := b.(map[string]any); same {
			return differentFields(at, x, y)
		}
	case []any:
		if y, same := b.([]any); same && len(x) == len(y) {
			var found []string
			for i := range x {
				found = append(found, differences(fmt.Sprintf("%s[%d]", at, i), x[i], y[i])...)
			}
			return found
		}
	default:
		switch b.(type) {
		case map[string]any, []any:
		default:
			if a == b {
				return nil
			}
		}
	}
	return []string{at}
}

func differentFields(at string, a, b map[string]any) []string {
	all := maps.Clone(a)
	maps.Copy(all, b)
	var found []string
	for _, field := range slices.Sorted(maps.Keys(all)) {
		x, inA := a[field]
		y, inB := b[field]
		switch path := at + "." + field; {
		case inA && inB:
			found = append(found, differences(path, x, y)...)
		default:
			found = append(found, path)
		}
	}
	return found
}

// reviews pairs what the API server sends right before and right after our
// webhook. Each call has a UID of its own, so that what comes after is compared
// with everything that came before of the same request, as far as that can be
// told: two at a time can be alike.
type reviews struct {
	mutex    sync.Mutex
	waiting  map[request][][]byte
	order    []request // of waiting, the oldest first
	found    []Violation
	compared int
	alone    int // came after, and nothing came before
}

// request is what two calls about one request have in common.
type request struct {
	kind, namespace, name, operation, user, old string
	dry                                         bool
}

func requestOf(r *admissionv1.AdmissionRequest) request {
	return request{
		kind:      r.Kind.Kind,
		namespace: r.Namespace,
		name:      r.Name,
		operation: string(r.Operation),
		user:      r.UserInfo.Username,
		old:       hash(r.OldObject.Raw),
		dry:       r.DryRun != nil && *r.DryRun,
	}
}

// maxWaiting is far more than what is under way at a time. What our webhook denies
// never comes after.
const maxWaiting = 500

func (r *reviews) before(review *admissionv1.AdmissionRequest) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if r.waiting == nil {
		r.waiting = map[request][][]byte{}
	}
	of := requestOf(review)
	r.waiting[of] = append(r.waiting[of], review.Object.Raw)
	r.order = append(r.order, of)
	if len(r.order) > maxWaiting {
		r.take(r.order[0], 0)
	}
}

// take forgets one of those that wait.
func (r *reviews) take(of request, i int) {
	if at := slices.Index(r.order, of); at >= 0 {
		r.order = slices.Delete(r.order, at, at+1)
	}
	if r.waiting[of] = slices.Delete(r.waiting[of], i, i+1); len(r.waiting[of]) == 0 {
		delete(r.waiting, of)
	}
}

func (r *reviews) after(review *admissionv1.AdmissionRequest) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	of := requestOf(review)
	if len(r.waiting[of]) == 0 {
		r.alone++
		return
	}
	r.compared++
	what := ""
	for i, before := range r.waiting[of] {
		paths, err := Compare(before, review.Object.Raw)
		switch {
		case err != nil:
			what = err.Error()
		case len(paths) == 0:
			r.take(of, i)
			return
		default:
			what = "was changed at " + strings.Join(paths, ", ")
		}
	}
	r.take(of, len(r.waiting[of])-1)
	r.found = append(r.found, Violation{Invariant: "I11", Namespace: of.namespace, Object: of.kind + " " + of.name, What: what})
}

// of returns what was found in a namespace.
func (r *reviews) of(namespace string) []Violation {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	var found []Violation
	for _, v := range r.found {
		if v.Namespace == namespace {
			found = append(found, v)
		}
	}
	return found
}

// counts are how many requests were compared, and of how many nothing came before.
func (r *reviews) counts() (compared, alone int) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return r.compared, r.alone
}
