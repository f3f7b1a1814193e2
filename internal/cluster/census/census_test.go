package census

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/wellknown"
)

// lister is an API server that knows nothing but lists: of each path its pages,
// as they are.
type lister struct {
	mutex sync.Mutex
	pages map[string][]string
	asked []string
}

func (l *lister) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	number := 0
	if following := request.URL.Query().Get("continue"); following != "" {
		_, _ = fmt.Sscan(following, &number)
	}
	l.asked = append(l.asked, fmt.Sprint(request.URL.Path, " ", number))
	pages := l.pages[request.URL.Path]
	if pages == nil {
		pages = []string{pageOf("", "")}
	}
	w.Header().Set("Content-Type", "application/json")
	if status, following := 0, ""; strings.HasPrefix(pages[number], "HTTP ") {
		_, _ = fmt.Sscanf(pages[number], "HTTP %d %s", &status, &following)
		reason := ""
		if status == http.StatusGone {
			reason = string(metav1.StatusReasonExpired)
		}
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","metadata":{"continue":%q},"status":"Failure","reason":%q,"code":%d}`, following, reason, status)
		return
	}
	_, _ = w.Write([]byte(pages[number]))
}

func pageOf(following, items string) string {
	return `{"kind":"ThingList","apiVersion":"v1","metadata":{"continue":"` + following + `","other":{}},"items":[` + items + `]}`
}

func item(namespace, text string) string {
	return `{"metadata":{"namespace":"` + namespace + `","name":"x"},"text":"` + text + `"}`
}

func source(namespace, name string) string {
	return `{"metadata":{"namespace":"` + namespace + `","name":"` + name + `","annotations":{"configpin.io/versioned":"true"}}}`
}

const (
	configMapsPath  = "/api/v1/configmaps"
	deploymentsPath = "/apis/apps/v1/deployments"
	podsPath        = "/api/v1/pods"
	mention         = "app-0123456789ab"
)

func (l *lister) census(t *testing.T, beyond ...schema.GroupVersionResource) *Taker {
	t.Helper()
	server := httptest.NewServer(l)
	t.Cleanup(server.Close)
	c, err := New(&rest.Config{Host: server.URL, QPS: -1}, cluster.Scope{Namespaces: cluster.Everywhere}, beyond)
	require.NoError(t, err)
	return c
}

func spaces(t *testing.T, c *Taker) (found []string, err error) {
	t.Helper()
	for space, err := range c.Spaces(t.Context()) {
		if err != nil {
			return found, err
		}
		var objects []string
		for _, o := range space.Objects {
			objects = append(objects, o.Name)
		}
		found = append(found, fmt.Sprint(space.Namespace, objects, space.Mentions))
	}
	return found, nil
}

func TestSpacesAreComplete(t *testing.T) {
	l := &lister{pages: map[string][]string{
		configMapsPath: {
			pageOf("1", source("a-b", "one")+`,`+`{"metadata":{"namespace":"a","name":"plain"}}`),
			pageOf("2", source("a", "two")+`,`+source("a", "three")+`,`+`{"metadata":{"namespace":"b","name":"plain"}}`),
			pageOf("", source("c", "four")),
		},
		// "a-b/" sorts before "a/", as keys in etcd do.
		deploymentsPath: {pageOf("1", item("a-b", mention)), pageOf("", item("a", "no")+`,`+item("b", mention)+`,`+item("c", "x-0123456789ab"))},
		podsPath:        {pageOf("", item("a", mention+` and y-0123456789ab`))},
	}}
	c := l.census(t)
	found, err := spaces(t, c)
	require.NoError(t, err)
	assert.Equal(t, []string{
		"a-b[one] [app-0123456789ab]",
		"a[two three] [app-0123456789ab y-0123456789ab]",
		"c[four] [x-0123456789ab]",
	}, found, "and not b, where there is nothing of ours")
	assert.WithinDuration(t, time.Now(), c.Date(), time.Minute)
}

// TestAListThatOutlivesItsBeginning goes on where the API server says, as often as it has to.
func TestAListThatOutlivesItsBeginning(t *testing.T) {
	l := &lister{pages: map[string][]string{
		configMapsPath: {pageOf("1", source("a", "one")), "HTTP 410 2", pageOf("3", source("b", "two")), "HTTP 410 4", pageOf("", source("c", "three"))},
		podsPath:       {pageOf("1", item("a", mention)), "HTTP 410 2", pageOf("", item("b", "no")+`,`+item("c", mention))},
	}}
	found, err := spaces(t, l.census(t))
	require.NoError(t, err)
	assert.Equal(t, []string{"a[one] [" + mention + "]", "b[two] []", "c[three] [" + mention + "]"}, found)
}

func TestKindsBeyondComeFirst(t *testing.T) {
	l := &lister{pages: map[string][]string{configMapsPath: {pageOf("", source("a", "one"))}}}
	c := l.census(t, schema.GroupVersionResource{Group: "example.com", Version: "v1", Resource: "things"}, cluster.ReferenceKinds[1])
	_, err := spaces(t, c)
	require.NoError(t, err)
	assert.Equal(t, []string{configMapsPath + " 0", "/apis/example.com/v1/things 0", deploymentsPath + " 0"}, l.asked[:3])
	assert.Len(t, l.asked, 2+len(cluster.ReferenceKinds), "each kind once")
}

