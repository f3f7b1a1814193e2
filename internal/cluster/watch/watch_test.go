package watch

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/client-go/rest"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/hashing"
	"github.com/configpin/configpin/internal/pin"
	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/wellknown"
)

// TestInformers: what is watched is metadata of sources and
// namespaces, and workloads whose template can change. Nothing else is ever
// listed whole.
func TestInformers(t *testing.T) {
	for name, test := range map[string]struct {
		scope      cluster.Scope
		workloads  []string
		configMaps []string
		secrets    []string
		optedIn    bool // all namespaces are watched
	}{
		"everywhere": {
			cluster.Scope{Namespaces: cluster.Everywhere}, cluster.Everywhere, cluster.Everywhere, nil, true,
		},
		"everywhere, with Secrets": {
			cluster.Scope{Namespaces: cluster.Everywhere, Secrets: cluster.Everywhere}, cluster.Everywhere, cluster.Everywhere, cluster.Everywhere, true,
		},
		"everywhere, with Secrets of some": {
			cluster.Scope{Namespaces: cluster.Everywhere, Secrets: []string{"bank", "shop"}}, cluster.Everywhere, cluster.Everywhere, []string{"bank", "shop"}, true,
		},
		"some": {
			cluster.Scope{Namespaces: []string{"bank", "shop"}, Secrets: []string{"shop"}}, []string{"bank", "shop"}, []string{"bank", "shop"}, []string{"shop"}, false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			config := &rest.Config{Host: "localhost"}
			workloads, err := NewWorkloads(config, test.scope, nil)
			require.NoError(t, err)
			var watched []string
			for kind, watches := range workloads.of {
				watched = append(watched, kind.Resource)
				assert.Equal(t, test.workloads, slices.Sorted(maps.Keys(watches)))
			}
			assert.ElementsMatch(t, []string{"deployments", "statefulsets", "daemonsets", "cronjobs"}, watched)
			assert.Equal(t, test.optedIn, workloads.optedIn.all != nil)

			sources, err := NewSources(config, test.scope, nil)
			require.NoError(t, err)
			assert.Equal(t, test.configMaps, slices.Sorted(maps.Keys(sources.of[wellknown.ConfigMap])))
			assert.Equal(t, test.secrets, slices.Sorted(maps.Keys(sources.of[wellknown.Secret])))
		})
	}
}

// listed is a list of metadata.
const listed = `{"kind":"PartialObjectMetadataList","apiVersion":"meta.k8s.io/v1","metadata":{"resourceVersion":"1"},"items":[%s]}`

// TestMain has what client-go logs logged and nothing else: it remembers between tests when
// an error was the last, and makes the next one wait, for decades where a bubble's clock is
// another one.
func TestMain(m *testing.M) {
	utilruntime.ErrorHandlers = utilruntime.ErrorHandlers[:1]
	os.Exit(m.Run())
}

// answering is an API server that refuses with a status, saying why, or answers: where
// nothing is said, with an empty list.
func answering(answer func(path string) (status int, said string)) *rest.Config {
	return &rest.Config{Host: "localhost", QPS: -1, Transport: transport(func(request *http.Request) (*http.Response, error) {
		w := httptest.NewRecorder()
		status, said := answer(request.URL.Path)
		switch {
		case status == http.StatusForbidden:
			said = fmt.Sprintf(`{"kind":"Status","apiVersion":"v1","status":"Failure","message":%q,"reason":"Forbidden","code":403}`, said)
		case said == "":
			said = fmt.Sprintf(listed, "")
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.WriteString(said)
		return w.Result(), nil
	})}
}

// transport answers without a network, so that what waits for it can do so in a bubble of
// synctest.
type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(request *http.Request) (*http.Response, error) { return f(request) }

// TestAWatchThatIsRefused: one of several namespaces lets nobody wait, and what is
// there isn't served.
func TestAWatchThatIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var refused atomic.Int64
		config := answering(func(path string) (int, string) {
			if strings.Contains(path, "/namespaces/bank/") {
				refused.Add(1)
				return http.StatusForbidden, "not in bank"
			}
			return http.StatusOK, ""
		})
		s, err := NewSources(config, cluster.Scope{Namespaces: []string{"bank", "shop"}}, nil)
		require.NoError(t, err)
		var said atomic.Int64
		log := funcr.New(func(_, line string) {
			if strings.Contains(line, "Failed to watch") && strings.Contains(line, "bank") {
				said.Add(1)
			}
		}, funcr.Options{})
		ctx, stop := context.WithCancel(logr.NewContext(t.Context(), log))
		ended := make(chan error)
		go func() { ended <- s.Start(ctx) }()
		require.NoError(t, WaitSynced(ctx, s.Synced))
		for namespace, want := range map[string]pin.Fact{"bank": {Role: pin.Unserved, Hidden: true}, "shop": {Role: pin.Absent}} {
			fact, ready := s.fact(cluster.Key{Namespace: namespace, Target: refs.Target{Kind: wellknown.ConfigMap, Name: "app"}})
			assert.True(t, ready, namespace)
			assert.Equal(t, want, fact, namespace)
		}
		const tries = 2 * 3 // of each a watch, and a list
		require.NoError(t, WaitSynced(ctx, func() bool { return refused.Load() >= tries }))
		assert.EqualValues(t, 1, said.Load(), "that it is refused is said once")
		stop()
		require.NoError(t, <-ended)
	})
}

// TestWhatIsWaitedForIsTold: by the name that people know, and with the words of whoever
// is in the way.
func TestWhatIsWaitedForIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var open atomic.Bool
		config := answering(func(path string) (int, string) {
			if path == "/api/v1/configmaps" && !open.Load() {
				return http.StatusForbidden, "no"
			}
			return http.StatusOK, ""
		})
		scope := cluster.Scope{Namespaces: cluster.Everywhere, Secrets: []string{"bank", "shop"}}
		key := testKey(t, 1)
		s, err := NewSources(config, scope, func() *hashing.Key { return key })
		require.NoError(t, err)
		assert.Equal(t, []string{"configmaps", "secrets of namespace bank", "secrets of namespace shop"}, s.Waiting())
		w, err := NewWorkloads(config, scope, nil)
		require.NoError(t, err)
		assert.Equal(t, []string{"cronjobs", "daemonsets", "deployments", "namespaces", "statefulsets"}, w.Waiting())

		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- s.Start(ctx) }()
		told := []string{"configmaps (no)"}
		require.NoError(t, WaitSynced(ctx, func() bool { return slices.Equal(s.Waiting(), told) }))
		assert.False(t, s.Synced())
		open.Store(true)
		require.NoError(t, WaitSynced(ctx, s.Synced))
		assert.Empty(t, s.Waiting())
		stop()
		require.NoError(t, <-ended)
	})
}

func TestPlainly(t *testing.T) {
	refused := apierrors.NewForbidden(appsv1.Resource("deployments"), "", errors.New("no"))
	for want, err := range map[string]error{
		"deployments.apps is forbidden: no": fmt.Errorf("failed to list *v1.Deployment: %w", refused),
		"connection refused":                fmt.Errorf("failed to list *v1.Deployment: %w", errors.New("connection refused")),
		"nothing else":                      errors.New("nothing else"),
	} {
		assert.Equal(t, want, plainly(err))
	}
}
