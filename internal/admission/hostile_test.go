package admission_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/semaphore"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/configpin/configpin/internal/admission"
	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/cluster/live"
)

// What no API server sends, but whoever reaches the port can.

// shop answers about a namespace with one versioned ConfigMap, app.
func shop(slots int64) *admission.Handler {
	client := fake.NewClientset(&corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "app", Annotations: map[string]string{"configpin.io/versioned": "true"}},
		Data:       map[string]string{"colour": "green"},
	})
	return &admission.Handler{Objects: live.NewViews(cluster.NewObjects(client.CoreV1(), cluster.Scope{Namespaces: cluster.Everywhere}, nil)), Slots: semaphore.NewWeighted(slots)}
}

// reviewOf is a review of a Deployment that is created.
func reviewOf(object string) string {
	return `{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
		"uid": "1", "operation": "CREATE", "namespace": "shop", "kind": {"group": "apps", "version": "v1", "kind": "Deployment"}, "object": ` + object + `}}`
}

// deployment is one that refers to app; replaced are pairs of what is in its text
// and what shall be there instead.
func deployment(replaced ...string) string {
	return strings.NewReplacer(replaced...).Replace(`{"metadata": {"name": "web", "labels": {"configpin.io/enabled": "true"}},
		"spec": {"template": {"metadata": {}, "spec": {"containers": [{"name": "web", "envFrom": [{"configMapRef": {"name": "app"}}]}]}}}}`)
}

const appRef = `{"configMapRef": {"name": "app"}}`

func TestHostileBodies(t *testing.T) {
	for name, test := range map[string]struct {
		body   string
		status int
		answer string
	}{
		"none of it": {reviewOf(deployment()), http.StatusOK, `"patch":`},

		"a field of the review twice":          {strings.Replace(reviewOf(deployment()), `"uid"`, `"dryRun": true, "dryRun": false, "uid"`, 1), http.StatusBadRequest, `body has "dryRun" twice`},
		"two requests":                         {strings.Replace(reviewOf(deployment()), `"request"`, `"request": {}, "request"`, 1), http.StatusBadRequest, `body has "request" twice`},
		"two objects, one in other letters":    {strings.Replace(reviewOf(deployment()), `"uid"`, `"\u006fbject": {}, "uid"`, 1), http.StatusBadRequest, `body has "object" twice`},
		"two kinds":                            {strings.Replace(reviewOf(deployment()), `"group"`, `"kind": "Job", "group"`, 1), http.StatusBadRequest, `body has "kind" twice`},
		"two templates":                        {reviewOf(deployment(`"template"`, `"template": {"spec": {}}, "template"`)), http.StatusOK, `"allowed":true`}, // the first refers to nothing
		"two templates that name sources":      {reviewOf(deployment(`"containers"`, `"containers": [{"envFrom": [`+appRef+`]}], "containers"`)), http.StatusOK, `"allowed":true`},
		"a name twice":                         {reviewOf(deployment(`"name": "app"`, `"name": "app", "name": "other"`)), http.StatusOK, `"allowed":true`},
		"a name twice, one in other letters":   {reviewOf(deployment(`"name": "app"`, `"name": "app", "n\u0061me": "other"`)), http.StatusOK, `"allowed":true`},
		"labels twice":                         {reviewOf(deployment(`"labels"`, `"labels": {}, "labels"`)), http.StatusOK, `"allowed":true`},
		"a key twice in different objects":     {reviewOf(deployment(`"metadata": {}`, `"metadata": {"a": {"x": 1}, "b": {"x": 1, "y": {"x": 1}}}`)), http.StatusOK, `"patch":`},
		"a value that looks like a key, twice": {reviewOf(deployment(`"metadata": {}`, `"metadata": {"a": "x", "b": "x", "c": ["x", "x"]}`)), http.StatusOK, `"patch":`},

		"no metadata":                          {reviewOf(deployment(`"metadata": {"name": "web", "labels": {"configpin.io/enabled": "true"}},`, "")), http.StatusOK, `"allowed":true`},
		"labels that are none":                 {reviewOf(deployment(`{"configpin.io/enabled": "true"}`, `[]`)), http.StatusOK, `"allowed":true`},
		"metadata of the template is a list":   {reviewOf(deployment(`"metadata": {}`, `"metadata": []`)), http.StatusOK, `"allowed":true`},
		"annotations of the template are one":  {reviewOf(deployment(`"metadata": {}`, `"metadata": {"annotations": 1}`)), http.StatusOK, `"allowed":true`},
		"annotations of the template are null": {reviewOf(deployment(`"metadata": {}`, `"metadata": {"annotations": null}`)), http.StatusOK, `"patch":`},

		"a NUL":                          {reviewOf(deployment("web", "w\x00b")), http.StatusBadRequest, "body is not JSON"},
		"a NUL, escaped":                 {reviewOf(deployment(`"app"`, `"app\u0000"`)), http.StatusOK, `"allowed":true`},
		"what isn't UTF-8":               {reviewOf(deployment("web", "w\xffb")), http.StatusBadRequest, "body is not JSON"},
		"keys that aren't UTF-8":         {reviewOf(deployment(`"metadata": {}`, "\"metadata\": {\"\xff\": 1, \"\xfe\": 1}")), http.StatusBadRequest, "body is not JSON"},
		"a surrogate alone":              {reviewOf(deployment(`"app"`, `"\ud800app"`)), http.StatusOK, `"allowed":true`},
		"keys that are surrogates alone": {reviewOf(deployment(`"metadata": {}`, `"metadata": {"\ud800": 1, "\udfff": 1}`)), http.StatusOK, `"allowed":true`},
		"a surrogate before a name":      {reviewOf(deployment(`"configMapRef"`, `"\ud800\u0063onfigMapRef"`)), http.StatusOK, `"allowed":true`},

		"an object that is deep":                {reviewOf(deployment(`"metadata": {}`, `"metadata": `+nested(9000))), http.StatusOK, `"patch":`},
		"an object that is too deep":            {reviewOf(deployment(`"metadata": {}`, `"metadata": `+nested(10000))), http.StatusBadRequest, "nested more than 10000 levels deep"},
		"a review that is larger than any":      {reviewOf(deployment("web", strings.Repeat("x", 8<<20))), http.StatusRequestEntityTooLarge, "larger than 7340032 bytes"},
		"an object that is no object":           {reviewOf(`"x"`), http.StatusInternalServerError, "is not an object"},
		"a review in front of something else":   {reviewOf(deployment()) + "{}", http.StatusBadRequest, "body is not JSON"},
		"a body in an encoding that isn't JSON": {"\xef\xbb\xbf" + reviewOf(deployment()), http.StatusBadRequest, "body is not JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			got := send(t, *shop(1), http.MethodPost, admission.PathWorkload, test.body)
			assert.Equal(t, test.status, got.Code, got.Body.String())
			assert.Contains(t, got.Body.String(), test.answer)
		})
	}
}

