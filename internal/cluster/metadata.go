package cluster

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/wellknown"
)

// ours are the annotations that anybody here reads.
var ours = []string{
	wellknown.Versioned, wellknown.HistoryLimit,
	wellknown.Source, wellknown.Digest, wellknown.DigestKey, wellknown.Size, wellknown.Revision, wellknown.UnusedSince,
}

// Reduce keeps of an object's metadata what anybody here reads: thousands are held at a
// time, and annotations can have 256 KiB. Of what is none of our business, that is hardly
// more than its name.
func Reduce(m *metav1.ObjectMeta) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace:         m.Namespace,
		Name:              m.Name,
		UID:               m.UID,
		ResourceVersion:   m.ResourceVersion,
		Generation:        m.Generation,
		CreationTimestamp: m.CreationTimestamp,
		DeletionTimestamp: m.DeletionTimestamp,
		Labels:            pick(m.Labels, wellknown.SnapshotOf),
		Annotations:       pick(m.Annotations, ours...),
	}
}

// OfMetadata is a source or a snapshot of which no more is known than that.
func OfMetadata(kind wellknown.Kind, m *metav1.ObjectMeta) snapshot.Object {
	reduced := Reduce(m)
	return snapshot.FromMetadata(kind, &reduced)
}

func pick(entries map[string]string, keys ...string) map[string]string {
	var picked map[string]string
	for _, key := range keys {
		if value, found := entries[key]; found {
			if picked == nil {
				picked = map[string]string{}
			}
			picked[key] = value
		}
	}
	return picked
}
