package cluster

import (
	"context"
	"errors"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/configpin/configpin/internal/snapshot"
)

// All returns the metadata of all sources and snapshots that are known.
func (s *Sources) All() []snapshot.Object {
	var all []snapshot.Object
	for kind, informer := range s.informers {
		for _, object := range informer.GetStore().List() {
			all = append(all, snapshot.FromMetadata(kind, object.(*metav1.PartialObjectMetadata)))
		}
	}
	return all
}

// All returns the workloads that are known.
func (w *Workloads) All() []Workload {
	var all []Workload
	for kind, informer := range w.informers {
		for _, object := range informer.GetStore().List() {
			e := object.(*entry)
			all = append(all, Workload{kind, e.Namespace, e.Name})
		}
	}
	return all
}

// syncPoll is how often a watch is asked whether it is complete; the watches
// themselves don't say when.
const syncPoll = 50 * time.Millisecond

// WaitSynced waits until all of synced are.
func WaitSynced(ctx context.Context, synced ...func() bool) error {
	err := wait.PollUntilContextCancel(ctx, syncPoll, true, func(context.Context) (bool, error) {
		for _, complete := range synced {
			if !complete() {
				return false, nil
			}
		}
		return true, nil
	})
	if err != nil {
		return errors.New("stopped before all that there is was known")
	}
	return nil
}