func nested(depth int) string {
	return strings.Repeat(`{"a":`, depth) + "1" + strings.Repeat("}", depth)
}

// TestOneWriteIsNotThousandsOfReads: whoever may create a workload could have the
// webhook read as many objects as that has room for.
func TestOneWriteIsNotThousandsOfReads(t *testing.T) {
	naming := func(count int) string {
		var list []string
		for i := range count {
			list = append(list, fmt.Sprintf(`{"configMapRef": {"name": "app-%d"}}`, i))
		}
		return reviewOf(deployment(appRef, strings.Join(list, ",")))
	}
	assert.Equal(t, http.StatusOK, send(t, *shop(1), http.MethodPost, admission.PathWorkload, naming(1000)).Code)
	got := send(t, *shop(1), http.MethodPost, admission.PathWorkload, naming(1001))
	assert.Equal(t, http.StatusInternalServerError, got.Code)
	assert.Contains(t, got.Body.String(), "it names 1001 objects, more than 1000")
}

// endless is a body without an end.
type endless struct{ read atomic.Int64 }

func (e *endless) Read(into []byte) (int, error) {
	for i := range into {
		into[i] = ' '
	}
	e.read.Add(int64(len(into)))
	return len(into), nil
}

func TestAnEndlessBodyIsRefused(t *testing.T) {
	body, recorder := &endless{}, httptest.NewRecorder()
	shop(1).Mux().ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodPost, admission.PathWorkload, body))
	assert.Equal(t, http.StatusRequestEntityTooLarge, recorder.Code)
	assert.Less(t, body.read.Load(), int64(8<<20))
}

// TestSlowCallersKeepNobodyWaiting: those who don't go on sending take nobody's
// turn, however many they are.
func TestSlowCallersKeepNobodyWaiting(t *testing.T) {
	for name, sent := range map[string]string{
		"after a byte":           "{",
		"after much of a review": strings.Repeat(" ", 300<<10),
	} {
		t.Run(name, func(t *testing.T) {
			mux := shop(1).Mux()
			post := func(query string, body io.Reader) int {
				recorder := httptest.NewRecorder()
				mux.ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodPost, admission.PathWorkload+query, body))
				return recorder.Code
			}
			var slow sync.WaitGroup
			const many = 8
			ends := make([]*io.PipeWriter, many)
			statuses := make([]int, many)
			for i := range many {
				reader, writer := io.Pipe()
				ends[i] = writer
				slow.Go(func() { statuses[i] = post("", reader) })
				_, err := io.WriteString(writer, sent) // returns once it was read
				require.NoError(t, err)
			}
			assert.Equal(t, http.StatusOK, post("", strings.NewReader(reviewOf(deployment()))))
			for _, end := range ends {
				assert.NoError(t, end.CloseWithError(errors.New("cut off")))
			}
			slow.Wait()
			for _, status := range statuses {
				assert.Equal(t, http.StatusBadRequest, status)
			}
			large := reviewOf(deployment("web", strings.Repeat("x", 300<<10)))
			assert.Equal(t, http.StatusOK, post("?timeout=20s", strings.NewReader(large)), "room is given back")
		})
	}
}

