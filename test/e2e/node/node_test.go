package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/configpin/configpin/test/lab/node"
)

// A content has two keys, so that one that is half of each shows.
const (
	blue   = `{"data":{"COLOUR":"blue","SIZE":"1"}}`
	green  = `{"data":{"COLOUR":"green","SIZE":"2"}}`
	broken = `{"data":{"COLOUR":"broken","SIZE":"3"}}`
)

// read is what a container that reads the content whole says.
func read(t *testing.T, content string) config {
	t.Helper()
	var wanted struct{ Data map[string]string }
	require.NoError(t, json.Unmarshal([]byte(content), &wanted))
	colour, size := wanted.Data["COLOUR"], wanted.Data["SIZE"]
	return config{
		"COLOUR": colour, "SIZE": size,
		"FROM_COLOUR": colour, "FROM_SIZE": size,
		"/volume/COLOUR": colour, "/volume/SIZE": size,
		"/subpath/colour":   colour,
		"/projected/COLOUR": colour, "/projected/SIZE": size,
	}
}

// manifest is a Deployment that reads the ConfigMap app in every way. With a COLOUR of broken, it isn't ready.
func manifest(name, labels string, replicas int) string {
	return fmt.Sprintf(`
apiVersion: apps/v1
kind: Deployment
metadata:
  name: %[1]s
  labels: {%[2]s}
spec:
  replicas: %[3]d
  selector: {matchLabels: {app: %[1]s}}
  strategy: {rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}
  template:
    metadata: {labels: {app: %[1]s}}
    spec:
      terminationGracePeriodSeconds: 5
      dnsPolicy: Default
      securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
      containers:
      - name: reader
        image: %[4]s
        imagePullPolicy: Never
        args: [COLOUR, SIZE, FROM_COLOUR, FROM_SIZE, /volume/COLOUR, /volume/SIZE, /subpath/colour, /projected/COLOUR, /projected/SIZE]
        env:
        - {name: COLOUR, valueFrom: {configMapKeyRef: {name: app, key: COLOUR}}}
        - {name: SIZE, valueFrom: {configMapKeyRef: {name: app, key: SIZE}}}
        envFrom:
        - {prefix: FROM_, configMapRef: {name: app}}
        readinessProbe:
          periodSeconds: 1
          exec: {command: [/ko-app/reader, --isnt, COLOUR=broken]}
        securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}, readOnlyRootFilesystem: true}
        volumeMounts:
        - {name: volume, mountPath: /volume}
        - {name: volume, mountPath: /subpath/colour, subPath: COLOUR}
        - {name: projected, mountPath: /projected}
      volumes:
      - {name: volume, configMap: {name: app}}
      - {name: projected, projected: {sources: [{configMap: {name: app}}]}}
`, name, labels, replicas, node.Reference("reader"))
}

const pinned = `configpin.io/enabled: "true"`

// TestNode is one story: each part begins where the one before it has ended.
func TestNode(t *testing.T) {
	l := newLab(t)
	for _, part := range []struct {
		name string
		play func(*lab)
	}{
		{"the chart is installed, and ready when helm says so", install},
		{"containers read what is pinned, in every way", begin},
		{"a change reaches containers by a rollout, and no other way", change},
		{"an undo brings the old config back into containers", undo},
		{"a Pod that is replaced in the middle of a rollout reads the old config", replaceDuringRollout},
		{"a restart of the kubelet changes nothing", restartKubelet},
		{"an upgrade of the webhook fails no write", upgrade},
		{"after an uninstall, workloads go on", uninstall},
	} {
		if !t.Run(part.name, func(t *testing.T) { part.play(l.in(t)) }) {
			return // what follows would fail for the same reason
		}
	}
}

