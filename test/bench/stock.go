package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/wellknown"
)

// How much there is of each source.
const (
	perSource     = 10 // snapshots
	stockSize     = 1 << 10
	stockAtOnce   = 32 // writes
	usesPerObject = 2  // snapshots that a workload, or a copy of its template, names
)

// stock is what the collector looks at: sources, each with snapshots of which the
// newest is current, workloads that name the newer ones, and copies of templates
// that name older ones. What is left is unused, but retained.
type stock struct {
	namespaces, sources int // sources of each namespace
	workloads           int // and as many copies of templates
}

func (s stock) space(i int) string { return fmt.Sprintf("space-%03d", i) }

// of returns the snapshots of a source, the oldest first, and the source that
// holds what the last one does.
func (s stock) of(space, source int) (snapshots []snapshot.Object, live snapshot.Object) {
	live = snapshot.Object{Kind: wellknown.ConfigMap, Namespace: s.space(space), Name: fmt.Sprintf("source-%d", source)}
	for revision := 1; revision <= perSource; revision++ {
		live.Data = map[string]string{key: strings.Repeat(fmt.Sprintf("%07d\n", revision), stockSize/8)}
		made := snapshot.Of(live, snapshot.Lengths[0])
		made.Annotations[wellknown.Revision] = strconv.Itoa(revision)
		snapshots = append(snapshots, made)
	}
	live.Annotations = map[string]string{wellknown.Versioned: wellknown.True}
	return snapshots, live
}

// uses are what the i-th workload names, or its copy, by its namespace, the
// sources, and how many newer snapshots there are of them.
func (s stock) uses(i int, isCopy bool) (space int, sources [usesPerObject]int, age int) {
	space, i = i%s.namespaces, i/s.namespaces
	for n := range sources {
		sources[n] = (i + n) % s.sources
	}
	age = i / s.sources % 2
	if isCopy {
		age += 2
	}
	return space, sources, age
}

// stock creates all of it.
func (b *bench) stock(ctx context.Context, y *yard) error {
	s, client := y.stock, y.client
	b.say("gc: creating %d namespaces, and %d sources with %d snapshots each", s.namespaces, s.namespaces*s.sources, perSource)
	err := each(ctx, stockAtOnce, s.namespaces, func(ctx context.Context, i int) error {
		space := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.space(i)}}
		_, err := client.CoreV1().Namespaces().Create(ctx, space, metav1.CreateOptions{})
		return err
	})
	if err != nil {
		return err
	}
	err = each(ctx, stockAtOnce, s.namespaces*s.sources, func(ctx context.Context, i int) error {
		snapshots, source := s.of(i%s.namespaces, i/s.namespaces)
		for _, made := range append(snapshots, source) {
			c := made.ConfigMap()
			if !made.Immutable {
				c.Immutable = nil
			}
			if _, err := client.CoreV1().ConfigMaps(made.Namespace).Create(ctx, c, metav1.CreateOptions{}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	b.say("gc: creating %d Deployments and as many ControllerRevisions", s.workloads)
	return each(ctx, stockAtOnce, s.workloads, func(ctx context.Context, i int) error {
		made := s.workload(i, false)
		if _, err := client.AppsV1().Deployments(made.Namespace).Create(ctx, made, metav1.CreateOptions{}); err != nil {
			return err
		}
		revision, err := s.revision(i)
		if err != nil {
			return err
		}
		_, err = client.AppsV1().ControllerRevisions(revision.Namespace).Create(ctx, revision, metav1.CreateOptions{})
		return err
	})
}

func (s stock) workload(i int, isCopy bool) *appsv1.Deployment {
	space, sources, age := s.uses(i, isCopy)
	var from []corev1.EnvFromSource
	for _, source := range sources {
		snapshots, _ := s.of(space, source)
		from = append(from, envFrom(snapshots[perSource-1-age].Name))
	}
	made := deployment(fmt.Sprintf("workload-%d", i), nil, from...)
	made.Namespace = s.space(space)
	return made
}

// revision is a copy of a template: of all kinds that hold one, the one that no
// controller does anything about.
func (s stock) revision(i int) (*appsv1.ControllerRevision, error) {
	of := s.workload(i, true)
	template, err := json.Marshal(map[string]any{"spec": map[string]any{"template": of.Spec.Template}})
	if err != nil {
		return nil, err
	}
	return &appsv1.ControllerRevision{
		ObjectMeta: metav1.ObjectMeta{Namespace: of.Namespace, Name: of.Name},
		Data:       runtime.RawExtension{Raw: template},
		Revision:   1,
	}, nil
}

// outgrow leaves room for all unused snapshots but one of a source of each
// namespace.
func (s stock) outgrow(ctx context.Context, client kubernetes.Interface) error {
	return each(ctx, stockAtOnce, s.namespaces, func(ctx context.Context, space int) error {
		_, source := s.of(space, 0)
		patch := fmt.Appendf(nil, `{"metadata":{"annotations":{%q:"%d"}}}`, wellknown.HistoryLimit, s.unused(space)-1)
		_, err := client.CoreV1().ConfigMaps(source.Namespace).Patch(ctx, source.Name, types.MergePatchType, patch, metav1.PatchOptions{})
		return err
	})
}

// unused is how many snapshots of the first source of a namespace nothing names.
func (s stock) unused(space int) int {
	used := map[int]bool{0: true} // the current one
	for i := space; i < s.workloads; i += s.namespaces {
		for _, isCopy := range []bool{false, true} {
			_, sources, age := s.uses(i, isCopy)
			for _, source := range sources {
				if source == 0 {
					used[age] = true
				}
			}
		}
	}
	return perSource - len(used)
}
