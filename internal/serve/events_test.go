package serve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/events"
)

var _ events.EventRecorder = &Recorder{}

// book is what was written, and how that went.
type book struct {
	mutex  sync.Mutex
	lines  []string
	writes int
	fails  func(line string) error
}

func (b *book) write(line string) error {
	b.mutex.Lock()
	b.writes++
	b.mutex.Unlock()
	if b.fails != nil {
		if err := b.fails(line); err != nil {
			return err
		}
	}
	b.mutex.Lock()
	defer b.mutex.Unlock()
	b.lines = append(b.lines, line)
	return nil
}

func (b *book) Create(_ context.Context, event *eventsv1.Event) error {
	count := ""
	if event.Series != nil {
		count = fmt.Sprintf(" (%d)", event.Series.Count)
	}
	return b.write(event.Type + " " + event.Regarding.Name + ": " + event.Note + count)
}

func (b *book) Patch(_ context.Context, namespace, _ string, patch []byte) error {
	var again struct{ Series eventsv1.EventSeries }
	if err := json.Unmarshal(patch, &again); err != nil {
		return err
	}
	return b.write(fmt.Sprintf("again in %s: %d", namespace, again.Series.Count))
}

func (b *book) read() []string {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.lines
}

func about(name string) *corev1.ObjectReference {
	return &corev1.ObjectReference{Kind: "Deployment", Namespace: "shop", Name: name}
}

func say(r *Recorder, eventType, name, note string) {
	r.Eventf(about(name), nil, eventType, "Reason", "Pin", "%s", note)
}

// sayIn says something in another namespace than say does.
func sayIn(r *Recorder, namespace, eventType, name, note string) {
	object := about(name)
	object.Namespace = namespace
	r.Eventf(object, nil, eventType, "Reason", "Pin", "%s", note)
}

// counted is how many Events were dropped for a reason since the test began.
func counted(t *testing.T, eventType, reason string) func() int {
	t.Helper()
	before := testutil.ToFloat64(droppedEvents.WithLabelValues(eventType, reason))
	return func() int { return int(testutil.ToFloat64(droppedEvents.WithLabelValues(eventType, reason)) - before) }
}

// started runs a recorder in a bubble of synctest, and returns what ends it.
func started(t *testing.T, b *book) (*Recorder, func()) {
	t.Helper()
	r := newRecorder("program", "host", b)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- r.Start(ctx) }()
	return r, func() {
		cancel()
		assert.NoError(t, <-done)
	}
}

func TestEventsAreWrittenAtARateOfTheirOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &book{}
		r, stop := started(t, b)
		defer stop()
		for i := range 250 {
			say(r, corev1.EventTypeNormal, fmt.Sprint("web-", i), "moved")
		}
		synctest.Wait()
		assert.Len(t, b.read(), eventsAtOnce)
		<-time.After(5 * time.Second)
		synctest.Wait()
		assert.Len(t, b.read(), eventsAtOnce+5*eventsPerSecond)
		say(r, corev1.EventTypeWarning, "web-0", "something is in the way")
		<-time.After(time.Second)
		assert.Contains(t, b.read(), "Warning web-0: something is in the way", "what somebody has to mend comes first")
		<-time.After(time.Minute)
		assert.Len(t, b.read(), 251)
	})
}

func TestEventsAreBounded(t *testing.T) {
	const normal, warning = corev1.EventTypeNormal, corev1.EventTypeWarning
	for _, test := range []struct {
		name             string
		waiting          string // as many as there is room for
		say, about       string
		normal, warnings int // dropped
		first, last      string
	}{
		{"the oldest Normal one makes room for another", normal, normal, "late", 1, 0, "Normal web-1: news", "Normal late: news"},
		{"a Normal one makes room for a Warning", normal, warning, "late", 1, 0, "Warning late: news", "Normal web-999: news"},
		{"the oldest Warning makes room for another", warning, warning, "late", 0, 1, "Warning web-1: news", "Warning late: news"},
		{"no Warning makes room for a Normal one", warning, normal, "late", 1, 0, "Warning web-0: news", "Warning web-999: news"},
		{"a repetition takes no room", normal, normal, "web-0", 0, 0, "Normal web-0: news (2)", "Normal web-999: news"},
	} {
		t.Run(test.name, func(t *testing.T) {
			ofNormal, ofWarnings := counted(t, normal, droppedFull), counted(t, warning, droppedFull)
			b := &book{}
			r := newRecorder("program", "host", b)
			for i := range maxEvents {
				say(r, test.waiting, fmt.Sprint("web-", i), "news")
			}
			say(r, test.say, test.about, "news")
			assert.Equal(t, test.normal, ofNormal())
			assert.Equal(t, test.warnings, ofWarnings())
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			require.NoError(t, r.Start(ctx))
			written := b.read()
			require.Len(t, written, maxEvents)
			assert.Equal(t, []string{test.first, test.last}, []string{written[0], written[len(written)-1]})
		})
	}
}

func TestWhatIsSaidAgainIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &book{}
		r, stop := started(t, b)
		defer stop()
		for range 16 {
			say(r, corev1.EventTypeWarning, "web", "it is refused")
			<-time.After(time.Second)
		}
		want := []string{"Warning web: it is refused", "again in shop: 2", "again in shop: 4", "again in shop: 8", "again in shop: 16"}
		assert.Equal(t, want, b.read(), "a write each time that the count has doubled")
		for range 10 {
			<-time.After(time.Minute)
			say(r, corev1.EventTypeWarning, "web", "it is refused")
		}
		<-time.After(time.Second)
		want = append(want, "again in shop: 26")
		assert.Equal(t, want, b.read(), "or is old")

		say(r, corev1.EventTypeWarning, "web", "it is refused by somebody else")
		<-time.After(seriesTime)
		say(r, corev1.EventTypeWarning, "web", "it is refused")
		<-time.After(time.Second)
		want = append(want, "Warning web: it is refused by somebody else", "Warning web: it is refused")
		assert.Equal(t, want, b.read(), "other words, or the same much later, are another Event")
	})
}

func TestAnEventThatVanishedIsWrittenAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &book{fails: func(line string) error {
			if strings.HasPrefix(line, "again") {
				return apierrors.NewNotFound(schema.GroupResource{Resource: "events"}, "web.1")
			}
			return nil
		}}
		r, stop := started(t, b)
		defer stop()
		for range 2 {
			say(r, corev1.EventTypeWarning, "web", "it is refused")
			<-time.After(time.Second)
		}
		assert.Equal(t, []string{"Warning web: it is refused", "Warning web: it is refused"}, b.read())
	})
}

func TestAnEventThatCannotBeWritten(t *testing.T) {
	resource := schema.GroupResource{Resource: "events"}
	going := apierrors.NewForbidden(resource, "web.1", errors.New("because it is being terminated"))
	going.ErrStatus.Details.Causes = append(going.ErrStatus.Details.Causes, metav1.StatusCause{Type: corev1.NamespaceTerminatingCause})
	for _, test := range []struct {
		name    string
		err     error
		tries   int
		dropped string
	}{
		{name: "its namespace is being deleted", err: going, tries: 1},
		{name: "its namespace is gone", err: apierrors.NewNotFound(schema.GroupResource{Resource: "namespaces"}, "shop"), tries: 1},
		{name: "it is refused", err: apierrors.NewForbidden(resource, "web.1", errors.New("policy")), tries: 1, dropped: droppedRefused},
		{name: "nobody answers", err: errors.New("connection refused"), tries: writeTries, dropped: droppedUnanswered},
		{name: "somebody answers that he isn't well", err: apierrors.NewInternalError(errors.New("etcd")), tries: writeTries, dropped: droppedUnanswered},
		{name: "somebody has too much to do", err: apierrors.NewTooManyRequests("later", 1), tries: writeTries, dropped: droppedUnanswered},
		{name: "it was written, and the answer was lost", err: apierrors.NewAlreadyExists(resource, "web.1"), tries: 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var all []func() int
				for _, reason := range []string{droppedFull, droppedRefused, droppedUnanswered, droppedStopped} {
					if reason != test.dropped {
						all = append(all, counted(t, "Normal", reason))
					}
				}
				expected := counted(t, "Normal", test.dropped)
				b := &book{fails: func(line string) error {
					if strings.Contains(line, "web") {
						return test.err
					}
					return nil
				}}
				r, stop := started(t, b)
				defer stop()
				say(r, corev1.EventTypeNormal, "web", "moved")
				say(r, corev1.EventTypeNormal, "other", "moved")
				<-time.After(3 * time.Minute)
				assert.Equal(t, []string{"Normal other: moved"}, b.read(), "it holds up no other for long")
				assert.Equal(t, test.tries+1, b.writes)
				if test.dropped != "" {
					assert.Equal(t, 1, expected())
				}
				for _, count := range all {
					assert.Zero(t, count())
				}
			})
		})
	}
}

// failsAbout has writes about objects whose names begin so fail for as long as it is true,
// each after a while.
func failsAbout(prefix string, failing *atomic.Bool, after time.Duration) func(string) error {
	return func(line string) error {
		if !failing.Load() || !strings.HasPrefix(line, "Warning "+prefix) && !strings.HasPrefix(line, "Normal "+prefix) {
			return nil
		}
		<-time.After(after)
		return apierrors.NewInternalError(errors.New("failed calling webhook"))
	}
}

