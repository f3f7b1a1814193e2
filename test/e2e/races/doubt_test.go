package races

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/gc"
)

// doubt shows that nothing is deleted while a collector doesn't know everything,
// and that it goes on when it does. These tests run one after another: what they
// count is counted for the whole process.
func (l *lab) doubt(t *testing.T) {
	t.Run("an answer is wrong", l.wrongAnswers)
	t.Run("clocks differ", l.clocksDiffer)
	t.Run("an API that nobody serves", l.brokenDiscovery)
	t.Run("nothing is asked of a cache", l.readsConsistently)
}

// place is a request of a pass at which an answer is wrong.
type place struct {
	name   string
	phase  phase
	faulty []func(*http.Request) bool
	skip   int
	near   bool // it isn't the census that asks
}

// places are those at which a collector asks about a source of that name.
func places(source string) []place {
	marks, deletes := phases[0], phases[1]
	all := []func(*http.Request) bool{lists("configmaps")}
	for _, kind := range cluster.ReferenceKinds {
		all = append(all, lists(kind.Resource))
	}
	near := []func(*http.Request) bool{reads(source), listsSnapshots}
	return []place{
		{"when a collector is about to mark", marks, all, 0, false},
		{"when it looks who is suspect", deletes, all, 0, false},
		{"when it looks once more before it deletes", deletes, all, 1, false},
		{"when it reads a family to mark", marks, near, 0, true},
		{"when it reads a family to delete", deletes, near, 0, true},
	}
}

func (l *lab) wrongAnswers(t *testing.T) {
	namespace := l.borrow(t)
	for n, p := range places("") {
		for _, wrong := range faults {
			if p.near && wrong.ofCensus {
				continue
			}
			t.Run("an answer "+wrong.name+" "+p.name, func(t *testing.T) {
				h, c, broken := l.history(t, namespace), newClock(), &faulty{}
				p := places(h.name)[n]
				collector := l.collector(t, namespace, c, broken.before)
				p.phase.prepare(t, c, collector)
				before := h.snapshot(t, h.old)
				for _, is := range p.faulty {
					counted := abortions(t)
					broken.breaks(&wrong, is, p.skip)
					err := collector.Pass(t.Context())
					assert.True(t, broken.heals(), "the request was made")
					assert.Error(t, err)
					assert.Equal(t, map[string]int{wrong.reason: 1}, more(counted, abortions(t)))
					assert.Equal(t, before, h.snapshot(t, h.old), "nothing was done")
				}
				h.collects(t, c, collector)
			})
		}
	}
}

// collects checks that a collector which is in no doubt collects what nothing
// names, and nothing else.
func (h *history) collects(t *testing.T, c *clock, collector *gc.Collector) {
	t.Helper()
	for range 2 {
		require.NoError(t, collector.Pass(t.Context()))
		c.passGrace()
	}
	require.NoError(t, collector.Pass(t.Context()))
	assert.Nil(t, h.snapshot(t, h.old), "nothing names it, so it is gone")
	assert.NotNil(t, h.snapshot(t, h.current), "it is what the source holds")
}

func (l *lab) clocksDiffer(t *testing.T) {
	for name, test := range map[string]struct {
		wall, monotonic, server time.Duration
		aborted                 map[string]int
	}{
		"the clock here is an hour ahead":         {wall: time.Hour, aborted: map[string]int{"clock": 1}},
		"the clock here is an hour behind":        {wall: -time.Hour, aborted: map[string]int{"clock": 1}},
		"the clock of the API server is ahead":    {server: time.Hour, aborted: map[string]int{"clock": 1}},
		"the clock of the API server is behind":   {server: -time.Hour, aborted: map[string]int{"clock": 1}},
		"both clocks jump an hour forward":        {wall: time.Hour, server: time.Hour, monotonic: time.Second, aborted: map[string]int{}},
		"both clocks jump an hour back":           {wall: -time.Hour, server: -time.Hour, monotonic: time.Second, aborted: map[string]int{}},
		"the clock that nobody sets stands still": {wall: time.Hour, server: time.Hour, aborted: map[string]int{}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, p := range phases {
				h, c := l.history(t, l.borrow(t)), newClock()
				collector := l.collector(t, h.namespace, c)
				if p.passes > 0 {
					require.NoError(t, collector.Pass(t.Context()))
				}
				counted := abortions(t)
				c.set(test.wall, test.monotonic, test.server)
				err := collector.Pass(t.Context())
				assert.Equal(t, len(test.aborted) > 0, err != nil, err)
				assert.Equal(t, test.aborted, more(counted, abortions(t)))
				assert.NotNil(t, h.snapshot(t, h.old), "nothing is deleted")
				assert.NotNil(t, h.snapshot(t, h.current))
				c.set(max(0, test.server-test.wall), 0, max(0, test.wall-test.server)) // the one that is behind is set right
				c.advance(2 * time.Hour)
				h.collects(t, c, collector)
			}
		})
	}
}

// brokenDiscovery has an API that nobody serves: what lists it by discovery gets an
// error, or not all of it.
func (l *lab) brokenDiscovery(t *testing.T) {
	services, err := dynamic.NewForConfig(l.config)
	require.NoError(t, err)
	registrations := services.Resource(schema.GroupVersionResource{Group: "apiregistration.k8s.io", Version: "v1", Resource: "apiservices"})
	_, err = registrations.Create(t.Context(), &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiregistration.k8s.io/v1",
		"kind":       "APIService",
		"metadata":   map[string]any{"name": "v1.nothing.example.com"},
		"spec": map[string]any{
			"group": "nothing.example.com", "version": "v1", "insecureSkipTLSVerify": true,
			"groupPriorityMinimum": int64(1000), "versionPriority": int64(10),
			"service": map[string]any{"namespace": "default", "name": "nothing"},
		},
	}}, metav1.CreateOptions{})
	require.NoError(t, err)
	defer func() {
		assert.NoError(t, registrations.Delete(t.Context(), "v1.nothing.example.com", metav1.DeleteOptions{}))
	}()
	eventually(t, "discovery is broken", func() bool {
		registered, err := registrations.Get(t.Context(), "v1.nothing.example.com", metav1.GetOptions{})
		require.NoError(t, err)
		conditions, _, _ := unstructured.NestedSlice(registered.Object, "status", "conditions")
		return len(conditions) > 0 && conditions[0].(map[string]any)["status"] == "False"
	})
	h, c := l.history(t, l.borrow(t)), newClock()
	h.collects(t, c, l.collector(t, h.namespace, c))
}

// readsConsistently checks that a collector never asks for what may be old: it
// doesn't watch, and asks for no resourceVersion. Then the API server answers with
// what is stored, however far its caches are behind.
func (l *lab) readsConsistently(t *testing.T) {
	h, c, r := l.history(t, l.borrow(t)), newClock(), &recorder{}
	h.collects(t, c, l.collector(t, h.namespace, c, r.before))
	assert.NotEmpty(t, r.requests)
	for _, request := range r.requests {
		_, uri, _ := strings.Cut(request, " ")
		asked, err := url.ParseRequestURI(uri)
		require.NoError(t, err)
		for _, parameter := range []string{"watch", "resourceVersion", "resourceVersionMatch"} {
			assert.False(t, asked.Query().Has(parameter), request)
		}
		assert.NotContains(t, asked.Path, "/watch/", request)
	}
}
