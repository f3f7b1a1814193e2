package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/configpin/configpin/internal/wellknown"
)

// The budget of a write: what a webhook costs anyway, one read of what the
// workload refers to, and a millisecond.
const (
	writeGets  = 1.2
	writeExtra = time.Millisecond
)

// way is how a Deployment is written.
type way struct {
	name   string
	labels map[string]string

	updates, creates samples
}

// write compares a write of a pinned Deployment with the same through a webhook
// that does nothing, and through none.
func (b *bench) write(ctx context.Context) ([]row, error) {
	l, err := b.lab(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := l.client.CoreV1().ConfigMaps(namespace).Create(ctx, versioned(configMap("written", "value")), metav1.CreateOptions{}); err != nil {
		return nil, err
	}
	pinned := &way{name: "pinned", labels: map[string]string{wellknown.Enabled: wellknown.True}}
	through := &way{name: "noop", labels: map[string]string{noopLabel: wellknown.True}}
	plain := &way{name: "plain"}
	ways := []*way{plain, through, pinned}
	for _, w := range ways {
		if _, err := l.create(ctx, w, w.name); err != nil {
			return nil, err
		}
	}
	if err := l.untilCalled(ctx, through, pinned); err != nil {
		return nil, err
	}
	gets, err := b.writeAll(ctx, l, ways)
	if err != nil {
		return nil, err
	}
	return writeRows(plain, through, pinned, gets), nil
}

// writeAll writes in all ways by turns, and reads a ConfigMap in between.
func (b *bench) writeAll(ctx context.Context, l *lab, ways []*way) (gets samples, err error) {
	const warmUp = 20
	for i := range b.writes + warmUp {
		if i == warmUp {
			gets = nil
			for _, w := range ways {
				w.updates, w.creates = nil, nil
			}
		}
		if i%100 == 0 {
			b.say("write: %d of %d", i, b.writes+warmUp)
		}
		for turn := range ways {
			w := ways[(i+turn)%len(ways)]
			if err := w.updates.timed(func() error { return l.annotate(ctx, w.name, i) }); err != nil {
				return nil, err
			}
		}
		err := gets.timed(func() error {
			_, err := l.client.CoreV1().ConfigMaps(namespace).Get(ctx, "written", metav1.GetOptions{})
			return err
		})
		if err != nil {
			return nil, err
		}
		for turn := range ways {
			if err := l.createAndDelete(ctx, ways[(i+turn)%len(ways)]); err != nil {
				return nil, err
			}
		}
	}
	return gets, nil
}

func writeRows(plain, through, pinned *way, gets samples) []row {
	get := gets.median()
	budget := through.updates.median() + time.Duration(writeGets*float64(get)) + writeExtra
	return []row{
		{
			what:     "write of a pinned Deployment",
			measured: pinned.updates.String(),
			floor:    "no-op webhook: " + through.updates.String(),
			ratio:    times(pinned.updates.ratio(through.updates)),
			budget:   fmt.Sprintf("p50 <= %s: no-op + %.1f GET + %s", text(budget), writeGets, text(writeExtra)),
			verdict:  judge(pinned.updates.median() <= budget),
		},
		{
			what:     "- the same, without any webhook",
			measured: plain.updates.String(),
			verdict:  none,
		},
		{
			what:     "- one live GET of a ConfigMap",
			measured: gets.String(),
			verdict:  none,
		},
		{
			what:     "create of an opted-in Deployment",
			measured: pinned.creates.String(),
			floor:    "no-op webhook: " + through.creates.String(),
			ratio:    times(pinned.creates.ratio(through.creates)),
			verdict:  none,
		},
	}
}

func (l *lab) create(ctx context.Context, w *way, name string) (*appsv1.Deployment, error) {
	return l.client.AppsV1().Deployments(namespace).Create(ctx, deployment(name, w.labels, envFrom("written")), metav1.CreateOptions{})
}

func (l *lab) createAndDelete(ctx context.Context, w *way) error {
	name := w.name + "-created"
	err := w.creates.timed(func() error {
		_, err := l.create(ctx, w, name)
		return err
	})
	if err != nil {
		return err
	}
	return l.client.AppsV1().Deployments(namespace).Delete(ctx, name, metav1.DeleteOptions{})
}

func (l *lab) annotate(ctx context.Context, name string, value int) error {
	patch := fmt.Appendf(nil, `{"metadata":{"annotations":{"example.com/written":"%d"}}}`, value)
	_, err := l.client.AppsV1().Deployments(namespace).Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{})
	return err
}

// webhookPatience is how long the API server may take to learn of a webhook.
const webhookPatience = 30 * time.Second

// untilCalled waits until both webhooks are called.
func (l *lab) untilCalled(ctx context.Context, through, pinned *way) error {
	var last error
	err := wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, webhookPatience, true, func(ctx context.Context) (bool, error) {
		last = l.called(ctx, through, pinned)
		return last == nil, nil
	})
	if err != nil {
		return errors.Join(err, last)
	}
	return nil
}

// called writes through both webhooks, and returns why it seems that one of
// them wasn't called.
func (l *lab) called(ctx context.Context, through, pinned *way) error {
	for _, w := range []*way{through, pinned} {
		if err := l.annotate(ctx, w.name, -1); err != nil {
			return err
		}
	}
	if l.noop.calls.Load() == 0 {
		return errors.New("the no-op webhook isn't called")
	}
	d, err := l.client.AppsV1().Deployments(namespace).Get(ctx, pinned.name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	if d.Spec.Template.Annotations[wellknown.Pins] == "" {
		return errors.New("configpin pins nothing")
	}
	return nil
}
