package wellknown

// Kind is a kind of source, as keys and messages spell it: "configmap". What
// Kubernetes calls it is a matter of its methods, so that code which handles
// sources needs no branch per kind.
type Kind string

// The kinds of sources.
const (
	ConfigMap Kind = "configmap"
	Secret    Kind = "secret"
)

// Kinds are all kinds of sources.
var Kinds = []Kind{ConfigMap, Secret}

// kubernetesNames of each Kind: its Kubernetes kind and its resource, both in
// the core/v1 group.
var kubernetesNames = map[Kind]struct{ kind, resource string }{
	ConfigMap: {"ConfigMap", "configmaps"},
	Secret:    {"Secret", "secrets"},
}

// KubernetesKind is the kind in manifests: "ConfigMap". It is empty for a Kind
// that is not one of the constants.
func (k Kind) KubernetesKind() string { return kubernetesNames[k].kind }

// Resource is the plural in API paths: "configmaps". It is empty for a Kind
// that is not one of the constants.
func (k Kind) Resource() string { return kubernetesNames[k].resource }

// Known says whether k is one of the constants.
func (k Kind) Known() bool { _, known := kubernetesNames[k]; return known }
