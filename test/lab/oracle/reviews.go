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
	holds    map[string][]Hold // by namespace
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
		r.hold(review, review.Object.Raw)
		return
	}
	r.compared++
	i, what := r.pair(of, review)
	r.hold(review, r.waiting[of][i])
	r.take(of, i)
	if what != "" {
		r.found = append(r.found, Violation{Invariant: "I11", Namespace: of.namespace, Object: of.kind + " " + of.name, What: what})
	}
}

// pair finds what came before: the one that may have become this, or else the last, and
// then what is wrong with that.
func (r *reviews) pair(of request, review *admissionv1.AdmissionRequest) (i int, what string) {
	for i, before := range r.waiting[of] {
		paths, err := Compare(review.OldObject.Raw, before, review.Object.Raw)
		switch {
		case err != nil:
			what = err.Error()
		case len(paths) == 0:
			return i, ""
		default:
			what = "was changed at " + strings.Join(paths, ", ")
		}
	}
	return len(r.waiting[of]) - 1, what
}

// hold notes the holds that a request made.
func (r *reviews) hold(review *admissionv1.AdmissionRequest, before []byte) {
	of := requestOf(review)
	if of.dry {
		return
	}
	made := newHolds(of.kind, of.name, of.user, versionOf(review.OldObject.Raw), versionOf(before), versionOf(review.Object.Raw))
	if len(made) == 0 {
		return
	}
	if r.holds == nil {
		r.holds = map[string][]Hold{}
	}
	r.holds[of.namespace] = append(r.holds[of.namespace], made...)
}

// holdsIn are those of a namespace.
func (r *reviews) holdsIn(namespace string) []Hold {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return slices.Clone(r.holds[namespace])
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
