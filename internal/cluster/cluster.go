// Package cluster is the only package that fetches. It brings what the pure
// packages decide about: sources and snapshots, read live (objects.go, view.go)
// or known from watches (sources.go, workloads.go), and it writes what they
// decided, one small write at a time, each safe to repeat.
//
// It deliberately decides nothing: whatever can be told from values alone is in
// the packages below it.
package cluster

import (
	"encoding/json"
	"fmt"

	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"

	"github.com/configpin/configpin/internal/hashing"
)

// Connect returns the sources and snapshots of scope in the cluster at config.
func Connect(config *rest.Config, scope Scope, key func() *hashing.Key) (*Objects, error) {
	core, err := corev1client.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("connecting to the cluster: %w", err)
	}
	return NewObjects(core, scope, key), nil
}

// annotationPatch is a merge patch that sets annotations, or takes those off
// whose value is nil. It conflicts with every write since that resourceVersion,
// also with a deletion after which something else got the name.
func annotationPatch(resourceVersion string, annotations map[string]any) []byte {
	patch, _ := json.Marshal(map[string]any{ // strings always marshal
		"metadata": map[string]any{"resourceVersion": resourceVersion, "annotations": annotations},
	})
	return patch
}
