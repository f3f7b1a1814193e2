package main

import (
	"context"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
)

// memory holds ConfigMaps, so that what a handler does is measured and not what
// it waits for. It knows no namespaces. client-go's own fake copies and
// compares objects, which costs more than the handler does.
type memory struct {
	corev1client.ConfigMapInterface // nothing else is called
	corev1client.SecretsGetter      // nobody asks for these

	mutex sync.RWMutex
	known map[string]*corev1.ConfigMap
}

func (m *memory) ConfigMaps(string) corev1client.ConfigMapInterface { return m }

func (m *memory) Get(_ context.Context, name string, _ metav1.GetOptions) (*corev1.ConfigMap, error) {
	m.mutex.RLock()
	defer m.mutex.RUnlock()
	if found, known := m.known[name]; known {
		return found, nil
	}
	return nil, apierrors.NewNotFound(schema.GroupResource{Resource: "configmaps"}, name)
}

func (m *memory) Create(_ context.Context, made *corev1.ConfigMap, _ metav1.CreateOptions) (*corev1.ConfigMap, error) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.known[made.Name] = made
	return made, nil
}
