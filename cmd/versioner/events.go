package main

import (
	"context"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/manager"
)

// Events are written at a rate of their own. A source of a thousand workloads
// makes a thousand of them, and each is a write like the rollout that it tells
// of, which it would hold up. Those beyond come later, and people read slower.
const (
	eventsPerSecond = 20
	eventsAtOnce    = 50
)

// newRecorder returns a recorder that writes while mgr runs.
func newRecorder(mgr manager.Manager, config *rest.Config) (events.EventRecorder, error) {
	config = rest.CopyConfig(config)
	config.QPS, config.Burst = eventsPerSecond, eventsAtOnce
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("connecting to the cluster: %w", err)
	}
	broadcaster := events.NewBroadcaster(&events.EventSinkImpl{Interface: client.EventsV1()})
	if err := mgr.Add(eventWriter{broadcaster}); err != nil {
		return nil, fmt.Errorf("starting: %w", err)
	}
	return brief{broadcaster.NewRecorder(mgr.GetScheme(), "configpin")}, nil
}

// eventWriter writes what is recorded.
type eventWriter struct{ broadcaster events.EventBroadcaster }

// Start writes until ctx ends.
func (w eventWriter) Start(ctx context.Context) error {
	defer w.broadcaster.Shutdown()
	if err := w.broadcaster.StartRecordingToSinkWithContext(ctx); err != nil {
		return fmt.Errorf("writing events: %w", err)
	}
	<-ctx.Done()
	return nil
}

// NeedLeaderElection has it start before anything records: what nobody listens
// to is lost.
func (eventWriter) NeedLeaderElection() bool { return false }

// maxNote is the length of the longest note that the API server takes
// (k8s.io/kubernetes/pkg/apis/core/validation/events.go, NoteLengthLimit).
const maxNote = 1024

// brief cuts notes to that, rather than losing them.
type brief struct{ events.EventRecorder }

// Eventf records what happened.
func (b brief) Eventf(regarding, related runtime.Object, eventType, reason, action, note string, args ...any) {
	note = fmt.Sprintf(note, args...)
	if len(note) > maxNote {
		note = strings.ToValidUTF8(note[:maxNote-len("...")], "") + "..."
	}
	b.EventRecorder.Eventf(regarding, related, eventType, reason, action, "%s", note)
}
