package serve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"golang.org/x/time/rate"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	eventsclient "k8s.io/client-go/kubernetes/typed/events/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/record/util"
	"k8s.io/utils/lru"
	logf "sigs.k8s.io/controller-runtime/pkg/log"
)

// Events are written at a rate of their own. A source of a thousand workloads can
// make a thousand of them, and each is a write like the rollout that it tells of,
// which it would hold up. Those beyond come later, and people read slower.
const (
	eventsPerSecond = 20
	eventsAtOnce    = 50
)

// maxEvents is how many wait to be written: what is written in a minute or so. Whoever
// looks then sees what happened last; a longer queue would tell of it when it is old.
const maxEvents = 1000

// maxNote is the length of the longest note that the API server takes
// (k8s.io/kubernetes/pkg/apis/core/validation/events.go, NoteLengthLimit).
const maxNote = 1024

// Recorder writes Events for people to read. It takes any number at once and keeps a
// bounded number of them, where client-go's recorder starts a goroutine for each
// (k8s.io/client-go/tools/events): beyond it, those go that tell of nothing to be done.
// What is said again is counted on the Event that said it.
type Recorder struct {
	program, instance string
	sink              sink
	limiter           *rate.Limiter
	said              *lru.Cache // *series by words: what was written of late
	wake              chan struct{}

	mutex   sync.Mutex
	waiting map[words]*told
	queues  map[string][]*told // by type, the oldest first
	retried map[string]int     // how many that wait were tried already, by namespace
}

// sink is where Events are written.
type sink interface {
	Create(ctx context.Context, event *eventsv1.Event) error
	Patch(ctx context.Context, namespace, name string, patch []byte) error
}

// words are what an Event says, of what: alike, they are one Event with a count.
type words struct {
	eventType, reason, action, note string
	about                           corev1.ObjectReference
}

// told is something to be written: words, how often they were said, and when.
type told struct {
	words
	count       int32
	first, last time.Time

	tries int       // that failed
	again time.Time // when to try again, if any did
}

// series is an Event that is written.
type series struct {
	namespace, name string
	count           int32 // how often it was said
	written         int32 // how often it is written that it was
	at, last        time.Time
}

// NewRecorder returns a recorder of program, which writes once it is started.
func NewRecorder(config *rest.Config, program string) (*Recorder, error) {
	config = rest.CopyConfig(config)
	config.Timeout = writeTime
	client, err := eventsclient.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("connecting to the cluster: %w", err)
	}
	eventMetrics()
	host, _ := os.Hostname() // who has none says so
	return newRecorder(program, host, eventSink{client}), nil
}

func newRecorder(program, host string, sink sink) *Recorder {
	return &Recorder{
		program:  program,
		instance: program + "-" + host,
		sink:     sink,
		limiter:  rate.NewLimiter(eventsPerSecond, eventsAtOnce),
		said:     lru.New(maxSeries),
		wake:     make(chan struct{}, 1),
		waiting:  map[words]*told{},
		queues:   map[string][]*told{},
		retried:  map[string]int{},
	}
}

// Eventf records what happened to an object. Nothing of ours relates to another one as
// well.
func (r *Recorder) Eventf(regarding, _ runtime.Object, eventType, reason, action, note string, args ...any) {
	about, named := regarding.(*corev1.ObjectReference)
	if !named {
		return // there is no such caller
	}
	note = printable(fmt.Sprintf(note, args...))
	if len(note) > maxNote {
		note = strings.ToValidUTF8(note[:maxNote-len("...")], "") + "..."
	}
	r.add(words{eventType, reason, action, note, *about}, time.Now())
	select {
	case r.wake <- struct{}{}:
	default: // it is awake
	}
}

// printable puts a blank for what isn't printed: a refusal has the words of somebody
// else's webhook or policy, and a terminal does what it is told.
func printable(note string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(note, " "))
}

func (r *Recorder) add(said words, now time.Time) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if again := r.waiting[said]; again != nil {
		again.count++
		again.last = now
		return
	}
	if r.room(said) {
		fresh := &told{words: said, count: 1, first: now, last: now}
		r.waiting[said] = fresh
		r.queues[said.eventType] = append(r.queues[said.eventType], fresh)
	}
}

// putBack has an Event that couldn't be written wait, with all others of its namespace, to be
// tried again. What was said again in the meantime is counted on it.
func (r *Recorder) putBack(t *told) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if again := r.waiting[t.words]; again != nil {
		t.count += again.count
		t.last = again.last
		r.take(again)
	}
	if r.room(t.words) {
		r.waiting[t.words] = t
		r.queues[t.eventType] = slices.Insert(r.queues[t.eventType], 0, t)
		r.retried[t.about.Namespace]++
	}
}

