package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/configpin/configpin/test/lab/oracle"
)

// spaceLabel marks the namespaces of this suite.
const spaceLabel = "conformance.configpin.io/scenario"

// space is the namespace of one scenario, and what the scenario does in it.
type space struct {
	*cluster
	t    *testing.T
	name string

	record *record

	// secrets says that the sources are Secrets: see secretive.
	secrets bool

	// absent are targets, as in "configmap/gone", that the scenario refers to
	// and that are not there on purpose.
	absent map[string]bool

	// unkept are sources whose content can't be kept, on purpose.
	unkept map[string]bool

	// unpinning says that somebody tries to un-pin workloads while the webhook is
	// away, or takes its answers back; strict, that requests fail with it; tampering,
	// that somebody tries to change or delete snapshots.
	unpinning, strict, tampering bool

	// unknowable are the reasons for which something can't be judged in this scenario.
	unknowable []oracle.Reason

	// hash, where there is one, has the manifest of a workload that is rolled back carry
	// a hash of what its source holds.
	hash func(web *unstructured.Unstructured, value string)

	markers, sentinels int
}

// space makes a namespace, and watches it from its first moment.
func (c *cluster) space(t *testing.T) *space {
	t.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		GenerateName: "conformance-",
		Labels:       map[string]string{spaceLabel: "true"},
	}}
	require.NoError(t, c.api.Create(t.Context(), namespace))
	t.Cleanup(func() {
		err := c.api.Delete(context.WithoutCancel(t.Context()), namespace)
		assert.NoError(t, client.IgnoreNotFound(err))
	})
	s := &space{
		cluster: c,
		t:       t,
		name:    namespace.Name,
		absent:  map[string]bool{},
		unkept:  map[string]bool{},

		unknowable: c.withoutAuditLog(),
	}
	s.record = watchAll(t, c.watching, s.name)
	return s
}

// twin makes a second namespace for the same scenario.
func (s *space) twin() *space {
	s.t.Helper()
	twin := s.space(s.t)
	twin.secrets = s.secrets
	return twin
}

// get reads an object as it is stored now.
func (s *space) get(object *unstructured.Unstructured) *unstructured.Unstructured {
	s.t.Helper()
	found := &unstructured.Unstructured{}
	found.SetGroupVersionKind(object.GroupVersionKind())
	require.NoError(s.t, s.api.Get(s.t.Context(), client.ObjectKey{Namespace: s.name, Name: object.GetName()}, found))
	return found
}

// list lists what there is of a kind.
func list[T any, L interface {
	*T
	client.ObjectList
}](s *space, options ...client.ListOption) *T {
	s.t.Helper()
	var found L = new(T)
	require.NoError(s.t, s.api.List(s.t.Context(), found, append(options, client.InNamespace(s.name))...))
	return found
}

// create creates an object through the API.
func (s *space) create(object client.Object) {
	s.t.Helper()
	object = s.inKind(object)
	object.SetNamespace(s.name)
	require.NoError(s.t, s.api.Create(s.t.Context(), object))
}

// update replaces an object.
func (s *space) update(object client.Object) {
	s.t.Helper()
	require.NoError(s.t, s.api.Update(s.t.Context(), s.inKind(object)))
}

// patch applies a merge patch to an object.
func (s *space) patch(object client.Object, patch string) {
	s.t.Helper()
	object = s.inKind(object)
	object.SetNamespace(s.name)
	require.NoError(s.t, s.api.Patch(s.t.Context(), object, client.RawPatch("application/merge-patch+json", []byte(patch))))
}

// remove deletes an object and waits until it is gone.
func (s *space) remove(object client.Object) {
	s.t.Helper()
	object = s.inKind(object)
	object.SetNamespace(s.name)
	require.NoError(s.t, client.IgnoreNotFound(s.api.Delete(s.t.Context(), object)))
	s.vanishes(object)
}

// removeSnapshot deletes a snapshot as somebody does who means it, and waits until
// it is gone.
func (s *space) removeSnapshot(name string) {
	s.t.Helper()
	kept := s.inKind(configMap(name, nil))
	kept.SetNamespace(s.name)
	admin := s.as(someone, admins, masters)
	require.NoError(s.t, client.IgnoreNotFound(admin.Delete(s.t.Context(), kept)))
	s.vanishes(kept)
}

func (s *space) vanishes(object client.Object) {
	s.t.Helper()
	s.eventually(object.GetName()+" is gone", func() (string, bool) {
		err := s.api.Get(s.t.Context(), client.ObjectKeyFromObject(object), object)
		return "it is there", apierrors.IsNotFound(err)
	})
}

// said is what a program printed.
type said struct{ out, err string }

// warnings are those that kubectl printed.
func (s said) warnings() []string {
	var found []string
	for line := range strings.Lines(s.err) {
		if warning, ok := strings.CutPrefix(strings.TrimSpace(line), "Warning: "); ok {
			found = append(found, warning)
		}
	}
	return found
}

// kubectl runs kubectl in the namespace. It must succeed.
func (s *space) kubectl(args ...string) said {
	s.t.Helper()
	out, err := s.tryKubectl("", args...)
	require.NoError(s.t, err, "kubectl %s\n%s%s", strings.Join(args, " "), out.out, out.err)
	return out
}

func (s *space) tryKubectl(input string, args ...string) (said, error) {
	args = append([]string{"--kubeconfig=" + s.Kubeconfig, "--cache-dir=" + s.cache, "--namespace=" + s.name}, args...)
	return s.run(s.Kubectl, input, nil, args...)
}

// run runs a program, with variables added to its environment.
func (s *space) run(program, input string, variables []string, args ...string) (said, error) {
	command := exec.CommandContext(s.t.Context(), program, args...)
	command.Stdin = strings.NewReader(input)
	command.Env = append(os.Environ(), variables...)
	var out, err bytes.Buffer
	command.Stdout, command.Stderr = &out, &err
	failed := command.Run()
	return said{out.String(), err.String()}, failed
}

// apply runs kubectl apply on an object, with flags.
func (s *space) apply(object *unstructured.Unstructured, flags ...string) said {
	s.t.Helper()
	return s.applyAll([]*unstructured.Unstructured{object}, flags...)
}

func (s *space) applyAll(objects []*unstructured.Unstructured, flags ...string) said {
	s.t.Helper()
	for _, object := range objects {
		s.inKind(object)
	}
	out, err := s.tryKubectl(manifest(s.t, objects...), append([]string{"apply", "--filename=-", unvalidated}, flags...)...)
	require.NoError(s.t, err, "kubectl apply %s\n%s%s", strings.Join(flags, " "), out.out, out.err)
	return out
}

func manifest(t *testing.T, objects ...*unstructured.Unstructured) string {
	t.Helper()
	items := []any{}
	for _, object := range objects {
		items = append(items, object.Object)
	}
	text, err := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "List", "items": items})
	require.NoError(t, err)
	return string(text)
}

func toUnstructured(t *testing.T, object any) map[string]any {
	t.Helper()
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	require.NoError(t, err)
	return content
}