func install(l *lab) {
	for _, name := range []string{system, shop} {
		l.kubectl("create", "namespace", name)
		l.kubectl("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")
	}
	began := time.Now()
	l.helm("install", "configpin", l.chart(), "--set", "image.registry="+node.Registry, "--set", "image.tag="+node.Tag,
		"--wait", "--timeout", patience.String())
	l.t.Logf("the installation was ready after %s", time.Since(began).Round(100*time.Millisecond))
	ctx := l.t.Context()
	pods := l.ours(ctx, "webhook")
	require.Len(l.t, pods, 2)
	require.Len(l.t, l.ours(ctx, "versioner"), 1)
	for _, pod := range pods {
		assert.True(l.t, ready(pod), pod.Name)
	}
}

func (l *lab) chart() string { return filepath.Join(l.root, "manifests", "charts", "configpin") }

// ours are the Pods of a program of configpin, those on their way out as well.
func (l *lab) ours(ctx context.Context, component string) []corev1.Pod {
	l.t.Helper()
	var found corev1.PodList
	require.NoError(l.t, l.api.List(ctx, &found, client.InNamespace(system),
		client.MatchingLabels{"app.kubernetes.io/component": component}))
	return found.Items
}

func begin(l *lab) {
	l.kubectl("create", "configmap", "app")
	l.edit(blue)
	l.kubectl("annotate", "configmap", "app", "configpin.io/versioned=true")
	l.apply(manifest("web", pinned, 2))
	l.apply(manifest("still", pinned+", configpin.io/rollout: manual", 1))
	l.apply(manifest("loose", "", 1))
	for app, replicas := range map[string]int{"web": 2, "still": 1, "loose": 1} {
		l.showing(app, replicas, blue)
	}
	assert.Contains(l.t, l.pins("web"), "configmap/app=app-")
	assert.Contains(l.t, l.pins("still"), "configmap/app=app-")
	assert.Empty(l.t, l.pins("loose"))

	said, err := parse([]byte(l.kubectl("logs", "deployment/web", "--tail=1")))
	require.NoError(l.t, err)
	assert.Equal(l.t, []config{read(l.t, blue)}, said, "as kubectl logs shows it")
	l.kubectl("exec", "deployment/web", "--", "/ko-app/reader", "--isnt", "COLOUR=green")
}

func (l *lab) edit(content string) {
	l.t.Helper()
	l.kubectl("patch", "configmap", "app", "--patch="+content)
}

func (l *lab) pins(app string) string {
	l.t.Helper()
	return l.kubectl("get", "deployment", app, `--output=jsonpath={.spec.template.metadata.annotations.configpin\.io/pins}`)
}

// showing waits until a Deployment has rolled out and each of its Pods reads the content.
func (l *lab) showing(app string, replicas int, content string) []corev1.Pod {
	l.t.Helper()
	want := read(l.t, content)
	var pods []corev1.Pod
	l.until(app+" should read "+content, func(ctx context.Context) (err error) {
		if pods, err = l.pods(ctx, shop, app); err != nil {
			return err
		}
		if len(pods) != replicas {
			return fmt.Errorf("it has %d Pods, not %d", len(pods), replicas)
		}
		for _, pod := range pods {
			if err := l.reads(ctx, pod, want); err != nil {
				return err
			}
		}
		return l.rolledOut(ctx, app)
	})
	return pods
}

// reads fails unless a ready container reads the content, and has never read another.
func (l *lab) reads(ctx context.Context, pod corev1.Pod, want config) error {
	if !ready(pod) {
		return fmt.Errorf("%s isn't ready", pod.Name)
	}
	said, err := l.log(ctx, pod)
	if err != nil {
		return err
	}
	if len(said) != 1 || !assert.ObjectsAreEqual(want, said[0]) {
		return fmt.Errorf("%s reads %v", pod.Name, said)
	}
	return nil
}

