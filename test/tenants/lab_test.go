package tenants

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"

	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/wellknown"
	"github.com/configpin/configpin/manifests"
	"github.com/configpin/configpin/test/lab/controlplane"
	"github.com/configpin/configpin/test/lab/controlplane/process"
	"github.com/configpin/configpin/test/lab/installation"
)

// lab is a control plane with configpin.
type lab struct {
	api      kubernetes.Interface
	metadata metadata.Interface
	programs *installation.Installation
}

func newLab(t *testing.T) *lab {
	t.Helper()
	cluster, err := controlplane.Start(t.Context(), controlplane.Options{Dir: t.TempDir(), Progress: t.Output()})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, cluster.Stop()) })
	config := cluster.Config()
	config.QPS = -1
	config.WarningHandler = rest.NoWarnings{}
	l := &lab{}
	l.api, err = kubernetes.NewForConfig(config)
	require.NoError(t, err)
	l.metadata, err = metadata.NewForConfig(config)
	require.NoError(t, err)
	objects, err := manifests.Objects()
	require.NoError(t, err)
	l.programs, err = installation.New(t.Context(), cluster, installation.Options{
		Objects:        objects,
		WebhookFlags:   []string{"--drain=0s"},
		VersionerFlags: []string{"--settle=500ms", "--rollout-burst=1000", "--snapshot-burst=1000"},
		Progress:       t.Output(),
	})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, l.programs.Stop()) })
	return l
}

// usage is what a program took.
type usage struct {
	peak int           // of its resident memory, in MiB
	left int           // in use when everything was done, in MiB
	cpu  time.Duration // of all processors
}

// round plays a tenant whose large sources are of a size, beside a neighbour, with
// programs that were just started, and returns what they took.
func (l *lab) round(t *testing.T, name string, size int) map[string]usage {
	t.Helper()
	require.NoError(t, l.programs.Stop())
	require.NoError(t, l.programs.StartVersioner(t.Context()))
	require.NoError(t, l.programs.StartWebhook(t.Context()))
	l.namespace(t, name)
	l.namespace(t, name+"-neighbour")

	var busy atomic.Bool
	busy.Store(true)
	var longest time.Duration
	var changes int
	var group errgroup.Group
	group.Go(func() (err error) {
		longest, changes, err = l.neighbour(t.Context(), name+"-neighbour", &busy)
		return err
	})
	began := time.Now()
	l.tenant(t, name, size)
	took := time.Since(began)
	busy.Store(false)
	require.NoError(t, group.Wait())
	assert.LessOrEqual(t, longest, took/2, "the neighbour waits for the tenant")
	assert.Positive(t, changes)

	took = took.Round(time.Second)
	t.Logf("%s: the tenant took %s; meanwhile the longest of %d rollouts of its neighbour took %s", name, took, changes, longest.Round(time.Millisecond))
	used := map[string]usage{}
	for _, p := range []*process.Process{l.programs.Webhook(), l.programs.Versioner("versioner")} {
		u := usageOf(t, p) // first: looking at what is left takes some, too
		u.left = l.left(t, p)
		t.Logf("%s: the %s took up to %d MiB, of which it kept %d, and %s of CPU", name, p.Name, u.peak, u.left, u.cpu)
		used[p.Name] = u
	}
	return used
}

func (l *lab) namespace(t *testing.T, name string) {
	t.Helper()
	_, err := l.api.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	require.NoError(t, err)
}

// usageOf reads what the kernel counts.
func usageOf(t *testing.T, p *process.Process) usage {
	t.Helper()
	require.True(t, p.Running(), "%s has ended:\n%s", p.Name, p.LogTail(20))
	status, err := os.Open(fmt.Sprintf("/proc/%d/status", p.PID()))
	require.NoError(t, err)
	defer status.Close()
	var u usage
	for lines := bufio.NewScanner(status); lines.Scan(); {
		if kilobytes, is := strings.CutPrefix(lines.Text(), "VmHWM:"); is {
			number, err := strconv.Atoi(strings.Fields(kilobytes)[0])
			require.NoError(t, err)
			u.peak = number >> 10
		}
	}
	require.Positive(t, u.peak)
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.PID()))
	require.NoError(t, err)
	_, rest, _ := strings.Cut(string(stat), ") ") // the name, which can hold anything, is before that
	for _, ticks := range strings.Fields(rest)[11:13] {
		number, err := strconv.Atoi(ticks)
		require.NoError(t, err)
		u.cpu += time.Duration(number) * 10 * time.Millisecond // USER_HZ is 100 on every architecture that Go knows
	}
	return u
}

