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
	switch kind {
	case wellknown.ConfigMap:
		return s.Namespaces
	case wellknown.Secret:
		return s.Secrets
	default:
		return nil
	}
}

// Serves says whether sources of a kind are served in a namespace.
func (s Scope) Serves(kind wellknown.Kind, namespace string) bool {
	return covers(s.Of(kind), namespace)
}

// covers says whether a list of namespaces holds one.
func covers(namespaces []string, namespace string) bool {
	return slices.Contains(namespaces, metav1.NamespaceAll) || slices.Contains(namespaces, namespace)
}

// KindsIn are the kinds of sources that are served in a namespace, or in all.
func (s Scope) KindsIn(namespace string) []wellknown.Kind {
	var served []wellknown.Kind
	for _, kind := range wellknown.Kinds {
		if s.Serves(kind, namespace) {
			served = append(served, kind)
		}
	}
	return served
}
