package conformance

import (
	"strings"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// going is about what is deleted with its namespace: nobody has to do anything about it.
var going = []scenario{
	{"a namespace that is deleted is no error", namespaceDeleted},
	{"with Secrets: a namespace that is deleted is no error", withSecrets(namespaceDeleted)},
}

// namespaceDeleted has a source and workloads outlive the snapshots of their namespace:
// one that is held, and one that isn't.
func namespaceDeleted(s *space) {
	gone := s.twin()
	gone.source("app", "blue")
	follower := gone.deploy("Deployment", "follower", envFrom("app"))
	held := gone.deploy("Deployment", "held", envFrom("app"))
	gone.rolledOut(held, 1)
	gone.edit("app", "green")
	gone.showing(follower, "app", "green")
	gone.showing(held, "app", "green")
	gone.rolledOut(held, 2)
	gone.undo(held)
	gone.pass()
	lasting := []client.Object{configMap("app", nil), nameOf(follower), nameOf(held)}
	for _, object := range lasting {
		gone.patch(object, `{"metadata":{"finalizers":["example.com/lasts"]}}`)
	}

	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: gone.name}}
	require.NoError(s.t, s.api.Delete(s.t.Context(), namespace))
	s.eventually("the snapshots are gone", func() (string, bool) {
		left := names(gone.snapshots())
		return strings.Join(left, " "), len(left) == 0
	})
	s.pass()
	for _, object := range lasting {
		gone.patch(object, `{"metadata":{"finalizers":null}}`)
	}
	s.eventually("the namespace is gone", func() (string, bool) {
		err := s.api.Get(s.t.Context(), client.ObjectKeyFromObject(namespace), namespace)
		return string(namespace.Status.Phase), apierrors.IsNotFound(err)
	})
	s.pass()
	for line := range strings.Lines(s.said()) {
		if strings.Contains(line, gone.name) {
			assert.NotContains(s.t, line, "level=ERROR")
			assert.NotContains(s.t, line, "eventTime", "a whole Event")
		}
	}
}

// nameOf is an object by its name alone.
func nameOf(object *unstructured.Unstructured) *unstructured.Unstructured {
	named := &unstructured.Unstructured{}
	named.SetGroupVersionKind(object.GroupVersionKind())
	named.SetName(object.GetName())
	return named
}
