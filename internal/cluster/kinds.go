package cluster

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"

	"github.com/configpin/configpin/internal/wellknown"
	"github.com/configpin/configpin/internal/workload"
)

// Namespaces is the kind of namespaces.
var Namespaces = schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}

// ReferenceKinds are the kinds that can name a snapshot, those first from whose
// templates controllers make the others: what is passed on while one after another
// is listed is seen where it came from, or where it went.
var ReferenceKinds = []schema.GroupVersionResource{
	{Group: "batch", Version: "v1", Resource: "cronjobs"},
	{Group: "apps", Version: "v1", Resource: "deployments"},
	{Group: "apps", Version: "v1", Resource: "statefulsets"},
	{Group: "apps", Version: "v1", Resource: "daemonsets"},
	{Group: "batch", Version: "v1", Resource: "jobs"},
	{Group: "apps", Version: "v1", Resource: "replicasets"},
	{Version: "v1", Resource: "replicationcontrollers"},
	{Group: "apps", Version: "v1", Resource: "controllerrevisions"},
	{Version: "v1", Resource: "podtemplates"},
	{Version: "v1", Resource: "pods"},
}

// ParseKind reads the name of a kind as in argoproj.io/v1alpha1/rollouts. The core group
// has no name.
func ParseKind(text string) (schema.GroupVersionResource, error) {
	parts := strings.Split(text, "/")
	if len(parts) == 2 {
		parts = slices.Insert(parts, 0, "")
	}
	if len(parts) != 3 || parts[1] == "" || parts[2] == "" {
		return schema.GroupVersionResource{}, fmt.Errorf("%q is not group/version/resource", text)
	}
	return schema.GroupVersionResource{Group: parts[0], Version: parts[1], Resource: parts[2]}, nil
}

// SourceKind is a kind of sources, as lists and watches call it.
func SourceKind(kind wellknown.Kind) schema.GroupVersionResource {
	return schema.GroupVersionResource{Version: "v1", Resource: kind.Resource()}
}

// WorkloadKind is a kind of workloads, as lists and watches call it.
func WorkloadKind(kind *workload.Kind) schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: kind.Group, Version: kind.Version, Resource: kind.Resource}
}

// WorkloadKinds are the kinds of workloads that are served.
func WorkloadKinds() []schema.GroupVersionResource {
	var all []schema.GroupVersionResource
	for _, kind := range workload.Kinds {
		all = append(all, WorkloadKind(kind))
	}
	return all
}

// At has a request be about objects of a kind, in one namespace or in all.
func At(request *rest.Request, kind schema.GroupVersionResource, namespace string) *rest.Request {
	root := "/apis/" + kind.Group
	if kind.Group == "" {
		root = "/api"
	}
	return request.AbsPath(root, kind.Version).NamespaceIfScoped(namespace, namespace != metav1.NamespaceAll).Resource(kind.Resource)
}
