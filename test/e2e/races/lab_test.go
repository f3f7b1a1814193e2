package races

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/events"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/cluster/census"
	"github.com/configpin/configpin/internal/gc"
	"github.com/configpin/configpin/test/lab/controlplane"
)

// lab is a control plane with configpin's webhook, in whose namespaces races take
// place.
type lab struct {
	config  *rest.Config
	api     kubernetes.Interface
	objects *cluster.Objects
	webhook *webhook
	shared  http.RoundTripper // of all collectors: a handshake for each would cost more than its calls
	unmade  unmade
	spaces  chan string // namespaces in which nobody races now
	names   atomic.Int64
}

// everything is what the races are about: they are of ConfigMaps, since nothing in
// them depends on the kind.
var everything = cluster.Scope{Namespaces: cluster.Everywhere}

func newLab(t *testing.T) *lab {
	t.Helper()
	running, err := controlplane.Start(t.Context(), controlplane.Options{
		Dir: t.TempDir(), Progress: t.Output(),
		APIServerArgs: []string{"--etcd-compaction-interval=" + compactionInterval.String()},
	})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, running.Stop()) })
	l := &lab{config: running.Config(), spaces: make(chan string, atOnce)}
	l.config.QPS = -1
	l.config.WarningHandler = rest.NoWarnings{}
	l.api, err = kubernetes.NewForConfig(l.config)
	require.NoError(t, err)
	l.shared, err = rest.TransportFor(l.config)
	require.NoError(t, err)
	l.objects, err = cluster.Connect(l.config, everything, nil)
	require.NoError(t, err)
	for i := range atOnce {
		name := fmt.Sprint("race-", i)
		_, err := l.api.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
		require.NoError(t, err)
		l.spaces <- name
	}
	l.webhook = serveWebhook(t, l)
	return l
}

// borrow waits for a namespace in which nobody else races until the test is over.
func (l *lab) borrow(t *testing.T) (namespace string) {
	t.Helper()
	namespace = <-l.spaces
	t.Cleanup(func() { l.spaces <- namespace })
	return namespace
}

// collector returns a collector for one namespace that makes its calls through
// these transports, the first one nearest to the API server.
func (l *lab) collector(t *testing.T, namespace string, c *clock, through ...func(http.RoundTripper) http.RoundTripper) *gc.Collector {
	t.Helper()
	config := rest.AnonymousClientConfig(l.config) // the transport says who it is
	config.TLSClientConfig, config.Transport = rest.TLSClientConfig{}, l.shared
	for _, transport := range through {
		config.Wrap(transport)
	}
	taker, err := census.New(config, everything, nil)
	require.NoError(t, err)
	objects, err := cluster.Connect(config, everything, nil)
	require.NoError(t, err)
	return &gc.Collector{
		Census:  oneSpace{taker, namespace, c},
		Objects: objects,
		Events:  &events.FakeRecorder{},
		Options: gc.Options{Rules: rules},
		Clock:   c.forCollector(),
	}
}

// eventually waits until what is looked for is there.
func eventually(t *testing.T, want string, look func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for !look() {
		select {
		case <-again.C:
		case <-ctx.Done():
			require.FailNow(t, "waited in vain", want)
		}
	}
}
