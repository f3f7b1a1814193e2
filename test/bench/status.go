package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/configpin/configpin/internal/pin"
	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/wellknown"
	"github.com/configpin/configpin/test/lab/installation"
)

// The budget of the status of a whole cluster: what a person waits for without wondering,
// and what a laptop has to spare.
const (
	statusTime   = 5 * time.Second
	statusMemory = 200 << 20
)

// fleetSize is how many bytes a source holds.
const fleetSize = 10 << 10

// status measures `kubectl configpin status --all-namespaces` on a cluster where each
// workload has a source of its own, beside a plain client that lists what has to be read
// for it. Nothing of configpin runs.
func (b *bench) status(ctx context.Context) (rows []row, err error) {
	y, stop, err := b.yard(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	if err := b.fleet(ctx, y); err != nil {
		return nil, err
	}
	if err := installation.BuildPlugin(ctx, y.cluster.Dir()); err != nil {
		return nil, err
	}
	var ours, floor samples
	peak := 0
	for range b.rounds {
		if err := floor.timed(func() error { return y.listFleet(ctx) }); err != nil {
			return nil, err
		}
		err := ours.timed(func() error {
			used, err := b.askStatus(ctx, y)
			peak = max(peak, used)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	b.say("status: %s, listing the same %s", ours, floor)
	return []row{
		{
			what:     fmt.Sprintf("status of %d workloads", b.referring),
			measured: ours.spread(),
			floor:    "listing the same: " + floor.spread(),
			ratio:    times(ours.ratio(floor)),
			budget:   "<= " + text(statusTime),
			verdict:  judge(ours.median() <= statusTime),
		},
		{
			what:     "- its memory",
			measured: mib(peak),
			budget:   "<= " + mib(statusMemory),
			verdict:  judge(peak > 0 && peak <= statusMemory), // 0 is where nobody knows
		},
	}, nil
}

// askStatus asks for the status of all workloads, and returns how much memory that took at
// most, in bytes.
func (b *bench) askStatus(ctx context.Context, y *yard) (peak int, err error) {
	command := exec.CommandContext(ctx, filepath.Join(y.cluster.Dir(), installation.Plugin), "status", "--all-namespaces", "--check")
	command.Env = append(os.Environ(), "KUBECONFIG="+y.cluster.Kubeconfig())
	var out, complaint bytes.Buffer
	command.Stdout, command.Stderr = &out, &complaint
	began := time.Now()
	if err := command.Start(); err != nil {
		return 0, fmt.Errorf("asking for the status: %w", err)
	}
	looking, enough := context.WithCancel(ctx)
	defer enough()
	memory := &footprint{pid: command.Process.Pid, field: "VmHWM"} // the usage that Wait tells includes that of this process, before it became another
	go memory.watch(looking)
	if err := command.Wait(); err != nil {
		return 0, fmt.Errorf("asking for the status: %w\n%s", err, complaint.String())
	}
	want := fmt.Sprintf("%d workloads: %d Current.\n", b.referring, b.referring)
	if !strings.HasSuffix(out.String(), want) {
		return 0, fmt.Errorf("the status ends with %q, and not with %q", out.String()[max(0, out.Len()-200):], want)
	}
	return memory.peak(began, time.Now()), nil
}

// fleet creates workloads that are pinned to what their sources hold.
func (b *bench) fleet(ctx context.Context, y *yard) error {
	b.say("status: creating %d namespaces with %d sources, their snapshots and workloads", b.namespaces, b.referring)
	err := each(ctx, stockAtOnce, b.namespaces, func(ctx context.Context, i int) error {
		space := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: y.stock.space(i)}}
		_, err := y.client.CoreV1().Namespaces().Create(ctx, space, metav1.CreateOptions{})
		return err
	})
	if err != nil {
		return err
	}
	return each(ctx, stockAtOnce, b.referring, func(ctx context.Context, i int) error {
		source, kept, workload := y.member(i)
		for _, made := range []*corev1.ConfigMap{source, kept} {
			if _, err := y.client.CoreV1().ConfigMaps(made.Namespace).Create(ctx, made, metav1.CreateOptions{}); err != nil {
				return err
			}
		}
		_, err := y.client.AppsV1().Deployments(workload.Namespace).Create(ctx, workload, metav1.CreateOptions{})
		return err
	})
}

// member is the i-th workload of the fleet, with what it reads.
func (y *yard) member(i int) (source, kept *corev1.ConfigMap, workload *appsv1.Deployment) {
	live := snapshot.Object{
		Kind:        wellknown.ConfigMap,
		Namespace:   y.stock.space(i % y.stock.namespaces),
		Name:        fmt.Sprintf("source-%d", i),
		Annotations: map[string]string{wellknown.Versioned: wellknown.True},
		Data:        map[string]string{key: strings.Repeat(fmt.Sprintf("%07d\n", i), fleetSize/8)},
	}
	source = live.ConfigMap()
	source.Immutable = nil
	made := snapshot.Of(live, snapshot.Lengths[0])
	made.Annotations[wellknown.Revision] = "1"
	workload = deployment(fmt.Sprintf("workload-%d", i), map[string]string{
		wellknown.Enabled: wellknown.True,
		snapshot.ObservedLabel(wellknown.ConfigMap, live.Name): snapshot.Suffix(made.Name),
	}, envFrom(made.Name))
	workload.Namespace = live.Namespace
	workload.Spec.Template.Annotations = map[string]string{
		wellknown.Pins: pin.FormatPins(map[refs.Target]string{{Kind: wellknown.ConfigMap, Name: live.Name}: made.Name}),
	}
	return source, made.ConfigMap(), workload
}

// listFleet lists what the status is made from, in large pages, and throws it away.
func (y *yard) listFleet(ctx context.Context) error {
	api := y.client.CoreV1().RESTClient()
	configMaps := schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}
	deployments := schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}
	return errors.Join(
		listAll(ctx, api, configMaps, whole, gcWholePage, "!"+wellknown.SnapshotOf),
		listAll(ctx, api, configMaps, metadataOnly, gcMetadataPage, wellknown.SnapshotOf),
		listAll(ctx, api, deployments, whole, gcWholePage, wellknown.Enabled),
	)
}
