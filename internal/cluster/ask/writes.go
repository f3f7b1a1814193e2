package ask

import (
	"context"
	"encoding/json"
	"fmt"

	"gomodules.xyz/jsonpatch/v2"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/wellknown"
	"github.com/configpin/configpin/internal/workload"
)

// Patches writes workloads and sources, by patches and never whole: whatever a patch
// doesn't name stays as it is.
type Patches struct{ *cluster.Writer }

// NewPatches returns the Patches of the cluster at config. manager is the name that they
// carry in managedFields.
func NewPatches(config *rest.Config, manager string) (*Patches, error) {
	writer, err := cluster.NewWriter(config, manager)
	return &Patches{writer}, err
}

// Apply writes operations to a workload. It fails with a conflict if the workload was
// written since it had that resourceVersion.
func (p *Patches) Apply(ctx context.Context, of cluster.Workload, resourceVersion string, operations []jsonpatch.Operation, dryRun bool) (cluster.Touched, error) {
	all := append([]jsonpatch.Operation{jsonpatch.NewOperation("replace", "/metadata/resourceVersion", resourceVersion)}, operations...)
	return p.patch(ctx, "patching", of, types.JSONPatchType, all, dryRun)
}

// Label sets labels, and takes those off whose value is nil.
func (p *Patches) Label(ctx context.Context, of cluster.Workload, labels map[string]any, dryRun bool) (cluster.Touched, error) {
	patch := map[string]any{"metadata": map[string]any{"labels": labels}}
	return p.patch(ctx, "labelling", of, types.MergePatchType, patch, dryRun)
}

func (p *Patches) patch(ctx context.Context, doing string, of cluster.Workload, how types.PatchType, patch any, dryRun bool) (touched cluster.Touched, err error) {
	body, err := json.Marshal(patch)
	if err == nil {
		touched, err = p.Patch(ctx, of, how, body, dryRun)
	}
	if err != nil {
		return cluster.Touched{}, fmt.Errorf("%s %s: %w", doing, of, err)
	}
	return touched, nil
}

// Probe has the API server say, by a dry run, what would become of a workload that is
// created from JSON.
func (p *Patches) Probe(ctx context.Context, kind *workload.Kind, namespace string, object []byte) (cluster.Touched, error) {
	touched, err := p.Workload(ctx, kind, p.post(cluster.WorkloadKind(kind), namespace, object), true)
	if err != nil {
		return cluster.Touched{}, fmt.Errorf("trying a %s in namespace %s: %w", kind.Kind, namespace, err)
	}
	return touched, nil
}

func (p *Patches) post(kind schema.GroupVersionResource, namespace string, object []byte) *rest.Request {
	return cluster.At(p.API.Post(), kind, namespace).SetHeader("Content-Type", runtime.ContentTypeJSON).Body(object)
}

// Restore has a source hold what another object does, and keeps everything else of it.
// It fails with a conflict if the source was written since it was read.
func (p *Patches) Restore(ctx context.Context, source, content snapshot.Object, dryRun bool) error {
	patch, _ := json.Marshal(restoring(source, content)) // text and bytes always marshal
	request := cluster.At(p.API.Patch(types.MergePatchType), cluster.SourceKind(source.Kind), source.Namespace).Name(source.Name)
	return p.source(ctx, "restoring", source, request.Body(patch), dryRun)
}

// Create creates a source. It fails with AlreadyExists if there is one.
func (p *Patches) Create(ctx context.Context, source snapshot.Object, dryRun bool) error {
	configMap, secret := source.ConfigMap(), source.Secret()
	configMap.Immutable, secret.Immutable = nil, nil // nobody said that it isn't
	var object any = configMap
	if source.Kind == wellknown.Secret {
		object = secret
	}
	body, _ := json.Marshal(object) // text and bytes always marshal
	return p.source(ctx, "creating", source, p.post(cluster.SourceKind(source.Kind), source.Namespace, body), dryRun)
}

// source sends a request to write a source.
func (p *Patches) source(ctx context.Context, doing string, source snapshot.Object, request *rest.Request, dryRun bool) error {
	_, _, err := cluster.Send(ctx, p.Signed(request, dryRun))
	if source.Kind == wellknown.Secret {
		err = cluster.Discreet(err)
	}
	if err != nil {
		return fmt.Errorf("%s %s %s/%s: %w", doing, source.Kind, source.Namespace, source.Name, err)
	}
	return nil
}

// restoring is a merge patch that makes of what a source holds another content.
func restoring(source, content snapshot.Object) map[string]any {
	data, binary := map[string]any{}, map[string]any{}
	for key := range source.Data {
		data[key] = nil
	}
	for key := range source.Binary {
		binary[key] = nil
	}
	for key, value := range content.Data {
		if data[key] = value; source.Kind == wellknown.Secret {
			data[key] = []byte(value) // JSON has it in base64, as the API does
		}
	}
	for key, value := range content.Binary {
		binary[key] = value
	}
	patch := map[string]any{"metadata": map[string]any{"resourceVersion": source.ResourceVersion}}
	if len(data) > 0 {
		patch["data"] = data
	}
	if len(binary) > 0 {
		patch["binaryData"] = binary
	}
	return patch
}
