package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/configpin/configpin/internal/wellknown"
)

// The budget of a snapshot.
const (
	snapshotMedian = 10 * time.Millisecond
	snapshotP99    = 100 * time.Millisecond
)

const snapshotSize = 4 << 10

// snapshot compares the time from the answer to a change until its snapshot is
// seen with the time that creating such a ConfigMap takes until that is seen.
func (b *bench) snapshot(ctx context.Context) ([]row, error) {
	l, err := b.lab(ctx)
	if err != nil {
		return nil, err
	}
	watching, err := l.client.CoreV1().ConfigMaps(namespace).Watch(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	s := &sights[*corev1.ConfigMap]{watching}
	defer s.stop()
	source := versioned(configMap("changed", strings.Repeat("x", snapshotSize)))
	if _, err := l.client.CoreV1().ConfigMaps(namespace).Create(ctx, source, metav1.CreateOptions{}); err != nil {
		return nil, err
	}
	if err := numbered(ctx, s, source.Data[key]); err != nil {
		return nil, err
	}
	var ours, floor samples
	for i := range b.changes {
		if i%50 == 0 {
			b.say("snapshot: %d of %d", i, b.changes)
		}
		value := fmt.Sprintf("%0*d", snapshotSize, i)
		took, err := l.change(ctx, s, value)
		if err != nil {
			return nil, err
		}
		ours = append(ours, took)
		if err := numbered(ctx, s, value); err != nil {
			return nil, err
		}
		if took, err = l.plain(ctx, s, fmt.Sprintf("plain-%d", i), value); err != nil {
			return nil, err
		}
		floor = append(floor, took)
	}
	return []row{{
		what:     "source change to snapshot",
		measured: ours.String(),
		floor:    "creating a ConfigMap: " + floor.String(),
		ratio:    times(ours.ratio(floor)),
		budget:   fmt.Sprintf("p50 <= %s, p99 <= %s", text(snapshotMedian), text(snapshotP99)),
		verdict:  judge(ours.median() <= snapshotMedian && ours.p99() <= snapshotP99),
	}}, nil
}

// change changes the source, and returns how long after the answer its snapshot
// was seen.
func (l *lab) change(ctx context.Context, s *sights[*corev1.ConfigMap], value string) (time.Duration, error) {
	patch := fmt.Appendf(nil, `{"data":{%q:%q}}`, key, value)
	_, err := l.client.CoreV1().ConfigMaps(namespace).Patch(ctx, "changed", types.MergePatchType, patch, metav1.PatchOptions{})
	if err != nil {
		return 0, err
	}
	changed := time.Now()
	seen, err := s.until(ctx, "a snapshot", func(c *corev1.ConfigMap) bool { return snapshotOf(c) == "changed" && c.Data[key] == value })
	return seen.Sub(changed), err
}

// numbered waits until the versioner has nothing left to do: it numbers a
// snapshot after it made it.
func numbered(ctx context.Context, s *sights[*corev1.ConfigMap], value string) error {
	_, err := s.until(ctx, "the revision of a snapshot", func(c *corev1.ConfigMap) bool {
		return snapshotOf(c) == "changed" && c.Data[key] == value && c.Annotations[wellknown.Revision] != ""
	})
	return err
}

func snapshotOf(c *corev1.ConfigMap) string { return c.Labels[wellknown.SnapshotOf] }

// plain creates a ConfigMap, and returns how long it took until it was seen.
func (l *lab) plain(ctx context.Context, s *sights[*corev1.ConfigMap], name, value string) (time.Duration, error) {
	began := time.Now()
	if _, err := l.client.CoreV1().ConfigMaps(namespace).Create(ctx, configMap(name, value), metav1.CreateOptions{}); err != nil {
		return 0, err
	}
	seen, err := s.until(ctx, "a ConfigMap", func(c *corev1.ConfigMap) bool { return c.Name == name })
	return seen.Sub(began), err
}
