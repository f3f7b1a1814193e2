package cluster

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/configpin/configpin/internal/wellknown"
)

// Everywhere is all namespaces, as informers and lists call them.
var Everywhere = []string{metav1.NamespaceAll}

// Scope is where objects are read at all. Each field is a list of namespaces, or
// Everywhere.
type Scope struct {
	// Namespaces are those in which ConfigMaps and workloads are served.
	Namespaces []string

	// Secrets are those, of them, in which Secrets are served.
	Secrets []string
}

// Of are the namespaces in which sources of a kind are served.
func (s Scope) Of(kind wellknown.Kind) []string {
	return map[wellknown.Kind][]string{wellknown.ConfigMap: s.Namespaces, wellknown.Secret: s.Secrets}[kind]
}

// Serves says whether sources of a kind are served in a namespace.
func (s Scope) Serves(kind wellknown.Kind, namespace string) bool {
	served := s.Of(kind)
	return slices.Contains(served, metav1.NamespaceAll) || slices.Contains(served, namespace)
}

// KindsIn are the kinds of sources that are served in a namespace, or in all.
func (s Scope) KindsIn(namespace string) []wellknown.Kind {
	return slices.DeleteFunc(slices.Clone(wellknown.Kinds), func(kind wellknown.Kind) bool { return !s.Serves(kind, namespace) })
}