// TestSmallBodiesBeyondTheRoomAreRefused: they wait for nobody, since nobody of those
// who have room may ever be done.
func TestSmallBodiesBeyondTheRoomAreRefused(t *testing.T) {
	const room, size = 64 << 20, 255 << 10
	mux := shop(64).Mux()
	post := func(body io.Reader) int {
		recorder := httptest.NewRecorder()
		mux.ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodPost, admission.PathWorkload, body))
		return recorder.Code
	}
	var slow sync.WaitGroup
	var ends []*io.PipeWriter
	for range room / size {
		reader, writer := io.Pipe()
		slow.Go(func() { post(reader) })
		_, err := io.WriteString(writer, strings.Repeat(" ", size-1))
		require.NoError(t, err)
		_, err = io.WriteString(writer, " ") // it is read when the others have been counted
		require.NoError(t, err)
		ends = append(ends, writer)
	}
	assert.Equal(t, http.StatusServiceUnavailable, post(strings.NewReader(reviewOf(deployment("web", strings.Repeat("x", size-(4<<10)))))))
	for _, end := range ends {
		assert.NoError(t, end.Close())
	}
	slow.Wait()
	assert.Equal(t, http.StatusOK, post(strings.NewReader(reviewOf(deployment()))), "room is given back")
}

func TestLargeBodiesBeyondTheRoomWait(t *testing.T) {
	mux := shop(64).Mux()
	var slow sync.WaitGroup
	var ends []*io.PipeWriter
	const room = 8
	for range room {
		reader, writer := io.Pipe()
		slow.Go(func() {
			mux.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodPost, admission.PathWorkload, reader))
		})
		_, err := io.WriteString(writer, strings.Repeat(" ", 300<<10))
		require.NoError(t, err)
		ends = append(ends, writer)
	}
	recorder := httptest.NewRecorder()
	large := reviewOf(deployment("web", strings.Repeat("x", 300<<10)))
	mux.ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodPost, admission.PathWorkload+"?timeout=10ms", strings.NewReader(large)))
	assert.Equal(t, http.StatusServiceUnavailable, recorder.Code)
	for _, end := range ends {
		assert.NoError(t, end.Close())
	}
	slow.Wait()
}

func TestNoMoreThanTheSlotsAreAnsweredAtATime(t *testing.T) {
	const slots, many = 2, 40
	var now, most atomic.Int64
	mux := (&admission.Handler{Slots: semaphore.NewWeighted(slots), Objects: objects(func(context.Context) (*live.View, error) {
		most.Store(max(most.Load(), now.Add(1)))
		runtime.Gosched()
		now.Add(-1)
		return &live.View{}, nil
	})}).Mux()
	var all sync.WaitGroup
	var answered atomic.Int64
	for range many {
		all.Go(func() {
			recorder := httptest.NewRecorder()
			mux.ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodPost, admission.PathWorkload, strings.NewReader(body)))
			if recorder.Code == http.StatusOK {
				answered.Add(1)
			}
		})
	}
	all.Wait()
	assert.Equal(t, int64(many), answered.Load())
	assert.LessOrEqual(t, most.Load(), int64(slots))
}

// TestManyContainers: what a review costs grows as its containers do, and no
// faster. Memory is compared, since time depends on what else the machine does.
func TestManyContainers(t *testing.T) {
	const fewer, more = 4_000, 40_000
	cost := func(containers int) uint64 {
		var list []string
		for i := range containers {
			list = append(list, fmt.Sprintf(`{"name":"c%d","envFrom":[{"configMapRef":{"name":"app"}}]}`, i))
		}
		body := reviewOf(deployment(`{"name": "web", "envFrom": [`+appRef+`]}`, strings.Join(list, ",")))
		handler := shop(1)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		began := time.Now()
		got := send(t, *handler, http.MethodPost, admission.PathWorkload, body)
		took := time.Since(began)
		runtime.ReadMemStats(&after)
		require.Equal(t, http.StatusOK, got.Code)
		var review struct{ Response struct{ Patch []byte } }
		require.NoError(t, json.Unmarshal(got.Body.Bytes(), &review))
		assert.Equal(t, containers, strings.Count(string(review.Response.Patch), `"replace"`))
		t.Logf("%d containers, %d KiB: %s, %d KiB", containers, len(body)>>10, took, (after.TotalAlloc-before.TotalAlloc)>>10)
		return after.TotalAlloc - before.TotalAlloc
	}
	few, many := cost(fewer), cost(more)
	assert.Less(t, many, few*more/fewer*2)
}
