package conformance

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/configpin/configpin/internal/wellknown"
)

// backups are about a namespace that is backed up and restored elsewhere, by a tool
// that knows nothing of us: object by object, with new UIDs, in whatever order.
var backups = []scenario{
	{"a backup is restored as it was, in Velero's order", backup{}.restored},
	{"a backup is restored as it was, in the reverse of Velero's order", backup{order: slices.Reverse[[]*unstructured.Unstructured], late: true}.restored},
	{"a backup is restored as it was, its sources so early that they are kept anew", backup{order: sourcesFirst, slow: true}.restored},
	{"a backup is restored as it was, in a random order", backup{order: shuffle(1), late: true}.restored},
	{"a backup is restored as it was, in another random order", backup{order: shuffle(2), late: true}.restored},
}

// backup is how a backup is restored.
type backup struct {
	// order changes Velero's order.
	order func([]*unstructured.Unstructured)

	// late says that snapshots may come after what names them; slow, that the
	// versioner keeps what the sources hold before anything else comes.
	late, slow bool
}

// veleroOrder is the order in which Velero restores kinds: its high priorities
// (defaultRestorePriorities in pkg/cmd/server/config/config.go of
// github.com/vmware-tanzu/velero), and what is not among them by name, as in
// "daemonsets.apps".
var veleroOrder = []schema.GroupVersionKind{
	{Version: "v1", Kind: "Secret"},
	{Version: "v1", Kind: "ConfigMap"},
	{Version: "v1", Kind: "Pod"},
	{Group: "apps", Version: "v1", Kind: "ReplicaSet"},
	{Group: "apps", Version: "v1", Kind: "ControllerRevision"},
	{Group: "batch", Version: "v1", Kind: "CronJob"},
	{Group: "apps", Version: "v1", Kind: "DaemonSet"},
	{Group: "apps", Version: "v1", Kind: "Deployment"},
	{Group: "batch", Version: "v1", Kind: "Job"},
	{Group: "apps", Version: "v1", Kind: "StatefulSet"},
}

// shuffle mixes single objects, those of one kind as well, the same way each time.
func shuffle(seed uint64) func([]*unstructured.Unstructured) {
	return func(all []*unstructured.Unstructured) {
		random := rand.New(rand.NewPCG(seed, 0))
		random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	}
}

// sourcesFirst leaves everything else as it is.
func sourcesFirst(all []*unstructured.Unstructured) {
	slices.SortStableFunc(all, func(a, b *unstructured.Unstructured) int {
		return cmp.Compare(b.GetAnnotations()[wellknown.Versioned], a.GetAnnotations()[wellknown.Versioned])
	})
}

// lively is a namespace with everything in it that a backup can be of.
type lively struct {
	followers, stayers []*unstructured.Unstructured // by whether a change reaches them
	held               *unstructured.Unstructured
}

func (l lively) all() []*unstructured.Unstructured {
	return append(slices.Concat(l.followers, l.stayers), l.held)
}

// live has two sources hold three contents, each rolled out.
func (s *space) live() lively {
	s.t.Helper()
	s.source("app", "blue")
	s.create(secretHolding("db", corev1.SecretTypeOpaque, map[string]string{colour: "blue"}))
	of := func(kind, name string) *unstructured.Unstructured {
		w := optedIn(s.t, kind, name, envFrom("app"), volume("app"), secretEnv("db"))
		if kind == "CronJob" || kind == "Job" {
			require.NoError(s.t, unstructured.SetNestedField(w.Object, true, "spec", "suspend"))
		}
		return w
	}
	l := lively{
		followers: []*unstructured.Unstructured{of("Deployment", "web"), of("StatefulSet", "store"), of("DaemonSet", "agent"), of("CronJob", "report")},
		stayers:   []*unstructured.Unstructured{of("Deployment", "manual"), of("Job", "migrate")},
		held:      of("Deployment", "held"),
	}
	manual := l.stayers[0]
	manual.SetLabels(map[string]string{wellknown.Enabled: wellknown.True, wellknown.Rollout: wellknown.RolloutManual})
	for _, w := range l.all() {
		s.deployed(w)
	}
	for _, value := range []string{"grey", "green"} {
		s.settled(l)
		s.edit("app", value)
		s.editSecret("db", value)
		for _, w := range append(l.followers, l.held) {
			s.showingBoth(w, value)
		}
	}
	s.settled(l)
	s.undo(l.held, "--to-revision=1")
	s.showingBoth(l.held, "blue")
	s.settled(l)
	s.bare("blue", s.pin(manual, "app"), s.pin(manual, "db"))
	s.bare("green", s.pin(l.followers[0], "app"), s.pin(l.followers[0], "db"))
	s.pass()
	return l
}

