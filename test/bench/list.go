package main

import (
	"bytes"
	"context"
	"fmt"
	"strconv"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"

	"github.com/configpin/configpin/internal/cluster"
)

// How much the collector lists at a time.
const (
	gcMetadataPage = 500
	gcWholePage    = 250
)

// list lists what a pass lists, in the same form and pages, and throws it away.
func (y *yard) list(ctx context.Context) error {
	api := y.client.CoreV1().RESTClient()
	err := listAll(ctx, api, schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}, metadataOnly, gcMetadataPage, "")
	if err != nil {
		return err
	}
	for _, kind := range cluster.ReferenceKinds {
		if err := listAll(ctx, api, kind, whole, gcWholePage, ""); err != nil {
			return err
		}
	}
	return nil
}

// What lists consist of.
const (
	whole        = "application/json"
	metadataOnly = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
)

func listAll(ctx context.Context, api rest.Interface, kind schema.GroupVersionResource, accept string, page int, labels string) error {
	path := "/apis/" + kind.GroupVersion().String()
	if kind.Group == "" {
		path = "/api/" + kind.Version
	}
	for following := ""; ; {
		body, err := api.Get().AbsPath(path, kind.Resource).SetHeader("Accept", accept).
			Param("labelSelector", labels).Param("limit", strconv.Itoa(page)).Param("continue", following).Do(ctx).Raw()
		if err != nil {
			return fmt.Errorf("listing %s: %w", kind.Resource, err)
		}
		following = continueToken(body)
		if following == "" {
			return nil
		}
	}
}

// continueToken is from where to go on, which a list says before its elements.
func continueToken(body []byte) string {
	head, _, _ := bytes.Cut(body, []byte(`"items"`))
	_, after, _ := bytes.Cut(head, []byte(`"continue":"`))
	token, _, _ := bytes.Cut(after, []byte(`"`))
	return string(token)
}