func (l *lab) rolledOut(ctx context.Context, app string) error {
	var d appsv1.Deployment
	if err := l.api.Get(ctx, client.ObjectKey{Namespace: shop, Name: app}, &d); err != nil {
		return err
	}
	if s := d.Status; s.ObservedGeneration != d.Generation || s.UpdatedReplicas != *d.Spec.Replicas || s.Replicas != *d.Spec.Replicas {
		return fmt.Errorf("%s hasn't rolled out: %d of %d Pods are updated", app, s.UpdatedReplicas, s.Replicas)
	}
	return nil
}

// change edits the source. The volume of loose, which isn't pinned, tells when the kubelet has had the time to bring the
// edit to all.
func change(l *lab) {
	still := l.showing("still", 1, blue)
	l.edit(green)
	l.showing("web", 2, green)
	l.until("the volume of loose should change", func(ctx context.Context) error {
		pods, err := l.pods(ctx, shop, "loose")
		if err != nil {
			return err
		}
		said, err := l.log(ctx, pods[0])
		if err != nil {
			return err
		}
		last := said[len(said)-1]
		if last["/volume/COLOUR"] != "green" || last["/projected/COLOUR"] != "green" {
			return fmt.Errorf("it reads %v", last)
		}
		assert.Equal(l.t, "blue", last["COLOUR"], "half of each: this is why")
		return nil
	})
	assert.Equal(l.t, containers(still), containers(l.showing("still", 1, blue)))
}

func undo(l *lab) {
	l.kubectl("rollout", "undo", "deployment/web")
	l.showing("web", 2, blue)
}

// replaceDuringRollout rolls out a config with which the workload isn't ready, deletes a Pod of the old ReplicaSet
// meanwhile, and takes the rollout back.
func replaceDuringRollout(l *lab) {
	before := l.showing("web", 2, blue)
	l.edit(broken)
	l.until("a Pod should read the broken config", func(ctx context.Context) error {
		_, added, err := l.byOwner(ctx, owner(before[0]))
		if err != nil {
			return err
		}
		if len(added) != 1 {
			return fmt.Errorf("%d Pods are new", len(added))
		}
		said, err := l.log(ctx, added[0])
		if err != nil {
			return err
		}
		if len(said) != 1 || !assert.ObjectsAreEqual(read(l.t, broken), said[0]) {
			return fmt.Errorf("%s reads %v", added[0].Name, said)
		}
		return nil
	})
	require.NoError(l.t, l.api.Delete(l.t.Context(), &before[0]))
	l.until("another Pod should take its place and read the old config", func(ctx context.Context) error {
		old, added, err := l.byOwner(ctx, owner(before[0]))
		if err != nil {
			return err
		}
		if len(old) != 2 || len(added) != 1 || old[0].Name == before[0].Name || old[1].Name == before[0].Name {
			return fmt.Errorf("%d Pods are of the old ReplicaSet, %d of the new", len(old), len(added))
		}
		return errors.Join(l.reads(ctx, old[0], read(l.t, blue)), l.reads(ctx, old[1], read(l.t, blue)))
	})
	l.kubectl("rollout", "undo", "deployment/web")
	after := l.showing("web", 2, blue)
	assert.Equal(l.t, owner(before[0]), owner(after[0]))
}

// byOwner are the Pods of web that a ReplicaSet made, and the others.
func (l *lab) byOwner(ctx context.Context, replicaSet string) (of, others []corev1.Pod, err error) {
	pods, err := l.pods(ctx, shop, "web")
	for _, pod := range pods {
		if owner(pod) == replicaSet {
			of = append(of, pod)
		} else {
			others = append(others, pod)
		}
	}
	return of, others, err
}