// bare is a Pod of nobody's that names snapshots.
func (s *space) bare(name, configMap, secret string) {
	s.t.Helper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{app: name}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: image}}},
	}
	envFrom(configMap)(&pod.Spec)
	secretEnv(secret)(&pod.Spec)
	s.create(pod)
}

func (s *space) editSecret(name, value string) {
	s.t.Helper()
	s.patch(secretHolding(name, "", nil), `{"stringData":{"`+colour+`":"`+value+`"}}`)
}

// showingBoth waits until a workload is pinned to a colour of both sources.
func (s *space) showingBoth(of *unstructured.Unstructured, value string) {
	s.t.Helper()
	s.showing(of, "app", value)
	s.eventually(of.GetName()+" is pinned to db in "+value, func() (string, bool) {
		name := s.pin(of, "db")
		if name == "" {
			return "it isn't pinned", false
		}
		got := string(s.readSecret(name).Data[colour])
		return got, got == value
	})
}

// settled waits until every controller has done what follows from a template.
func (s *space) settled(l lively) {
	s.t.Helper()
	for _, w := range l.all() {
		if w.GetKind() != "Job" && w.GetKind() != "CronJob" {
			s.complete(w)
			newest := s.revisions(w)
			require.NotEmpty(s.t, newest)
		}
	}
}

// backUp reads everything as Velero does, in the order in which it restores.
func (s *space) backUp() []*unstructured.Unstructured {
	s.t.Helper()
	var all []*unstructured.Unstructured
	for _, kind := range veleroOrder {
		items := &unstructured.UnstructuredList{}
		items.SetGroupVersionKind(kind.GroupVersion().WithKind(kind.Kind + "List"))
		require.NoError(s.t, s.api.List(s.t.Context(), items, client.InNamespace(s.name)))
		for i := range items.Items {
			if name := items.Items[i].GetName(); name != "kube-root-ca.crt" && !strings.HasPrefix(name, "marker") {
				all = append(all, asVelero(s, &items.Items[i]))
			}
		}
	}
	return all
}

// asVelero takes off what Velero takes off before it creates an object, and adds
// what it adds (resetMetadataAndStatus and addRestoreLabels in
// pkg/restore/restore.go, pkg/restore/actions/job_action.go and pod_action.go of
// github.com/vmware-tanzu/velero).
func asVelero(s *space, object *unstructured.Unstructured) *unstructured.Unstructured {
	s.t.Helper()
	for _, field := range []string{
		"generateName", "selfLink", "uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp",
		"deletionGracePeriodSeconds", "ownerReferences", "namespace",
	} {
		unstructured.RemoveNestedField(object.Object, "metadata", field)
	}
	unstructured.RemoveNestedField(object.Object, "status")
	switch object.GetKind() {
	case "Pod":
		unstructured.RemoveNestedField(object.Object, "spec", "nodeName")
		unstructured.RemoveNestedField(object.Object, "spec", "priority")
	case "Job":
		for _, label := range []string{"controller-uid", "batch.kubernetes.io/controller-uid"} {
			unstructured.RemoveNestedField(object.Object, "spec", "selector", "matchLabels", label)
			unstructured.RemoveNestedField(object.Object, "spec", "template", "metadata", "labels", label)
		}
	}
	labels := maps.Clone(object.GetLabels())
	if labels == nil {
		labels = map[string]string{}
	}
	labels["velero.io/backup-name"], labels["velero.io/restore-name"] = "monday", "tuesday"
	object.SetLabels(labels)
	return object
}

// restore creates an object as Velero does: what is there already stays as it is,
// and managedFields, which belong to whoever creates, are put back by a patch. It
// goes through admission once more.
func (s *space) restore(velero client.Client, object *unstructured.Unstructured) {
	s.t.Helper()
	made := object.DeepCopy()
	made.SetNamespace(s.name)
	err := velero.Create(s.t.Context(), made)
	if apierrors.IsAlreadyExists(err) {
		return
	}
	require.NoError(s.t, err, "%s %s", object.GetKind(), object.GetName())
	if reflect.DeepEqual(made.GetManagedFields(), object.GetManagedFields()) {
		return
	}
	fields, _, err := unstructured.NestedSlice(object.Object, "metadata", "managedFields")
	require.NoError(s.t, err)
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"managedFields": fields}})
	require.NoError(s.t, err)
	err = velero.Patch(s.t.Context(), made, client.RawPatch(types.MergePatchType, patch))
	require.NoError(s.t, client.IgnoreNotFound(err), "a controller may have deleted it: %s %s", object.GetKind(), object.GetName())
}