// left is what of a program's heap is in use, in MiB: what Go found to be so when it
// collected garbage. It does that when enough was asked for, as its metrics are here,
// twice: what is in a pool survives once.
func (l *lab) left(t *testing.T, p *process.Process) int {
	t.Helper()
	health, err := l.programs.HealthURL(p.Name)
	require.NoError(t, err)
	collected := func() (collections, next float64) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, health+"/metrics", http.NoBody)
		require.NoError(t, err)
		response, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		return metric(t, string(text), "go_gc_duration_seconds_count"), metric(t, string(text), "go_memstats_next_gc_bytes")
	}
	before, _ := collected()
	var next float64
	require.NoError(t, awaitFor(t.Context(), patience, time.Millisecond, p.Name+" to collect garbage", func() (bool, error) {
		var now float64
		now, next = collected()
		return now >= before+3, nil
	}))
	return int(next/2) >> 20 // the next time is when twice of it is there
}

func metric(t *testing.T, text, name string) float64 {
	t.Helper()
	_, value, found := strings.Cut(text, "\n"+name+" ")
	require.True(t, found, "%s isn't among the metrics", name)
	value, _, _ = strings.Cut(value, "\n")
	number, err := strconv.ParseFloat(value, 64)
	require.NoError(t, err)
	return number
}

// source is a source of a size, in its first state or another.
func source(namespace, name string, size, state int) *corev1.ConfigMap {
	text := fmt.Sprintf("%s %d ", name, state)
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Annotations: map[string]string{wellknown.Versioned: wellknown.True}},
		Data:       map[string]string{"key": strings.Repeat(text, size/len(text)+1)[:size]},
	}
}

func current(c *corev1.ConfigMap) string {
	return snapshot.Of(snapshot.FromConfigMap(c), snapshot.Lengths[0]).Name
}

// deployment mounts sources.
func deployment(namespace, name string, sources []string) *appsv1.Deployment {
	labels := map[string]string{"app": name}
	made := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{wellknown.Enabled: wellknown.True}},
		Spec: appsv1.DeploymentSpec{
			Replicas: ptr.To[int32](0),
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "example.com/app:1"}}},
			},
		},
	}
	for i, source := range sources {
		made.Spec.Template.Spec.Volumes = append(made.Spec.Template.Spec.Volumes, corev1.Volume{
			Name: fmt.Sprint("volume-", i),
			VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
				LocalObjectReference: corev1.LocalObjectReference{Name: source},
			}},
		})
	}
	return made
}

// neighbour changes its source again and again while the tenant is busy, and returns
// how long the longest of the rollouts took, and how many there were.
func (l *lab) neighbour(ctx context.Context, namespace string, busy *atomic.Bool) (longest time.Duration, changes int, err error) {
	state := source(namespace, "app", 100, 0)
	if _, err := l.api.CoreV1().ConfigMaps(namespace).Create(ctx, state, metav1.CreateOptions{}); err != nil {
		return 0, 0, err
	}
	if _, err := l.api.AppsV1().Deployments(namespace).Create(ctx, deployment(namespace, "web", []string{"app"}), metav1.CreateOptions{}); err != nil {
		return 0, 0, err
	}
	for busy.Load() {
		changes++
		state = source(namespace, "app", 100, changes)
		if _, err := l.api.CoreV1().ConfigMaps(namespace).Update(ctx, state, metav1.UpdateOptions{}); err != nil {
			return 0, 0, err
		}
		began := time.Now()
		err := await(ctx, "the neighbour's change to roll out", func() (bool, error) { return l.names(ctx, namespace, "web", []string{current(state)}) })
		longest = max(longest, time.Since(began))
		if err != nil {
			return longest, changes, err
		}
	}
	return longest, changes, nil
}

// names says whether a Deployment names exactly these.
func (l *lab) names(ctx context.Context, namespace, name string, want []string) (bool, error) {
	found, err := l.api.AppsV1().Deployments(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return false, err
	}
	var got []string
	for _, volume := range found.Spec.Template.Spec.Volumes {
		got = append(got, volume.ConfigMap.Name)
	}
	return slices.Equal(want, got), nil
}

// await looks until something is so.
func await(ctx context.Context, what string, look func() (bool, error)) error {
	return awaitFor(ctx, patience, 100*time.Millisecond, what, look)
}