// TestANamespaceThatTakesNoEventsHoldsUpNoOther, whether it is refused at once, or nobody
// answers.
func TestANamespaceThatTakesNoEventsHoldsUpNoOther(t *testing.T) {
	for name, after := range map[string]time.Duration{"refused": 0, "unanswered": writeTime} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				unanswered := counted(t, "Warning", droppedUnanswered)
				var failing atomic.Bool
				failing.Store(true)
				b := &book{fails: failsAbout("bad", &failing, after)}
				r, stop := started(t, b)
				defer stop()
				for i := range 100 {
					sayIn(r, "bad", corev1.EventTypeWarning, fmt.Sprint("bad-", i), "news")
				}
				for i := range 60 {
					<-time.After(time.Second)
					sayIn(r, "good", corev1.EventTypeNormal, fmt.Sprint("good-", i), "news")
				}
				<-time.After(writeTime)
				synctest.Wait()
				assert.Len(t, b.read(), 60)
				assert.Less(t, b.writes, 60+12, "what fails is tried later and later, one at a time")
				failing.Store(false)
				<-time.After(lastPause + writeTime + 10*time.Second)
				synctest.Wait()
				assert.Len(t, b.read(), 160)
				assert.Zero(t, unanswered())
			})
		})
	}
}

// TestWhatCannotBeWrittenIsDroppedFirst: it may be for hours, and others are to be read.
func TestWhatCannotBeWrittenIsDroppedFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		full := counted(t, "Warning", droppedFull)
		var failing atomic.Bool
		failing.Store(true)
		b := &book{fails: failsAbout("bad", &failing, 0)}
		r, stop := started(t, b)
		defer stop()
		for i := range maxEvents {
			sayIn(r, "bad", corev1.EventTypeWarning, fmt.Sprint("bad-", i), "news")
		}
		synctest.Wait()
		sayIn(r, "good", corev1.EventTypeNormal, "good", "news")
		<-time.After(time.Second)
		assert.Equal(t, []string{"Normal good: news"}, b.read())
		assert.Equal(t, 1, full())
	})
}

// TestWhatIsSaidAgainWhileItCannotBeWrittenIsCounted: on the one that is tried again.
func TestWhatIsSaidAgainWhileItCannotBeWrittenIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var failing atomic.Bool
		failing.Store(true)
		b := &book{fails: failsAbout("bad", &failing, time.Second)}
		r, stop := started(t, b)
		defer stop()
		for range 3 { // before it is written, while it is, and while it waits
			say(r, corev1.EventTypeWarning, "bad", "news")
			<-time.After(700 * time.Millisecond)
		}
		failing.Store(false)
		<-time.After(lastPause)
		assert.Equal(t, []string{"Warning bad: news (3)"}, b.read())
	})
}

// TestWhatCouldNotBeWrittenIsTriedAtTheEnd, after all others.
func TestWhatCouldNotBeWrittenIsTriedAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stopped := counted(t, "Warning", droppedStopped)
		var failing atomic.Bool
		failing.Store(true)
		b := &book{fails: failsAbout("bad", &failing, writeTime)}
		r, stop := started(t, b)
		for i := range 3 {
			sayIn(r, "bad", corev1.EventTypeWarning, fmt.Sprint("bad-", i), "news")
		}
		<-time.After(writeTime + time.Millisecond)
		failing.Store(false)
		sayIn(r, "good", corev1.EventTypeNormal, "good", "news")
		stop()
		assert.Equal(t, []string{"Normal good: news", "Warning bad-0: news", "Warning bad-1: news", "Warning bad-2: news"}, b.read())
		assert.Zero(t, stopped())
	})
}

func TestWhatIsLeftAtTheEndIsWrittenForAMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stopped := counted(t, "Normal", droppedStopped)
		b := &book{fails: func(string) error {
			<-time.After(30 * time.Millisecond)
			return nil
		}}
		r := newRecorder("program", "host", b)
		for i := range 500 {
			say(r, corev1.EventTypeNormal, fmt.Sprint("web-", i), "moved")
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		began := time.Now()
		require.NoError(t, r.Start(ctx))
		assert.InDelta(t, drainTime, time.Since(began), float64(100*time.Millisecond))
		assert.Len(t, b.read(), 67, "as many as there is time for")
		assert.Equal(t, 500-67, stopped())
	})
}

func TestALongNoteIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &book{}
		r, stop := started(t, b)
		defer stop()
		say(r, corev1.EventTypeNormal, "web", strings.Repeat("ä", maxNote))
		synctest.Wait()
		require.Len(t, b.read(), 1)
		note := strings.TrimPrefix(b.read()[0], "Normal web: ")
		assert.Equal(t, strings.Repeat("ä", 510)+"...", note)
	})
}

// TestANoteIsPrintable: a terminal obeys none of it.
func TestANoteIsPrintable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &book{}
		r, stop := started(t, b)
		defer stop()
		say(r, corev1.EventTypeWarning, "web", "no\x1b[31m way\a \u202e x \u009b\nend \xff")
		synctest.Wait()
		assert.Equal(t, []string{"Warning web: no [31m way    x   end  "}, b.read())
	})
}
