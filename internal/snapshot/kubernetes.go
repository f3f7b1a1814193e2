package snapshot

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/configpin/configpin/internal/hashing"
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

// FromSecret returns s as an Object, sharing the maps of its metadata. Its digests
// are made with key.
func FromSecret(s *corev1.Secret, key *hashing.Key) Object {
	o := FromMetadata(wellknown.Secret, s)
	o.Immutable = s.Immutable != nil && *s.Immutable
	o.Type, o.Key = string(s.Type), key
	if s.Data != nil {
		o.Data = make(map[string]string, len(s.Data))
	}
	for key, value := range s.Data {
		o.Data[key] = string(value)
	}
	return o
}

// ConfigMap returns o as a ConfigMap, sharing its maps.
func (o Object) ConfigMap() *corev1.ConfigMap {
	return &corev1.ConfigMap{
		ObjectMeta: o.metadata(),
		Immutable:  &o.Immutable,
		Data:       o.Data,
		BinaryData: o.Binary,
	}
}

// Secret returns o as a Secret, sharing the maps of its metadata.
func (o Object) Secret() *corev1.Secret {
	s := &corev1.Secret{ObjectMeta: o.metadata(), Immutable: &o.Immutable, Type: corev1.SecretType(o.Type)}
	if o.Data != nil {
		s.Data = make(map[string][]byte, len(o.Data))
	}
	for key, value := range o.Data {
		s.Data[key] = []byte(value)
	}
	return s
}

func (o Object) metadata() metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace:       o.Namespace,
		Name:            o.Name,
		UID:             types.UID(o.UID),
		ResourceVersion: o.ResourceVersion,
		Labels:          o.Labels,
		Annotations:     o.Annotations,
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
