package admission

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	logf "sigs.k8s.io/controller-runtime/pkg/log"
)

// Paths at which reviews are answered. The second is for namespaces that opt in
// what is written in them.
const (
	PathWorkload  = "/mutate"
	PathNamespace = "/mutate-namespace"
)

// maxBody is the size of the largest body that is read, in bytes. The API
// server takes objects of up to 3 MiB (k8s.io/apiserver/pkg/server/config.go,
// MaxRequestBodyBytes) and a review holds two of them; a MiB is left for the
// rest.
const maxBody = 7 << 20

// maxTime is how long an answer may take when the API server doesn't say how
// long it waits. It is the longest that it ever does.
const maxTime = 30 * time.Second

// Handler answers AdmissionReviews over HTTP.
type Handler struct {
	Objects objects

	// Slots bounds, by its capacity, the reviews that are answered at a time.
	// Those beyond wait, as long as the API server does.
	Slots chan struct{}
}

// Mux serves both paths.
func (h *Handler) Mux() *http.ServeMux {
	mux := http.NewServeMux()
	mux.Handle("POST "+PathWorkload, h.at(false))
	mux.Handle("POST "+PathNamespace, h.at(true))
	return mux
}

func (h *Handler) at(namespaceEnabled bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		started := time.Now()
		ctx, cancel := context.WithTimeout(request.Context(), patience(request))
		defer cancel()
		status, body := h.serve(ctx, w, request, namespaceEnabled)
		durations.WithLabelValues(http.StatusText(status)).Observe(time.Since(started).Seconds())
		if status != http.StatusOK {
			http.Error(w, string(body), status)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(body) // a client that hung up doesn't want to know
	})
}

// patience is how long the caller waits for an answer: the API server says so
// in the request's query (k8s.io/apiserver/pkg/admission/plugin/webhook/mutating/dispatcher.go).
func patience(request *http.Request) time.Duration {
	said, err := time.ParseDuration(request.URL.Query().Get("timeout"))
	if err != nil || said <= 0 || said > maxTime {
		return maxTime
	}
	return said
}

func (h *Handler) serve(ctx context.Context, w http.ResponseWriter, request *http.Request, namespaceEnabled bool) (status int, body []byte) {
	log := logf.FromContext(ctx)
	defer func() {
		if reason := recover(); reason != nil {
			log.Error(fmt.Errorf("panic: %v\n%s", reason, debug.Stack()), "Answering a review")
			status, body = http.StatusInternalServerError, []byte("configpin: internal error")
		}
	}()
	select {
	case h.Slots <- struct{}{}:
		defer func() { <-h.Slots }()
	case <-ctx.Done():
		return http.StatusServiceUnavailable, []byte("configpin: too many requests at a time")
	}
	text, err := read(w, request)
	if err != nil {
		return unreadable(err)
	}
	review, err := parse(text)
	if err != nil {
		return http.StatusBadRequest, []byte("configpin: " + err.Error())
	}
	response, err := h.admit(ctx, review, namespaceEnabled)
	if err == nil {
		body, err = review.answer(response)
	}
	if err != nil {
		log.Error(err, "Answering a review", "namespace", review.namespace, "workload", review.name, "kind", review.kind)
		return http.StatusInternalServerError, []byte("configpin: " + err.Error())
	}
	return http.StatusOK, body
}

// maxTrusted is how much room is made for a body because its length was
// announced. Nearly all are smaller, and an announcement costs nothing.
const maxTrusted = 256 << 10

// read returns the body. It is read into the text that is parsed: collecting it
// first would take several times its size.
func read(w http.ResponseWriter, request *http.Request) (string, error) {
	var text strings.Builder
	text.Grow(int(min(max(0, request.ContentLength), maxTrusted)))
	_, err := io.Copy(&text, http.MaxBytesReader(w, request.Body, maxBody))
	return text.String(), err
}

func unreadable(err error) (status int, body []byte) {
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return http.StatusRequestEntityTooLarge, fmt.Appendf(nil, "configpin: body is larger than %d bytes", tooLarge.Limit)
	}
	return http.StatusBadRequest, []byte("configpin: reading the body: " + err.Error())
}