func awaitFor(ctx context.Context, patience, pause time.Duration, what string, look func() (bool, error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("waited for %s for %s", what, patience))
	defer cancel()
	again := time.NewTicker(pause)
	defer again.Stop()
	for {
		if done, err := look(); done || err != nil {
			return err
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// atOnce is how many writes the tenant makes at a time.
const atOnce = 8

// tenant creates sources, has workloads use them, edits every tenth, and waits until
// all that they hold is kept and what uses them names it.
func (l *lab) tenant(t *testing.T, namespace string, size int) {
	t.Helper()
	all := ofTenant(t)
	began := time.Now()
	var sources []*corev1.ConfigMap
	for i := range all.large {
		sources = append(sources, source(namespace, fmt.Sprintf("large-%04d", i), size, 0))
	}
	for i := range all.small {
		sources = append(sources, source(namespace, fmt.Sprintf("small-%05d", i), 100, 0))
	}
	l.each(t, sources, func(ctx context.Context, _ int, c *corev1.ConfigMap) error {
		_, err := l.api.CoreV1().ConfigMaps(namespace).Create(ctx, c, metav1.CreateOptions{})
		return err
	})
	phase := func(what string) { t.Logf("%s: %s after %s", namespace, what, time.Since(began).Round(time.Second)) }
	const wide = 20 // so many the webhook reads in its time on a machine that does something else too
	phase("created")
	users := map[string][]*corev1.ConfigMap{"wide": sources[:min(wide, all.large)]}
	for i := range 20 {
		users[fmt.Sprint("narrow-", i)] = sources[all.large+10*i : all.large+10*i+10]
	}
	for i := 0; i < all.large; i += 10 {
		users[fmt.Sprint("large-", i)] = sources[i : i+10]
	}
	var group errgroup.Group
	for name, used := range users {
		group.Go(func() error {
			_, err := l.api.AppsV1().Deployments(namespace).Create(t.Context(), deployment(namespace, name, namesOf(used)), metav1.CreateOptions{})
			return err
		})
	}
	require.NoError(t, group.Wait())
	l.each(t, sources, func(ctx context.Context, i int, c *corev1.ConfigMap) error {
		if i%10 != 0 {
			return nil
		}
		c.Data = source(namespace, c.Name, len(c.Data["key"]), 1).Data
		patch := fmt.Sprintf(`{"data":{"key":%q}}`, c.Data["key"])
		_, err := l.api.CoreV1().ConfigMaps(namespace).Patch(ctx, c.Name, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
		return err
	})
	phase("used and edited")
	l.kept(t, namespace, sources, all.patience)
	phase("kept")
	for name, used := range users {
		var want []string
		for _, c := range used {
			want = append(want, current(c))
		}
		require.NoError(t, await(t.Context(), name+" to name what its sources hold", func() (bool, error) { return l.names(t.Context(), namespace, name, want) }))
	}
}

func namesOf(sources []*corev1.ConfigMap) []string {
	var names []string
	for _, c := range sources {
		names = append(names, c.Name)
	}
	return names
}

// each does something with all sources, some at a time.
func (l *lab) each(t *testing.T, sources []*corev1.ConfigMap, do func(ctx context.Context, i int, c *corev1.ConfigMap) error) {
	t.Helper()
	group, ctx := errgroup.WithContext(t.Context())
	group.SetLimit(atOnce)
	for i, c := range sources {
		group.Go(func() error { return do(ctx, i, c) })
	}
	require.NoError(t, group.Wait())
}

// kept waits until what each source holds is kept. It looks once a second: a list of
// thousands is load, too.
func (l *lab) kept(t *testing.T, namespace string, sources []*corev1.ConfigMap, patience time.Duration) {
	t.Helper()
	configMaps := l.metadata.Resource(corev1.SchemeGroupVersion.WithResource("configmaps")).Namespace(namespace)
	missing := map[string]bool{}
	for _, c := range sources {
		missing[current(c)] = true
	}
	require.NoError(t, awaitFor(t.Context(), patience, time.Second, "everything to be kept", func() (bool, error) {
		found, err := configMaps.List(t.Context(), metav1.ListOptions{LabelSelector: wellknown.SnapshotOf})
		if err != nil {
			return false, err
		}
		for _, object := range found.Items {
			delete(missing, object.Name)
		}
		return len(missing) == 0, nil
	}), "%d are missing", len(missing))
}
