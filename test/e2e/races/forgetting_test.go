package races

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/utils/ptr"

	"github.com/configpin/configpin/internal/wellknown"
)

// compactionInterval is how long the API server here keeps what there was: 5 minutes is what
// it does by itself.
const compactionInterval = 2 * time.Second

// forgetting shows a collector each of whose lists takes longer than the API server keeps
// what there was when it began: it goes on, and is no less careful.
func (l *lab) forgetting(t *testing.T) {
	namespace := l.borrow(t)
	h, c, slow := l.history(t, namespace), newClock(), &slowly{fresh: map[string]bool{}}
	collector := l.collector(t, namespace, c, slow.before)
	counted := abortions(t)
	var last []string
	for i := range 2 * slowPage {
		d := deployment(namespace, fmt.Sprint(h.name, "-", i), h.current)
		if i == 2*slowPage-1 {
			d = deployment(namespace, fmt.Sprint(h.name, "-", i), h.old)
		}
		delete(d.Labels, wellknown.Enabled) // nobody takes a mark off for it
		require.NoError(t, h.create(t.Context(), d))
		last = append(last, d.Name)
	}
	for range 2 {
		require.NoError(t, collector.Pass(t.Context()))
		assert.False(t, h.marked(t), "the last of the last page names it")
		c.passGrace()
	}
	assert.Positive(t, slow.forgotten())

	for _, name := range last {
		require.NoError(t, l.api.AppsV1().Deployments(namespace).Delete(t.Context(), name, metav1.DeleteOptions{PropagationPolicy: ptr.To(metav1.DeletePropagationForeground)}))
	}
	eventually(t, "nothing is left of the workloads", func() bool {
		sets, err := l.api.AppsV1().ReplicaSets(namespace).List(t.Context(), metav1.ListOptions{})
		require.NoError(t, err)
		return len(sets.Items) == 0
	})
	before := slow.forgotten()
	h.collects(t, c, collector)
	assert.Greater(t, slow.forgotten(), before)
	assert.Empty(t, more(counted, abortions(t)))
}

// slowPage is how much of a list is read at a time, when it is read slowly.
const slowPage = 2

// slowly is a transport by which lists are read little by little, each page after the API
// server has forgotten what there was at the page before.
type slowly struct {
	mutex sync.Mutex
	fresh map[string]bool // tokens to go on with that came with such an answer
	count int
}

func (s *slowly) forgotten() int {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.count
}

func (s *slowly) before(next http.RoundTripper) http.RoundTripper {
	return roundTrip(func(request *http.Request) (*http.Response, error) {
		query := request.URL.Query()
		if !query.Has("limit") {
			return next.RoundTrip(request)
		}
		query.Set("limit", fmt.Sprint(slowPage))
		request = request.Clone(request.Context())
		request.URL.RawQuery = query.Encode()
		s.mutex.Lock()
		defer s.mutex.Unlock()
		if token := query.Get("continue"); token == "" || s.fresh[token] {
			return next.RoundTrip(request)
		}
		return s.untilForgotten(next, request)
	})
}

// untilForgotten asks for a page until it has expired.
func (s *slowly) untilForgotten(next http.RoundTripper, request *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(request.Context(), time.Minute)
	defer cancel()
	again := time.NewTicker(compactionInterval / 4)
	defer again.Stop()
	for {
		response, err := next.RoundTrip(request)
		if err != nil {
			return nil, err
		}
		body, err := io.ReadAll(response.Body)
		if err = errors.Join(err, response.Body.Close()); err != nil {
			return nil, err
		}
		if response.StatusCode == http.StatusGone {
			var said metav1.Status // in JSON or protobuf
			if _, _, err := scheme.Codecs.UniversalDeserializer().Decode(body, nil, &said); err != nil {
				return nil, err
			}
			s.fresh[said.Continue] = true
			s.count++
			response.Body = io.NopCloser(bytes.NewReader(body))
			return response, nil
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return nil, fmt.Errorf("the API server forgets nothing: %w", ctx.Err())
		}
	}
}
