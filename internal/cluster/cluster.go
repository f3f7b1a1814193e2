// Package cluster is what all share who fetch: who an object is (Key, Workload), where
// anything is read at all (Scope), one way to list and page (lists.go), one reducer of
// metadata, sources and snapshots read and kept one at a time (objects.go), the key of
// digests, and the touch (writer.go). What only one of them asks is in a package below
// this one: live, watch, census, ask.
//
// It deliberately decides nothing: whatever can be told from values alone is in the pure
// packages. Every write is small, and safe to repeat.
package cluster

import (
	"context"
	"encoding/json"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"

	"github.com/configpin/configpin/internal/hashing"
	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/workload"
)

// Key is an object of a namespace.
type Key struct {
	Namespace string
	refs.Target
}

// String is the key as logs spell it: "configmap/shop/app".
func (k Key) String() string { return string(k.Kind) + "/" + k.Namespace + "/" + k.Name }

// Workload names a workload.
type Workload struct {
	Kind            *workload.Kind
	Namespace, Name string
}

// String is the workload as logs spell it: "deployment/shop/web".
func (w Workload) String() string { return w.Kind.Kind + "/" + w.Namespace + "/" + w.Name }

// Connect returns the sources and snapshots of scope in the cluster at config.
func Connect(config *rest.Config, scope Scope, key func() *hashing.Key) (*Objects, error) {
	core, err := corev1client.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("connecting to the cluster: %w", err)
	}
	return NewObjects(core, scope, key), nil
}

// Dial returns a client that is told the kind of objects with each request (At), and
// hands out answers as they came (Send, List).
func Dial(config *rest.Config) (rest.Interface, error) {
	config = rest.CopyConfig(config)
	config.NegotiatedSerializer = scheme.Codecs.WithoutConversion()
	client, err := rest.UnversionedRESTClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("connecting to the cluster: %w", err)
	}
	return client, nil
}

// Send sends a request of Dial's client, and returns the answer, in JSON, with the
// warnings that came with it.
func Send(ctx context.Context, request *rest.Request) (raw []byte, warnings []string, err error) {
	result := request.SetHeader("Accept", whole).Do(ctx)
	if raw, err = result.Raw(); err != nil {
		return nil, nil, said(raw, err)
	}
	for _, warning := range result.Warnings() {
		warnings = append(warnings, warning.Text)
	}
	return raw, warnings, nil
}

// said returns the error that the API server described. A client that decodes no
// answers doesn't decode this one either.
func said(raw []byte, err error) error {
	var status metav1.Status
	if json.Unmarshal(raw, &status) == nil && status.Kind == "Status" && status.Message != "" {
		return &apierrors.StatusError{ErrStatus: status}
	}
	return err
}

// ListsFirst has the informers of the client that it is embedded in list before they
// watch, whatever the API server is able to: the right to list is needed for older ones,
// and a right that is used on some of them alone can't be told from one too many.
type ListsFirst struct{}

// IsWatchListSemanticsUnSupported is asked by client-go's reflector
// (k8s.io/client-go/util/watchlist).
func (ListsFirst) IsWatchListSemanticsUnSupported() bool { return true }
