package installation

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// fieldManager owns what is applied, so that a later apply can take fields away again.
const fieldManager = "configpin-local"

// Apply applies manifests server-side, namespaces first: those of the installation, or others of the same objects.
func (i *Installation) Apply(ctx context.Context, objects []*unstructured.Unstructured) error {
	api, err := client.New(i.cluster.Config(), client.Options{})
	if err != nil {
		return fmt.Errorf("connecting to the API server: %w", err)
	}
	webhookAddress, err := i.address(webhook)
	if err != nil {
		return err
	}
	for _, object := range namespacesFirst(objects) {
		if inPods[object.GetKind()] {
			continue
		}
		object = object.DeepCopy()
		if err := pointAt("https://"+webhookAddress, i.trusted, object); err != nil {
			return fmt.Errorf("preparing %s %s: %w", object.GetKind(), object.GetName(), err)
		}
		err := api.Apply(ctx, client.ApplyConfigurationFromUnstructured(object),
			client.FieldOwner(fieldManager), client.ForceOwnership)
		if err != nil {
			return fmt.Errorf("applying %s %s: %w", object.GetKind(), client.ObjectKeyFromObject(object), err)
		}
	}
	return nil
}

// Trust makes the API server accept what these authorities, in PEM, sign for the webhook, and nothing else. It hears of
// it a moment later.
func (i *Installation) Trust(ctx context.Context, authorities []byte) error {
	i.trusted = authorities
	return i.Apply(ctx, slices.DeleteFunc(slices.Clone(i.options.Objects), func(o *unstructured.Unstructured) bool {
		return o.GetKind() != "MutatingWebhookConfiguration"
	}))
}

// inPods are the kinds of what makes the programs run in Pods, and of what is about those. Here they run beside the
// cluster, and nobody issues certificates.
var inPods = map[string]bool{
	"Deployment": true, "Service": true, "PodDisruptionBudget": true, "NetworkPolicy": true, "Issuer": true, "Certificate": true,
}

func namespacesFirst(objects []*unstructured.Unstructured) []*unstructured.Unstructured {
	rank := func(o *unstructured.Unstructured) int {
		if o.GetKind() == "Namespace" {
			return 0
		}
		return 1
	}
	return slices.SortedStableFunc(slices.Values(objects), func(a, b *unstructured.Unstructured) int {
		return rank(a) - rank(b)
	})
}

// pointAt makes the API server call a webhook at this URL, where the manifests name a Service. Anything but a webhook
// configuration stays as it is.
func pointAt(url string, ca []byte, object *unstructured.Unstructured) error {
	switch object.GetKind() {
	case "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration":
	default:
		return nil
	}
	entries, _, err := unstructured.NestedSlice(object.Object, "webhooks")
	if err != nil {
		return err
	}
	for n, entry := range entries {
		fields, ok := entry.(map[string]any)
		if !ok {
			return fmt.Errorf("webhooks[%d] is a %T", n, entry)
		}
		path, _, err := unstructured.NestedString(fields, "clientConfig", "service", "path")
		if err != nil {
			return fmt.Errorf("webhooks[%d]: %w", n, err)
		}
		fields["clientConfig"] = map[string]any{
			"url":      url + path,
			"caBundle": base64.StdEncoding.EncodeToString(ca),
		}
	}
	return unstructured.SetNestedSlice(object.Object, entries, "webhooks")
}