// room returns whether there is room for another Event. It makes some by dropping the oldest
// of namespaces that take none, which may wait for hours, or else of all: a Normal one, or,
// for a Warning, the oldest Warning where nothing else waits.
func (r *Recorder) room(said words) bool {
	if len(r.waiting) < maxEvents {
		return true
	}
	oldest := r.oldest(corev1.EventTypeNormal, r.failing)
	if oldest == nil && (said.eventType == corev1.EventTypeWarning || r.retried[said.about.Namespace] == 0) {
		oldest = r.oldest(corev1.EventTypeWarning, r.failing)
	}
	if oldest == nil {
		oldest = r.oldest(corev1.EventTypeNormal, anyOf)
	}
	if oldest == nil && said.eventType == corev1.EventTypeWarning {
		oldest = r.oldest(corev1.EventTypeWarning, anyOf)
	}
	if oldest == nil {
		dropped(said.eventType, droppedFull)
		return false
	}
	r.take(oldest)
	dropped(oldest.eventType, droppedFull)
	return true
}

func anyOf(*told) bool { return true }

// failing says whether an Event of the namespace of t waits to be tried again.
func (r *Recorder) failing(t *told) bool { return r.retried[t.about.Namespace] > 0 }

// oldest is the first of a type that is wanted, or nil.
func (r *Recorder) oldest(eventType string, wanted func(*told) bool) *told {
	if i := slices.IndexFunc(r.queues[eventType], wanted); i >= 0 {
		return r.queues[eventType][i]
	}
	return nil
}

func (r *Recorder) take(t *told) {
	queue := r.queues[t.eventType]
	i := slices.Index(queue, t)
	r.queues[t.eventType] = slices.Delete(queue, i, i+1)
	delete(r.waiting, t.words)
	if t.tries == 0 {
		return
	}
	if r.retried[t.about.Namespace]--; r.retried[t.about.Namespace] == 0 {
		delete(r.retried, t.about.Namespace)
	}
}

// next takes what to write next, or returns nil and when there will be something, if that is
// known: Warnings first, since somebody has to do something. Where a namespace takes no
// Events, as behind a webhook that is down, one of them is tried now and then, once nothing
// else waits.
func (r *Recorder) next(now time.Time) (next *told, again time.Time) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	for _, wanted := range []func(*told) bool{
		func(t *told) bool { return !r.failing(t) },
		func(t *told) bool { return t.tries > 0 && !t.again.After(now) },
	} {
		for _, eventType := range []string{corev1.EventTypeWarning, corev1.EventTypeNormal} {
			if next = r.oldest(eventType, wanted); next != nil {
				r.take(next)
				return next, time.Time{}
			}
		}
	}
	for _, t := range r.waiting {
		if t.tries > 0 && (again.IsZero() || t.again.Before(again)) {
			again = t.again
		}
	}
	return nil, again
}

// NeedLeaderElection has it start before anything leads, and end after everything did.
func (r *Recorder) NeedLeaderElection() bool { return false }

// drainTime is for how long Events are written after the end. Whoever takes the lead
// waits for that, and what a rollout was about is gone a minute later anyway.
const drainTime = 2 * time.Second