// restored backs a namespace up and restores it in another.
func (b backup) restored(s *space) {
	l := s.live()
	all, want, ours := s.backUp(), s.templateContents(), map[string]map[string]string{}
	for _, w := range l.all() {
		ours[w.GetName()] = s.ourKeys(w)
	}
	s.edit("app", "too late for the backup")
	other := s.twin()
	b.restore(other, all)
	other.pass()
	other.settled(l)

	got := other.templateContents()
	for _, name := range names(want) {
		assert.Equal(s.t, want[name], got[name], "what %s reads", name)
	}
	for _, w := range l.all() {
		assert.Equal(s.t, ours[w.GetName()], other.ourKeys(w), "our keys on %s", w.GetName())
		assert.Zero(s.t, other.rollouts(w), w.GetName())
	}
	other.verify()

	other.edit("app", "red")
	other.editSecret("db", "red")
	for _, w := range append(l.followers, l.held) {
		other.showingBoth(w, "red")
	}
	other.pass()
	for _, w := range l.stayers {
		other.showingBoth(w, "blue")
	}
	other.verify()
}

func (b backup) restore(into *space, all []*unstructured.Unstructured) {
	into.t.Helper()
	if b.order != nil {
		b.order(all)
	}
	if b.late {
		into.expectsLate(all)
	}
	into.ready()
	var log []string
	velero := into.as("velero", masters)
	for _, object := range all {
		if b.slow && object.GetAnnotations()[wellknown.Versioned] == "" {
			b.slow = false
			into.eventually("the sources are kept", func() (string, bool) {
				return pretty(into, into.numbers()), len(into.numbers()) == 1 && !slices.Contains(slices.Collect(maps.Values(into.numbers())), "")
			})
		}
		log = append(log, object.GetKind()+" "+object.GetName())
		into.restore(velero, object)
	}
	into.t.Logf("restored in this order: %s", strings.Join(log, ", "))
}

// ourKeys are the labels and the template's annotations by which a workload is
// followed, held or left alone.
func (s *space) ourKeys(of *unstructured.Unstructured) map[string]string {
	s.t.Helper()
	stored := s.get(of)
	keys := ourLabels(stored)
	maps.Copy(keys, templateOf(s.t, stored).Annotations)
	return keys
}

// expectsLate says that snapshots may come after what names them.
func (s *space) expectsLate(backup []*unstructured.Unstructured) {
	for _, object := range backup {
		if object.GetLabels()[wellknown.SnapshotOf] != "" {
			s.absent[strings.ToLower(object.GetKind())+"/"+object.GetName()] = true
		}
	}
}

// ready waits until Pods can be created: not by whom creates a namespace.
func (s *space) ready() {
	s.t.Helper()
	s.eventually("the namespace has a service account", func() (string, bool) {
		err := s.api.Get(s.t.Context(), client.ObjectKey{Namespace: s.name, Name: "default"}, &corev1.ServiceAccount{})
		return fmt.Sprint(err), err == nil
	})
}

// templateContents are what there is to read for the Pods of everything that names
// something, byte for byte: by kind and name, and for Pods by their label, because
// their controllers make others.
func (s *space) templateContents() map[string]string {
	s.t.Helper()
	specs := map[string]corev1.PodSpec{}
	for _, w := range s.workloads() {
		specs[w.GetKind()+" "+w.GetName()] = templateOf(s.t, w).Spec
	}
	for _, set := range list[appsv1.ReplicaSetList](s).Items {
		specs["ReplicaSet "+set.Name] = set.Spec.Template.Spec
	}
	for _, kept := range list[appsv1.ControllerRevisionList](s).Items {
		specs["ControllerRevision "+kept.Name] = templateInRevision(s.t, kept).Spec
	}
	read := map[string]string{}
	for name, spec := range specs {
		read[name] = s.contentsFor(spec)
	}
	for _, pod := range list[corev1.PodList](s).Items {
		name, contents := "Pods of "+pod.Labels[app], s.contentsFor(pod.Spec)
		if before, seen := read[name]; seen {
			assert.Equal(s.t, before, contents, "Pod %s reads something else than others of its workload", pod.Name)
		}
		read[name] = contents
	}
	maps.DeleteFunc(read, func(name, _ string) bool {
		return strings.Contains(name, " marker") || strings.Contains(name, " of marker")
	})
	return read
}

// contentsFor is what the refs of a Pod hold, whatever they are called.
func (s *space) contentsFor(spec corev1.PodSpec) string {
	s.t.Helper()
	var held []string
	for _, r := range refsOf(spec) {
		if r.name == "kube-root-ca.crt" {
			continue
		}
		var content any
		if r.kind == "configmap" {
			found := &corev1.ConfigMap{}
			require.NoError(s.t, s.api.Get(s.t.Context(), client.ObjectKey{Namespace: s.name, Name: r.name}, found), "it dangles")
			content = map[string]any{"data": found.Data, "binaryData": found.BinaryData}
		} else {
			found := s.readSecret(r.name)
			content = map[string]any{"data": found.Data, "type": found.Type}
		}
		text, err := json.Marshal(content)
		require.NoError(s.t, err)
		held = append(held, r.kind+" "+string(text))
	}
	return strings.Join(held, "\n")
}
