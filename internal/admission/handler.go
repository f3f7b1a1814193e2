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

	"golang.org/x/sync/semaphore"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/configpin/configpin/internal/wellknown"
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

// maxSmall is the size of bodies, in bytes, that nearly all have. Such a body is
// read before its review waits for a slot: a caller that sends a byte now and then
// holds its own connection, and nobody else's turn.
const maxSmall = 256 << 10

// maxSmallBytes is how many bytes there are in memory of bodies as far as they are
// small. Thousands of requests are below that, unless somebody fills it on purpose.
const maxSmallBytes = 64 << 20

// largeAtATime bounds the bodies beyond maxSmall that are in memory: to 56 MiB.
// Whoever sends such a one slowly can make others of that size wait.
const largeAtATime = 8

// maxTime is how long an answer may take when the API server doesn't say how
// long it waits. It is the longest that it ever does.
const maxTime = 30 * time.Second

// Handler answers AdmissionReviews over HTTP.
type Handler struct {
	Objects objects

	// History is asked where an undo can't be told otherwise. It may be nil.
	History history

	// Slots bounds the reviews that are answered at a time, each of which takes one.
	// Those beyond wait, as long as the API server does.
	Slots *semaphore.Weighted

	// Hashes are annotations of templates that are hashes of config.
	Hashes wellknown.Hashes

	hidden *hidden
}

var errBusy = errors.New("too many requests at a time")

// Mux serves both paths.
func (h *Handler) Mux() *http.ServeMux {
	h.hidden = newHidden()
	mux := http.NewServeMux()
	bodies := room{small: semaphore.NewWeighted(maxSmallBytes), large: semaphore.NewWeighted(largeAtATime)}
	mux.Handle("POST "+PathWorkload, h.at(false, bodies))
	mux.Handle("POST "+PathNamespace, h.at(true, bodies))
	return mux
}

func (h *Handler) at(namespaceEnabled bool, bodies room) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		started := time.Now()
		ctx, cancel := context.WithTimeout(request.Context(), patience(request))
		defer cancel()
		status, body := h.serve(ctx, &incoming{w: w, request: request, room: bodies}, namespaceEnabled)
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

func (h *Handler) serve(ctx context.Context, in *incoming, namespaceEnabled bool) (status int, body []byte) {
	log := logf.FromContext(ctx)
	defer func() {
		if reason := recover(); reason != nil {
			log.Error(fmt.Errorf("panic: %v\n%s", reason, debug.Stack()), "Answering a review")
			status, body = http.StatusInternalServerError, []byte("configpin: internal error")
		}
	}()
	text, err := in.read(ctx)
	defer in.forget()
	if err != nil {
		return unreadable(err)
	}
	if h.Slots.Acquire(ctx, 1) != nil {
		return unreadable(errBusy)
	}
	defer h.Slots.Release(1)
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
// announced. Nearly all are smaller, and an announcement costs nothing: it is as
// much as a connection takes anyway.
const maxTrusted = 16 << 10

// room is what bodies take: the bytes of all, as far as they are small, and a turn of
// those that aren't.
type room struct{ small, large *semaphore.Weighted }

// incoming is a request whose body is still to be read.
type incoming struct {
	w            http.ResponseWriter
	request      *http.Request
	room         room
	small, large int64 // what it takes
}

// forget says that the body is no longer needed.
func (in *incoming) forget() {
	in.room.small.Release(in.small)
	in.room.large.Release(in.large)
}

// read returns the body. It is read into the text that is parsed: collecting it first
// would take several times its size.
func (in *incoming) read(ctx context.Context) (string, error) {
	var text strings.Builder
	text.Grow(int(min(max(0, in.request.ContentLength), maxTrusted)))
	body := http.MaxBytesReader(in.w, in.request.Body, maxBody)
	_, err := io.Copy(&text, smallBody{in, io.LimitReader(body, maxSmall)})
	if err != nil || text.Len() < maxSmall {
		return text.String(), err
	}
	if in.room.large.Acquire(ctx, 1) != nil {
		return "", errBusy
	}
	in.large = 1
	_, err = io.Copy(&text, body)
	return text.String(), err
}

// smallBody reads as long as there is room. It never waits for some: those who have
// the rest of it may be waiting for more, too.
type smallBody struct {
	in   *incoming
	from io.Reader
}

// Read implements io.Reader.
func (b smallBody) Read(p []byte) (int, error) {
	n, err := b.from.Read(p)
	if !b.in.room.small.TryAcquire(int64(n)) {
		return 0, errBusy
	}
	b.in.small += int64(n)
	return n, err
}

func unreadable(err error) (status int, body []byte) {
	if errors.Is(err, errBusy) {
		return http.StatusServiceUnavailable, []byte("configpin: " + err.Error())
	}
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return http.StatusRequestEntityTooLarge, fmt.Appendf(nil, "configpin: body is larger than %d bytes", tooLarge.Limit)
	}
	return http.StatusBadRequest, []byte("configpin: reading the body: " + err.Error())
}
