package snapshot

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/configpin/configpin/internal/wellknown"
)

// FromMetadata returns an Object that holds nothing but metadata.
func FromMetadata(kind wellknown.Kind, m metav1.Object) Object {
	return Object{
		Kind:            kind,
		Namespace:       m.GetNamespace(),
		Name:            m.GetName(),
		UID:             string(m.GetUID()),
		ResourceVersion: m.GetResourceVersion(),
		Labels:          m.GetLabels(),
		Annotations:     m.GetAnnotations(),
		Created:         m.GetCreationTimestamp().Time,
		Terminating:     m.GetDeletionTimestamp() != nil,
	}
}

// FromConfigMap returns c as an Object, sharing its maps.
func FromConfigMap(c *corev1.ConfigMap) Object {
	o := FromMetadata(wellknown.ConfigMap, c)
	o.Immutable = c.Immutable != nil && *c.Immutable
	o.Data, o.Binary = c.Data, c.BinaryData
	return o
}

// ConfigMap returns o as a ConfigMap, sharing its maps.
func (o Object) ConfigMap() *corev1.ConfigMap {
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:       o.Namespace,
			Name:            o.Name,
			UID:             types.UID(o.UID),
			ResourceVersion: o.ResourceVersion,
			Labels:          o.Labels,
			Annotations:     o.Annotations,
		},
		Immutable:  &o.Immutable,
		Data:       o.Data,
		BinaryData: o.Binary,
	}
}

// Reference returns what an Event about o regards.
func (o Object) Reference() *corev1.ObjectReference {
	return &corev1.ObjectReference{
		APIVersion:      "v1",
		Kind:            o.Kind.KubernetesKind(),
		Namespace:       o.Namespace,
		Name:            o.Name,
		UID:             types.UID(o.UID),
		ResourceVersion: o.ResourceVersion,
	}
}
