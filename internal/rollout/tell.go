package rollout

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/cluster/watch"
	"github.com/configpin/configpin/internal/news"
	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/wellknown"
)

// event records what happened to a workload.
func (r *Rollout) event(regarding *corev1.ObjectReference, eventType, reason, note string, args ...any) {
	r.events.Eventf(regarding, nil, eventType, reason, "Pin", note, args...)
}

func reference(of cluster.Workload, uid types.UID) *corev1.ObjectReference {
	return &corev1.ObjectReference{
		APIVersion: of.Kind.Group + "/" + of.Kind.Version,
		Kind:       of.Kind.Kind,
		Namespace:  of.Namespace,
		Name:       of.Name,
		UID:        uid,
	}
}

// tell tells what a write did to the pins of a workload, whoever wrote it. What
// was there when the watch began is no news, and only a leader who knows the
// sources speaks.
func (r *Rollout) tell(change watch.Change) {
	if change.After == nil || change.Initial || !r.feed.Running() || !r.sources.Synced() {
		return
	}
	changes := news.Changes(change.Before, *change.After, func(source refs.Target, suffix string) bool {
		return r.sources.Holds(cluster.Key{Namespace: change.Namespace, Target: source}, suffix)
	})
	changes = slices.DeleteFunc(changes, func(c news.Change) bool { return r.inCrowd(change.Namespace, c) })
	for len(changes) > 0 {
		alike, others := sameReason(changes)
		regarding := reference(change.Workload, change.UID)
		regarding.ResourceVersion = change.ResourceVersion // or it would be counted as the same event as the last
		r.event(regarding, corev1.EventTypeNormal, alike[0].Reason, "%s", news.Tell(change.Kind, alike))
		changes = others
	}
}

// sameReason parts the changes that have the reason of the first from the others.
func sameReason(changes []news.Change) (alike, others []news.Change) {
	for _, c := range changes {
		if c.Reason == changes[0].Reason {
			alike = append(alike, c)
		} else {
			others = append(others, c)
		}
	}
	return alike, others
}

// tellMissing tells, once, of snapshots that a workload names and that are gone.
// The watches of workloads and of snapshots don't wait for each other, so it asks
// before it says so.
func (r *Rollout) tellMissing(ctx context.Context, of cluster.Workload, uid types.UID, missing []news.Gone) error {
	var names []string
	advice := fmt.Sprintf("to use what the source holds now, label the %s %s=true", strings.ToLower(of.Kind.Kind), wellknown.Resume)
	for _, gone := range missing {
		exists, err := r.sources.Exists(ctx, cluster.Key{Namespace: of.Namespace, Target: gone.Snapshot})
		if err != nil {
			return err
		}
		if exists {
			continue
		}
		names = append(names, gone.Snapshot.String())
		if !gone.Followed {
			advice = fmt.Sprintf("create %s again with that content, and annotate it %s=true", gone.Source, wellknown.Versioned)
		}
	}
	text := strings.Join(names, ", ")
	told := ""
	r.records.of(of, func(is *record) { told, is.missing = is.missing, text })
	if text != "" && text != told {
		r.event(reference(of, uid), corev1.EventTypeWarning, wellknown.ReasonSnapshotMissing,
			"A snapshot that it names is gone, so new Pods can't start: %s; %s", text, advice)
	}
	return nil
}

// toldMissing says whether any workload is known to name a snapshot that is gone.
func (r *Rollout) toldMissing() bool {
	r.records.mutex.Lock()
	defer r.records.mutex.Unlock()
	return r.records.missing > 0
}
