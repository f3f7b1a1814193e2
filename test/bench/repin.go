package main

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/configpin/configpin/internal/wellknown"
)

// repinRatio is the budget of re-pinning.
const repinRatio = 1.3

// What the versioner is started with: its own defaults, but for the damping,
// which would hold back the fourth round.
const (
	settle      = 2 * time.Second
	concurrency = 16
)

func versionerFlags() []string {
	return []string{
		"--settle=" + settle.String(),
		fmt.Sprintf("--concurrency=%d", concurrency),
		"--rollout-burst=1000000",
		"--snapshot-burst=1000000",
	}
}

// groupLabel tells apart the Deployments that configpin pins, those that a plain
// client patches, and those that it patches through the no-op webhook.
const groupLabel = "bench.example.com/group"

var groups = []map[string]string{
	{groupLabel: "pinned", wellknown.Enabled: wellknown.True},
	{groupLabel: "plain"},
	{groupLabel: "through", noopLabel: wellknown.True},
}

// repin compares the time in which configpin re-pins many workloads of a source
// with the time in which a plain client changes as many templates.
func (b *bench) repin(ctx context.Context) ([]row, error) {
	l, err := b.lab(ctx)
	if err != nil {
		return nil, err
	}
	if err := b.crowd(ctx, l); err != nil {
		return nil, err
	}
	var ours, plain, through samples
	for round := range b.rounds + 1 {
		if round == 1 { // the first warmed up
			ours, plain, through = nil, nil, nil
		}
		for _, m := range []struct {
			into    *samples
			measure func() (time.Duration, error)
		}{
			{&ours, func() (time.Duration, error) { return l.repinned(ctx, b.workloads, round) }},
			{&plain, func() (time.Duration, error) { return l.patched(ctx, "plain", b.workloads, round) }},
			{&through, func() (time.Duration, error) { return l.patched(ctx, "through", b.workloads, round) }},
		} {
			took, err := m.measure()
			if err != nil {
				return nil, err
			}
			*m.into = append(*m.into, took)
		}
		b.say("repin: round %d of %d: %s, by a plain client %s, by that through a no-op webhook %s",
			round, b.rounds, text(ours[len(ours)-1]), text(plain[len(plain)-1]), text(through[len(through)-1]))
	}
	ratio := ours.ratio(plain)
	return []row{
		{
			what:     fmt.Sprintf("%d workloads re-pinned", b.workloads),
			measured: ours.spread(),
			floor:    fmt.Sprintf("%d patches: %s", b.workloads, plain.spread()),
			ratio:    times(ratio),
			budget:   fmt.Sprintf("<= %.1fx", repinRatio),
			verdict:  judge(ratio <= repinRatio),
		},
		{
			what:     "- the floor, through a no-op webhook",
			measured: through.spread(),
			floor:    fmt.Sprintf("%d patches: %s", b.workloads, plain.spread()),
			ratio:    times(through.ratio(plain)),
			verdict:  none,
		},
	}, nil
}

// crowd makes the Deployments of all groups, and the source.
func (b *bench) crowd(ctx context.Context, l *lab) error {
	if _, err := l.client.CoreV1().ConfigMaps(namespace).Create(ctx, versioned(configMap("shared", "0")), metav1.CreateOptions{}); err != nil {
		return err
	}
	b.say("repin: creating %d times %d Deployments", len(groups), b.workloads)
	for _, labels := range groups {
		err := each(ctx, concurrency, b.workloads, func(ctx context.Context, i int) error {
			made := deployment(crowdName(labels[groupLabel], i), labels, envFrom("shared"))
			_, err := l.client.AppsV1().Deployments(namespace).Create(ctx, made, metav1.CreateOptions{})
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func crowdName(group string, i int) string { return fmt.Sprintf("%s-%d", group, i) }

// each calls f for 0 to n-1, so many at a time.
func each(ctx context.Context, atOnce, n int, f func(ctx context.Context, i int) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i := range n {
		group.Go(func() error { return f(ctx, i) })
	}
	return group.Wait()
}

// repinned changes the source, and returns the time from the end of settle,
// counted from the answer to the change, until the last workload was seen to
// name another snapshot. What the snapshot itself takes is in it.
func (l *lab) repinned(ctx context.Context, n, round int) (time.Duration, error) {
	before, err := l.client.AppsV1().Deployments(namespace).Get(ctx, crowdName("pinned", 0), metav1.GetOptions{})
	if err != nil {
		return 0, err
	}
	old := named(before)
	s, err := l.watchGroup(ctx, "pinned")
	if err != nil {
		return 0, err
	}
	defer s.stop()
	patch := fmt.Appendf(nil, `{"data":{%q:"round %d"}}`, key, round)
	if _, err := l.client.CoreV1().ConfigMaps(namespace).Patch(ctx, "shared", types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		return 0, err
	}
	settled := time.Now().Add(settle)
	last, err := allNamed(ctx, s, n, func(name string) bool { return name != old })
	return last.Sub(settled), err
}

// patched changes as many templates as a plain client would.
func (l *lab) patched(ctx context.Context, group string, n, round int) (time.Duration, error) {
	s, err := l.watchGroup(ctx, group)
	if err != nil {
		return 0, err
	}
	defer s.stop()
	name := fmt.Sprintf("shared-%012d", round)
	patch := fmt.Appendf(nil, `[{"op":"replace","path":"/spec/template/spec/containers/0/envFrom/0/configMapRef/name","value":%q}]`, name)
	patching, ctx := errgroup.WithContext(ctx)
	began := time.Now()
	patching.Go(func() error {
		return each(ctx, concurrency, n, func(ctx context.Context, i int) error {
			_, err := l.client.AppsV1().Deployments(namespace).Patch(ctx, crowdName(group, i), types.JSONPatchType, patch, metav1.PatchOptions{})
			return err
		})
	})
	last, err := allNamed(ctx, s, n, func(got string) bool { return got == name })
	if patchErr := patching.Wait(); patchErr != nil {
		err = patchErr
	}
	return last.Sub(began), err
}

// watchGroup shows what changes from now on.
func (l *lab) watchGroup(ctx context.Context, group string) (*sights[*appsv1.Deployment], error) {
	selector := groupLabel + "=" + group
	listed, err := l.client.AppsV1().Deployments(namespace).List(ctx, metav1.ListOptions{LabelSelector: selector, Limit: 1})
	if err != nil {
		return nil, err
	}
	watching, err := l.client.AppsV1().Deployments(namespace).Watch(ctx, metav1.ListOptions{LabelSelector: selector, ResourceVersion: listed.ResourceVersion})
	return &sights[*appsv1.Deployment]{watching}, err
}

// allNamed waits until n Deployments name what is wanted.
func allNamed(ctx context.Context, s *sights[*appsv1.Deployment], n int, wanted func(string) bool) (time.Time, error) {
	seen := map[string]bool{}
	return s.until(ctx, fmt.Sprintf("%d Deployments to name something else", n), func(d *appsv1.Deployment) bool {
		if wanted(named(d)) {
			seen[d.Name] = true
		}
		return len(seen) == n
	})
}

func named(d *appsv1.Deployment) string {
	return d.Spec.Template.Spec.Containers[0].EnvFrom[0].ConfigMapRef.Name
}
