package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/wellknown"
)

// app is a workload of the story.
type app struct {
	kind     string // "deployment" or "statefulset"
	name     string
	selector string
	source   string // the ConfigMap that it reads
	key      string
	mark     string // what the interesting line of that key contains
}

var (
	dns   = app{"deployment", "coredns", "k8s-app=kube-dns", "coredns", "Corefile", "cache "}
	mysql = app{"statefulset", "mysql", "app=mysql", "mysql", "master.cnf", "log-bin"}
)

func (a app) String() string { return a.kind + "/" + a.name }

// reads returns the ConfigMap that a template names for the app's source, and
// the interesting line of what it holds.
func (t *teller) reads(ctx context.Context, a app, spec corev1.PodSpec) (name, line string, err error) {
	raw, err := json.Marshal(spec)
	if err != nil {
		return "", "", err
	}
	for _, ref := range refs.Walk(string(raw)) {
		if ref.Kind != wellknown.ConfigMap || ref.Name != a.source && !strings.HasPrefix(ref.Name, a.source+"-") {
			continue
		}
		found, err := t.client.CoreV1().ConfigMaps(t.namespace).Get(ctx, ref.Name, metav1.GetOptions{})
		if err != nil {
			return "", "", fmt.Errorf("a Pod reads %s: %w", ref.Target, err)
		}
		for line := range strings.Lines(found.Data[a.key]) {
			if strings.Contains(line, a.mark) {
				return ref.Name, strings.TrimSpace(line), nil
			}
		}
		return ref.Name, "", nil
	}
	return "", "", fmt.Errorf("nothing refers to configmap/%s", a.source)
}

// pods prints for each Pod which content it reads, resolved from its refs.
func (t *teller) pods(a app) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		found, err := t.client.CoreV1().Pods(t.namespace).List(ctx, metav1.ListOptions{LabelSelector: a.selector})
		if err != nil {
			return err
		}
		table := tabwriter.NewWriter(t.out, 0, 0, 3, ' ', 0)
		fmt.Fprintf(table, "  POD\tREADS\t%s THERE\n", strings.ToUpper(a.key))
		for _, pod := range found.Items {
			if pod.DeletionTimestamp != nil {
				continue
			}
			name, line, err := t.reads(ctx, a, pod.Spec)
			if err != nil {
				return err
			}
			fmt.Fprintf(table, "  %s\tconfigmap/%s\t… %s …\n", pod.Name, name, line)
		}
		return table.Flush()
	}
}

// allRead says whether every Pod of the app is of one revision, ready, and
// reads a content with that line, out of a snapshot or out of the source.
func (t *teller) allRead(a app, line string, snapshot bool) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		if err := t.rolledOut(ctx, a); err != nil {
			return err
		}
		found, err := t.client.CoreV1().Pods(t.namespace).List(ctx, metav1.ListOptions{LabelSelector: a.selector})
		if err != nil {
			return err
		}
		if len(found.Items) == 0 {
			return fmt.Errorf("%s has no Pods", a)
		}
		for _, pod := range found.Items {
			name, got, err := t.reads(ctx, a, pod.Spec)
			switch {
			case err != nil:
				return err
			case got != line:
				return fmt.Errorf("pod %s reads %q in %s, not %q", pod.Name, got, name, line)
			case snapshot == (name == a.source):
				return fmt.Errorf("pod %s reads configmap/%s", pod.Name, name)
			}
		}
		return nil
	}
}

func (t *teller) rolledOut(ctx context.Context, a app) error {
	if a.kind == "statefulset" {
		s, err := t.client.AppsV1().StatefulSets(t.namespace).Get(ctx, a.name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if s.Status.ObservedGeneration != s.Generation || s.Status.UpdatedReplicas != *s.Spec.Replicas || s.Status.ReadyReplicas != *s.Spec.Replicas || s.Status.CurrentRevision != s.Status.UpdateRevision {
			return fmt.Errorf("%s isn't rolled out: %d of %d are updated, %d ready", a, s.Status.UpdatedReplicas, *s.Spec.Replicas, s.Status.ReadyReplicas)
		}
		return nil
	}
	d, err := t.client.AppsV1().Deployments(t.namespace).Get(ctx, a.name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	if d.Status.ObservedGeneration != d.Generation || d.Status.UpdatedReplicas != *d.Spec.Replicas || d.Status.Replicas != *d.Spec.Replicas || d.Status.AvailableReplicas != *d.Spec.Replicas {
		return fmt.Errorf("%s isn't rolled out: of %d Pods %d are updated and %d available", a, d.Status.Replicas, d.Status.UpdatedReplicas, d.Status.AvailableReplicas)
	}
	return nil
}

// replicaSets returns the ReplicaSets of the app, oldest first.
func (t *teller) replicaSets(ctx context.Context, a app) ([]appsv1.ReplicaSet, error) {
	found, err := t.client.AppsV1().ReplicaSets(t.namespace).List(ctx, metav1.ListOptions{LabelSelector: a.selector})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(found.Items, func(x, y appsv1.ReplicaSet) int {
		return x.CreationTimestamp.Compare(y.CreationTimestamp.Time)
	})
	return found.Items, nil
}

// revisions says whether there are that many ReplicaSets or
// ControllerRevisions: how often the app was rolled out to something new.
func (t *teller) revisions(a app, want int) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		var got int
		if a.kind == "statefulset" {
			found, err := t.client.AppsV1().ControllerRevisions(t.namespace).List(ctx, metav1.ListOptions{LabelSelector: a.selector})
			if err != nil {
				return err
			}
			got = len(found.Items)
		} else {
			found, err := t.replicaSets(ctx, a)
			if err != nil {
				return err
			}
			got = len(found)
		}
		if got != want {
			return fmt.Errorf("%s has %d revisions, not %d", a, got, want)
		}
		return nil
	}
}

// stillReads says whether some ReplicaSet of the app names a content with that
// line, whatever was rolled out since.
func (t *teller) stillReads(a app, line string) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		found, err := t.replicaSets(ctx, a)
		if err != nil {
			return err
		}
		var got []string
		for _, set := range found {
			name, there, err := t.reads(ctx, a, set.Spec.Template.Spec)
			if err != nil {
				return err
			}
			if there == line && name != a.source {
				return nil
			}
			got = append(got, fmt.Sprintf("%s names %s with %q", set.Name, name, there))
		}
		return fmt.Errorf("no ReplicaSet names a snapshot with %q: %s", line, strings.Join(got, ", "))
	}
}