// Start writes until ctx ends, and then, for a moment, what is left.
func (r *Recorder) Start(ctx context.Context) error {
	failing := false
	for r.limiter.Wait(ctx) == nil {
		next, again := r.next(time.Now())
		for ; next == nil && ctx.Err() == nil; next, again = r.next(time.Now()) {
			r.rest(ctx, again)
		}
		if next != nil {
			failing = r.write(ctx, next, failing)
		}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	everything := time.Now().Add(lastPause)
	for left, _ := r.next(everything); left != nil; left, _ = r.next(everything) {
		if ctx.Err() != nil || r.send(ctx, left) != nil {
			dropped(left.eventType, droppedStopped)
		}
	}
	return nil
}

// rest waits until something is said, or until again, unless that is zero.
func (r *Recorder) rest(ctx context.Context, again time.Time) {
	var due <-chan time.Time
	if !again.IsZero() {
		due = time.After(time.Until(again))
	}
	select {
	case <-ctx.Done():
	case <-r.wake:
	case <-due:
	}
}

// Trying again to write an Event begins after a second and ends after two minutes: so long an
// API server may be away, and others of its namespace wait.
const (
	writeTime  = 10 * time.Second // for an answer
	firstPause = time.Second
	writeTries = 8
	lastPause  = firstPause << (writeTries - 2)
)

// write writes an Event, or puts it back, and returns whether what was written or given up
// last is given up. A row of failures is logged once.
func (r *Recorder) write(ctx context.Context, t *told, failing bool) bool {
	err := r.send(ctx, t)
	switch {
	case err == nil:
		return false
	case isGoing(err):
		return failing
	}
	t.tries++
	if passes(err) && t.tries < writeTries {
		t.again = time.Now().Add(firstPause << (t.tries - 1))
		r.putBack(t)
		return failing
	}
	reason := droppedRefused
	if passes(err) {
		reason = droppedUnanswered
	}
	dropped(t.eventType, reason)
	if !failing {
		logf.FromContext(ctx).Error(err, "Events can't be written", "reason", t.reason, "namespace", t.about.Namespace, "kind", t.about.Kind)
	}
	return true
}

// passes says whether an error may be over in a while: nobody answers, or is well.
func passes(err error) bool {
	if err == nil {
		return false
	}
	status := apierrors.APIStatus(nil)
	if !errors.As(err, &status) {
		return true
	}
	return apierrors.IsTooManyRequests(err) || status.Status().Code >= 500
}

// isGoing says whether an Event can't be written because its namespace is deleted, or
// gone: then nobody would read it.
func isGoing(err error) bool {
	return apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) || apierrors.IsNotFound(err)
}

// send writes an Event, or counts it on the one that said the same.
func (r *Recorder) send(ctx context.Context, t *told) error {
	if before, found := r.said.Get(t.words); found && t.first.Sub(before.(*series).last) < seriesTime {
		err := r.sendAgain(ctx, t, before.(*series))
		if !apierrors.IsNotFound(err) {
			return err
		}
	}
	event := r.object(t)
	err := r.sink.Create(ctx, event)
	if err != nil && !apierrors.IsAlreadyExists(err) { // an answer was lost
		return err
	}
	r.said.Add(t.words, &series{event.Namespace, event.Name, t.count, t.count, t.last, t.last})
	return nil
}

func (r *Recorder) object(t *told) *eventsv1.Event {
	event := &eventsv1.Event{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: t.about.Namespace,
			Name:      util.GenerateEventName(t.about.Name, t.first.UnixNano()),
		},
		EventTime:           metav1.NewMicroTime(t.first),
		ReportingController: r.program,
		ReportingInstance:   r.instance,
		Action:              t.action,
		Reason:              t.reason,
		Regarding:           t.about,
		Note:                t.note,
		Type:                t.eventType,
	}
	if t.count > 1 {
		event.Series = &eventsv1.EventSeries{Count: t.count, LastObservedTime: metav1.NewMicroTime(t.last)}
	}
	return event
}

const (
	// maxSeries is how many Events are remembered, to count what is said again.
	maxSeries = 4096

	// seriesTime is after how long the same words are another Event: as client-go has it
	// (k8s.io/client-go/tools/events, finishTime).
	seriesTime = 6 * time.Minute

	// refreshTime is how long a count may be out of date. Events vanish an hour after the
	// last write, and what lasts is to be seen for as long.
	refreshTime = 10 * time.Minute
)

// sendAgain counts an Event that is written. What is tried again all the time would be a
// write each time: the count is written once it has doubled, or is old.
func (r *Recorder) sendAgain(ctx context.Context, t *told, s *series) error {
	count := s.count + t.count
	if count < 2*s.written && t.last.Sub(s.at) < refreshTime {
		s.count, s.last = count, t.last
		return nil
	}
	patch, err := json.Marshal(map[string]any{
		"series": eventsv1.EventSeries{Count: count, LastObservedTime: metav1.NewMicroTime(t.last)},
	})
	if err != nil {
		return err
	}
	if err := r.sink.Patch(ctx, s.namespace, s.name, patch); err != nil {
		return err
	}
	s.count, s.written, s.at, s.last = count, count, t.last, t.last
	return nil
}

// eventSink writes to the API server.
type eventSink struct {
	client eventsclient.EventsV1Interface
}

func (s eventSink) Create(ctx context.Context, event *eventsv1.Event) error {
	_, err := s.client.Events(event.Namespace).Create(ctx, event, metav1.CreateOptions{})
	return err
}

func (s eventSink) Patch(ctx context.Context, namespace, name string, patch []byte) error {
	_, err := s.client.Events(namespace).Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{})
	return err
}
