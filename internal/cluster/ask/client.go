// Package ask is what the kubectl plugin asks the cluster (client.go), waits for
// (changes.go), and writes (writes.go), by the rights of whoever runs it. It is apart from
// what the programs do: they have other rights, and none of these writes is linked into
// them.
//
// It deliberately explains nothing: what an answer means is for packages inspect and cli
// to say.
package ask

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"iter"

	"github.com/tidwall/gjson"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/wellknown"
	"github.com/configpin/configpin/internal/workload"
)

// Client reads objects, as they are stored now, for somebody who looks once and goes. Unlike the
// programs, it may be allowed to read some of them and not others: errors are those of
// the API server (apierrors.IsForbidden).
type Client struct {
	api      rest.Interface
	metadata metadata.Interface
}

// NewClient returns the Client of the cluster at config.
func NewClient(config *rest.Config) (*Client, error) {
	api, err := cluster.Dial(config)
	if err != nil {
		return nil, err
	}
	client, err := metadata.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("connecting to the cluster: %w", err)
	}
	return &Client{api, client}, nil
}

// Workload returns the JSON of a workload. It fails with NotFound where there is none.
func (c *Client) Workload(ctx context.Context, of cluster.Workload) (string, error) {
	raw, err := c.One(ctx, cluster.WorkloadKind(of.Kind), of.Namespace, of.Name)
	return string(raw), err
}

// One returns the JSON of an object; in no namespace if that is empty. It fails with
// NotFound where there is none.
func (c *Client) One(ctx context.Context, kind schema.GroupVersionResource, namespace, name string) ([]byte, error) {
	raw, _, err := cluster.Send(ctx, cluster.At(c.api.Get(), kind, namespace).Name(name))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", kind.GroupResource(), err)
	}
	return raw, nil
}

// May says whether a service account has a right. To ask that takes a right of its own.
func (c *Client) May(ctx context.Context, namespace, account string, what authorizationv1.ResourceAttributes) (bool, error) {
	// As k8s.io/apiserver/pkg/authentication/serviceaccount names them.
	user := "system:serviceaccount:" + namespace + ":" + account
	review := authorizationv1.SubjectAccessReview{
		TypeMeta: metav1.TypeMeta{APIVersion: authorizationv1.SchemeGroupVersion.String(), Kind: "SubjectAccessReview"},
		Spec: authorizationv1.SubjectAccessReviewSpec{
			User:               user,
			Groups:             []string{"system:serviceaccounts", "system:serviceaccounts:" + namespace, "system:authenticated"},
			ResourceAttributes: &what,
		},
	}
	body, _ := json.Marshal(review) // text always marshals
	raw, _, err := cluster.Send(ctx, cluster.At(c.api.Post(), authorizationv1.SchemeGroupVersion.WithResource("subjectaccessreviews"), metav1.NamespaceAll).
		SetHeader("Content-Type", runtime.ContentTypeJSON).Body(body))
	if err != nil {
		return false, fmt.Errorf("asking for the rights of %s: %w", user, err)
	}
	status := gjson.GetBytes(raw, "status")
	if wrong := status.Get("evaluationError").Str; wrong != "" && !status.Get("allowed").Bool() {
		return false, fmt.Errorf("asking for the rights of %s: %s", user, wrong)
	}
	return status.Get("allowed").Bool(), nil
}

// Every returns the JSON of each object of a resource, in one namespace or in all. No
// more than two pages of them are held. An error is the last that comes.
func (c *Client) Every(ctx context.Context, kind schema.GroupVersionResource, namespace string, wanted cluster.Selector) iter.Seq2[[]byte, error] {
	return cluster.List[[]byte]{
		API: c.api, Kind: kind, Namespace: namespace, Selector: wanted, Ahead: true,
		Whole: func(element []byte) ([]byte, bool, error) { return bytes.Clone(element), true, nil },
	}.All(ctx)
}

// Workloads returns the JSON of each workload of a kind.
func (c *Client) Workloads(ctx context.Context, kind *workload.Kind, namespace string, wanted cluster.Selector) iter.Seq2[[]byte, error] {
	return c.Every(ctx, cluster.WorkloadKind(kind), namespace, wanted)
}

// Metadata returns the metadata of each source or snapshot of a kind, as far as it is
// ours.
func (c *Client) Metadata(ctx context.Context, kind wellknown.Kind, namespace string, wanted cluster.Selector) iter.Seq2[snapshot.Object, error] {
	return cluster.List[snapshot.Object]{
		API: c.api, Kind: cluster.SourceKind(kind), Namespace: namespace, Selector: wanted, Ahead: true,
		Metadata: func(m *metav1.ObjectMeta) (snapshot.Object, bool) { return cluster.OfMetadata(kind, m), true },
	}.All(ctx)
}

// Count estimates how many objects of a kind there are, sources and snapshots and all
// others.
func (c *Client) Count(ctx context.Context, kind wellknown.Kind, namespace string) (int, error) {
	nothing := func(*metav1.ObjectMeta) (struct{}, bool) { return struct{}{}, false }
	return cluster.List[struct{}]{API: c.api, Kind: cluster.SourceKind(kind), Namespace: namespace, Metadata: nothing}.Count(ctx)
}

// Namespaces are the names of those that a selector fits: not nil where there are none.
func (c *Client) Namespaces(ctx context.Context, wanted cluster.Selector) ([]string, error) {
	names := []string{}
	for element, err := range c.Every(ctx, cluster.Namespaces, metav1.NamespaceAll, wanted) {
		if err != nil {
			return nil, err
		}
		names = append(names, gjson.GetBytes(element, "metadata.name").String())
	}
	return names, nil
}

// NamespaceEnabled says whether a namespace opts in what is written in it.
func (c *Client) NamespaceEnabled(ctx context.Context, name string) (bool, error) {
	raw, err := c.One(ctx, cluster.Namespaces, metav1.NamespaceAll, name)
	if err != nil {
		return false, err
	}
	labels := gjson.GetBytes(raw, "metadata.labels").Map()
	return labels[wellknown.Enabled].Str == wellknown.True, nil
}