// restartKubelet kills the kubelet. A Pod that is replaced afterwards tells when it does its work again.
func restartKubelet(l *lab) {
	before := l.showing("web", 2, blue)
	require.NoError(l.t, l.node.Kubelet().Kill())
	require.NoError(l.t, l.node.StartKubelet(l.t.Context()))
	require.NoError(l.t, l.api.Delete(l.t.Context(), &before[0]))
	l.until("the Pod should be gone", func(ctx context.Context) error {
		err := l.api.Get(ctx, client.ObjectKeyFromObject(&before[0]), &corev1.Pod{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return errors.Join(errors.New("it is there"), err)
	})
	after := containers(l.showing("web", 2, blue))
	assert.Equal(l.t, containers(before)[before[1].Name], after[before[1].Name])
}

// upgrade rolls the webhook while workloads are created, again and again. None is kept, but each answer has to be one that
// the webhook has changed.
func upgrade(l *lab) {
	l.footprint()
	before := l.ours(l.t.Context(), "webhook")
	ctx, stop := context.WithCancel(l.t.Context())
	written := make(chan int, 1)
	go func() { written <- l.write(ctx) }()
	began := time.Now()
	l.helm("upgrade", "configpin", l.chart(), "--reuse-values", "--set", "log.level=1", "--wait", "--timeout", patience.String())
	l.until("the old Pods of the webhook should be gone", func(ctx context.Context) error {
		for _, pod := range l.ours(ctx, "webhook") {
			if pod.Name == before[0].Name || pod.Name == before[1].Name {
				return fmt.Errorf("%s is there", pod.Name)
			}
		}
		return nil
	})
	stop()
	writes := <-written
	l.t.Logf("%d writes during an upgrade of %s", writes, time.Since(began).Round(100*time.Millisecond))
	assert.Greater(l.t, writes, 10)
}

// write creates Deployments until the context ends, and returns how many.
func (l *lab) write(ctx context.Context) (writes int) {
	pace := time.NewTicker(interval)
	defer pace.Stop()
	for {
		select {
		case <-ctx.Done():
			return writes
		case <-pace.C:
		}
		var d appsv1.Deployment
		if !assert.NoError(l.t, yaml.Unmarshal([]byte(manifest("written-"+strconv.Itoa(writes), pinned, 1)), &d)) {
			return writes
		}
		d.Namespace = shop
		err := l.api.Create(ctx, &d, client.DryRunAll)
		if ctx.Err() != nil {
			return writes
		}
		if assert.NoError(l.t, err) {
			name := d.Spec.Template.Spec.Volumes[0].ConfigMap.Name
			assert.True(l.t, strings.HasPrefix(name, "app-"), "it names %s: the webhook wasn't asked", name)
		}
		writes++
	}
}

// footprint says how much memory the Pods of configpin take.
func (l *lab) footprint() {
	var summary struct {
		Pods []struct {
			PodRef struct{ Name, Namespace string }
			Memory struct{ WorkingSetBytes int64 }
		}
	}
	require.NoError(l.t, json.Unmarshal([]byte(l.kubectl("get", "--raw", "/api/v1/nodes/"+node.Name+"/proxy/stats/summary")), &summary))
	for _, pod := range summary.Pods {
		if pod.PodRef.Namespace == system {
			l.t.Logf("%s takes %.1f MiB", pod.PodRef.Name, float64(pod.Memory.WorkingSetBytes)/(1<<20))
		}
	}
}

func uninstall(l *lab) {
	before := l.showing("web", 2, blue)
	l.helm("uninstall", "configpin", "--wait", "--timeout", patience.String())
	l.until("configpin should be gone", func(ctx context.Context) error {
		if left := len(l.ours(ctx, "webhook")) + len(l.ours(ctx, "versioner")); left > 0 {
			return fmt.Errorf("%d Pods are there", left)
		}
		return nil
	})
	assert.Equal(l.t, containers(before), containers(l.showing("web", 2, blue)))
	require.NoError(l.t, l.api.Delete(l.t.Context(), &before[0]))
	l.until("another Pod should take its place", func(ctx context.Context) error {
		pods, err := l.pods(ctx, shop, "web")
		if err == nil && len(pods) == 2 && pods[0].Name != before[0].Name && pods[1].Name != before[0].Name {
			return nil
		}
		return errors.Join(errors.New("there is none"), err)
	})
	l.showing("web", 2, blue)
}