func TestOneSpace(t *testing.T) {
	l := &lister{pages: map[string][]string{
		"/api/v1/namespaces/a/configmaps":        {pageOf("", source("a", "one")+`,`+`{"metadata":{"namespace":"a","name":"plain","annotations":{"other":"true"}}}`)},
		"/apis/apps/v1/namespaces/a/deployments": {pageOf("", item("a", mention))},
	}}
	space, err := l.census(t).Space(t.Context(), "a")
	require.NoError(t, err)
	assert.Equal(t, "a", space.Namespace)
	assert.Equal(t, []refs.Target{{Kind: wellknown.ConfigMap, Name: "plain"}}, space.Others)
	assert.Equal(t, []string{mention}, space.Mentions)
	for _, asked := range l.asked {
		assert.Contains(t, asked, "/namespaces/a/")
	}
}

// TestANamespaceWithoutRights: it may have been deleted, with its Roles. The others are
// counted.
func TestANamespaceWithoutRights(t *testing.T) {
	const there = "/api/v1/namespaces/b/"
	for name, scope := range map[string]cluster.Scope{
		"of some":              {Namespaces: []string{"a", "b"}, Secrets: []string{"a", "b"}},
		"of some with Secrets": {Namespaces: cluster.Everywhere, Secrets: []string{"a", "b"}},
	} {
		t.Run(name, func(t *testing.T) {
			l := &lister{pages: map[string][]string{there + "secrets": {pageOf("", source("b", "one"))}}}
			for _, kind := range []string{"api/v1/namespaces/a/configmaps", "api/v1/namespaces/a/secrets", "apis/apps/v1/namespaces/a/deployments"} {
				l.pages["/"+kind] = []string{"HTTP 403"}
			}
			c := l.census(t)
			c.scope = scope
			var counted, unknown []string
			for space, err := range c.Spaces(t.Context()) {
				if err != nil {
					unknown = append(unknown, space.Namespace)
					continue
				}
				for _, o := range space.Objects {
					counted = append(counted, space.Namespace+"/"+o.Name)
				}
			}
			assert.Equal(t, []string{"b/one"}, counted)
			assert.Equal(t, []string{"a"}, unknown)
		})
	}
}

func TestNothingIsConcludedFromAPartOfAList(t *testing.T) {
	for name, test := range map[string]struct {
		pages   []string
		partial bool
	}{
		"an error":                               {[]string{"HTTP 500"}, false},
		"forbidden":                              {[]string{"HTTP 403"}, false},
		"an error on page two":                   {[]string{pageOf("1", item("a", mention)), "HTTP 410"}, false},
		"expired before it begins":               {[]string{"HTTP 410 1", pageOf("", item("a", mention))}, false},
		"expired again at once":                  {[]string{pageOf("1", item("a", mention)), "HTTP 410 2", "HTTP 410 1"}, false},
		"another error that says how to go on":   {[]string{pageOf("1", item("a", mention)), "HTTP 500 2", pageOf("", item("a", mention))}, false},
		"no list":                                {[]string{`{}`}, true},
		"no object":                              {[]string{`[]`}, true},
		"nothing":                                {[]string{``}, true},
		"a list of something else":               {[]string{`{"kind":"Status","items":[]}`}, true},
		"no elements":                            {[]string{`{"kind":"ThingList","metadata":{}}`}, true},
		"elements that aren't a list":            {[]string{`{"kind":"ThingList","items":{}}`}, true},
		"cut off in an element":                  {[]string{`{"kind":"ThingList","items":[{"metadata":{"namespace":"a"`}, true},
		"cut off between elements":               {[]string{`{"kind":"ThingList","items":[` + item("a", mention) + `,`}, true},
		"cut off behind the elements":            {[]string{`{"kind":"ThingList","items":[]`}, true},
		"more elements, and no way to go on":     {[]string{`{"kind":"ThingList","metadata":{"remainingItemCount":3},"items":[]}`}, true},
		"out of order":                           {[]string{pageOf("", item("b", "")+`,`+item("a", mention))}, true},
		"out of order from one page to the next": {[]string{pageOf("1", item("b", "")), pageOf("", item("a", mention))}, true},
		"in no namespace":                        {[]string{pageOf("", `{"metadata":{"name":"x"}}`)}, true},
	} {
		t.Run(name, func(t *testing.T) {
			for _, path := range []string{deploymentsPath, podsPath} {
				l := &lister{pages: map[string][]string{configMapsPath: {pageOf("", source("z", "one"))}, path: test.pages}}
				found, err := spaces(t, l.census(t))
				require.Error(t, err)
				assert.Empty(t, found)
				if test.partial {
					assert.ErrorIs(t, err, cluster.ErrPartial)
				}
			}
		})
	}
}

func TestNullIsAnEmptyList(t *testing.T) {
	l := &lister{pages: map[string][]string{
		configMapsPath: {pageOf("", source("a", "one"))},
		podsPath:       {`{"kind":"ThingList","metadata":{},"items":null}`},
	}}
	found, err := spaces(t, l.census(t))
	require.NoError(t, err)
	assert.Equal(t, []string{"a[one] []"}, found)
}
