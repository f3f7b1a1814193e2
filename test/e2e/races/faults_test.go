package races

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

// fault is a way in which a list isn't what it should be. It makes of the answer
// what the collector gets; page counts, from 0, how often the list was asked for
// since it is faulty.
type fault struct {
	name   string
	reason string // as configpin_gc_aborted_total has it
	answer func(page int, whole []byte) (*http.Response, error)

	// ofCensus says that it is wrong in a way in which only the answers to a census
	// can be: JSON, and lists.
	ofCensus bool
}

var faults = []fault{
	{"is forbidden", "forbidden", func(int, []byte) (*http.Response, error) {
		return status(http.StatusForbidden, metav1.StatusReasonForbidden), nil
	}, false},
	{"is an internal error", "error", func(int, []byte) (*http.Response, error) {
		return status(http.StatusInternalServerError, metav1.StatusReasonInternalError), nil
	}, false},
	{"expires on its second page", "expired", func(page int, whole []byte) (*http.Response, error) {
		if page > 0 {
			return status(http.StatusGone, metav1.StatusReasonExpired), nil
		}
		return ok(edited(whole, func(metadata map[string]any) { metadata["continue"] = "more" })), nil
	}, true},
	{"breaks in the middle", "error", func(_ int, whole []byte) (*http.Response, error) {
		return answer(http.StatusOK, io.MultiReader(bytes.NewReader(whole[:len(whole)/2]), broken{})), nil
	}, false},
	{"is cut off", "partial", func(_ int, whole []byte) (*http.Response, error) {
		return ok(whole[:len(whole)-3]), nil
	}, true},
	{"is an empty object", "partial", func(int, []byte) (*http.Response, error) {
		return ok([]byte("{}")), nil
	}, true},
	{"says that some of it is missing", "partial", func(_ int, whole []byte) (*http.Response, error) {
		return ok(edited(whole, func(metadata map[string]any) { metadata["remainingItemCount"] = 1 })), nil
	}, true},
	{"doesn't come in time", "timeout", func(int, []byte) (*http.Response, error) {
		return nil, context.DeadlineExceeded
	}, false},
}

// broken is a connection that somebody resets.
type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, syscall.ECONNRESET }

func answer(code int, body io.Reader) *http.Response {
	return &http.Response{
		StatusCode: code,
		Header:     http.Header{"Content-Type": {"application/json"}},
		Body:       io.NopCloser(body),
	}
}

func ok(body []byte) *http.Response { return answer(http.StatusOK, bytes.NewReader(body)) }

func status(code int, reason metav1.StatusReason) *http.Response {
	body, _ := json.Marshal(metav1.Status{ // strings always marshal
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"},
		Status:   metav1.StatusFailure,
		Reason:   reason,
		Code:     int32(code),
	})
	return answer(code, bytes.NewReader(body))
}

// edited is a list whose metadata was changed. It stays as it is if it is none.
func edited(whole []byte, edit func(metadata map[string]any)) []byte {
	var list map[string]any
	if err := json.Unmarshal(whole, &list); err != nil {
		return whole
	}
	metadata, _ := list["metadata"].(map[string]any)
	edit(metadata)
	body, _ := json.Marshal(list) // it was unmarshalled
	return body
}

// faulty is a transport that answers one kind of request wrongly.
type faulty struct {
	mutex sync.Mutex
	fault *fault
	is    func(*http.Request) bool
	skip  int // so many of these requests are answered well
	seen  int
}

// breaks has the requests answered wrongly from the one after skip on.
func (f *faulty) breaks(with *fault, is func(*http.Request) bool, skip int) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.fault, f.is, f.skip, f.seen = with, is, skip, 0
}

// heals has everything answered well again, and returns whether anything wasn't.
func (f *faulty) heals() (broke bool) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.fault = nil
	return f.seen > f.skip
}

func (f *faulty) before(next http.RoundTripper) http.RoundTripper {
	return roundTrip(func(request *http.Request) (*http.Response, error) {
		f.mutex.Lock()
		defer f.mutex.Unlock()
		response, err := next.RoundTrip(request)
		if err != nil || f.fault == nil || !f.is(request) {
			return response, err
		}
		f.seen++
		if f.seen <= f.skip {
			return response, nil
		}
		defer response.Body.Close()
		whole, err := io.ReadAll(response.Body)
		if err != nil {
			return nil, err
		}
		wrong, err := f.fault.answer(f.seen-f.skip-1, whole)
		if wrong != nil {
			wrong.Request = request
			wrong.Header.Set("Date", response.Header.Get("Date"))
		}
		return wrong, err
	})
}

// lists says whether a request is for a list of a resource. That of the snapshots
// of one source is not meant.
func lists(resource string) func(*http.Request) bool {
	return func(request *http.Request) bool {
		return request.Method == http.MethodGet && path.Base(request.URL.Path) == resource && !request.URL.Query().Has("labelSelector")
	}
}

// listsSnapshots says whether a request is for the snapshots of one source.
func listsSnapshots(request *http.Request) bool { return request.URL.Query().Has("labelSelector") }

// reads says whether a request is for a ConfigMap of that name.
func reads(name string) func(*http.Request) bool {
	return func(request *http.Request) bool {
		return request.Method == http.MethodGet && strings.HasSuffix(request.URL.Path, "/configmaps/"+name)
	}
}

// abortions are how many passes were aborted so far, by reason.
func abortions(t *testing.T) map[string]int {
	t.Helper()
	families, err := metrics.Registry.Gather()
	require.NoError(t, err)
	found := map[string]int{}
	for _, family := range families {
		if family.GetName() != "configpin_gc_aborted_total" {
			continue
		}
		for _, metric := range family.GetMetric() {
			for _, label := range metric.GetLabel() {
				found[label.GetValue()] += int(metric.GetCounter().GetValue())
			}
		}
	}
	return found
}

// more are the numbers that have risen, and by how much.
func more(before, after map[string]int) map[string]int {
	risen := map[string]int{}
	for _, key := range slices.Collect(maps.Keys(after)) {
		if by := after[key] - before[key]; by != 0 {
			risen[key] = by
		}
	}
	return risen
}

// recorder notes all requests.
type recorder struct {
	mutex    sync.Mutex
	requests []string
}

func (r *recorder) before(next http.RoundTripper) http.RoundTripper {
	return roundTrip(func(request *http.Request) (*http.Response, error) {
		r.mutex.Lock()
		r.requests = append(r.requests, fmt.Sprint(request.Method, " ", request.URL.RequestURI()))
		r.mutex.Unlock()
		return next.RoundTrip(request)
	})
}
