package oracle

import (
	"slices"
	"strings"
	"sync"

	admissionv1 "k8s.io/api/admission/v1"
)

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
		paths, err := Compare(review.OldObject.Raw, before, review.Object.Raw)
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
