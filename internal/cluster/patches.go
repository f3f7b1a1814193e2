package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/tidwall/gjson"
	"gomodules.xyz/jsonpatch/v2"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/wellknown"
	"github.com/configpin/configpin/internal/workload"
)

// Patches writes workloads and sources, by patches and never whole: whatever a patch
// doesn't name stays as it is.
type Patches struct {
	manager string
	rest    map[*workload.Kind]rest.Interface
	core    rest.Interface
}

// NewPatches returns the Patches of the cluster at config. manager is the name that they
// carry in managedFields.
func NewPatches(config *rest.Config, manager string) (*Patches, error) {
	core, err := newLists(config)
	if err != nil {
		return nil, fmt.Errorf("connecting to the cluster: %w", err)
	}
	p := &Patches{manager, map[*workload.Kind]rest.Interface{}, core}
	for _, kind := range workload.Kinds {
		client, err := clientFor(config, kind)
		if err != nil {
			return nil, fmt.Errorf("connecting to the cluster for %s: %w", kind.Resource, err)
		}
		p.rest[kind] = client
	}
	return p, nil
}

// clientFor returns a client that hands out answers as they came.
func clientFor(config *rest.Config, kind *workload.Kind) (rest.Interface, error) {
	config = rest.CopyConfig(config)
	config.GroupVersion = &schema.GroupVersion{Group: kind.Group, Version: kind.Version}
	config.APIPath = "/apis"
	config.ContentType, config.AcceptContentTypes = runtime.ContentTypeJSON, runtime.ContentTypeJSON
	config.NegotiatedSerializer = serializer.NewCodecFactory(runtime.NewScheme()).WithoutConversion()
	return rest.RESTClientFor(config)
}

// Touched is a workload as it is stored after a patch.
type Touched struct {
	Object          workload.Object
	ResourceVersion string

	// Warnings are those that came with the answer: what admission said it did.
	Warnings []string
}

// Touch sends a workload through admission by a patch that changes nothing. An
// empty patch leaves no entry in managedFields, so it takes nobody's ownership.
func (p *Patches) Touch(ctx context.Context, of Workload, dryRun bool) (Touched, error) {
	touched, err := p.patch(ctx, of, types.MergePatchType, []byte("{}"), dryRun)
	if err != nil {
		return Touched{}, fmt.Errorf("touching %s: %w", of, err)
	}
	return touched, nil
}

// released is a patch that labels what carries no such label: whoever opts it in again at
// the same time wins.
var released = fmt.Appendf(nil, `[{"op": "test", "path": "/metadata/labels/%[1]s", "value": null}, {"op": "add", "path": "/metadata/labels/%[1]s", "value": %[2]q}]`,
	strings.ReplaceAll(wellknown.Enabled, "/", "~1"), wellknown.Released)

// Release has admission opt out a workload that lost its label. Where admission doesn't see
// it, the label stays on it.
func (p *Patches) Release(ctx context.Context, of Workload, dryRun bool) (Touched, error) {
	touched, err := p.patch(ctx, of, types.JSONPatchType, released, dryRun)
	if err != nil {
		return Touched{}, fmt.Errorf("releasing %s: %w", of, err)
	}
	return touched, nil
}

// Apply writes operations to a workload. It fails with a conflict if the workload was
// written since it had that resourceVersion.
func (p *Patches) Apply(ctx context.Context, of Workload, resourceVersion string, operations []jsonpatch.Operation, dryRun bool) (Touched, error) {
	all := append([]jsonpatch.Operation{jsonpatch.NewOperation("replace", "/metadata/resourceVersion", resourceVersion)}, operations...)
	patch, err := json.Marshal(all)
	if err != nil {
		return Touched{}, fmt.Errorf("patching %s: %w", of, err)
	}
	touched, err := p.patch(ctx, of, types.JSONPatchType, patch, dryRun)
	if err != nil {
		return Touched{}, fmt.Errorf("patching %s: %w", of, err)
	}
	return touched, nil
}

// Label sets labels, and takes those off whose value is nil.
func (p *Patches) Label(ctx context.Context, of Workload, labels map[string]any, dryRun bool) (Touched, error) {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"labels": labels}})
	if err != nil {
		return Touched{}, fmt.Errorf("labelling %s: %w", of, err)
	}
	touched, err := p.patch(ctx, of, types.MergePatchType, patch, dryRun)
	if err != nil {
		return Touched{}, fmt.Errorf("labelling %s: %w", of, err)
	}
	return touched, nil
}

func (p *Patches) patch(ctx context.Context, of Workload, kind types.PatchType, patch []byte, dryRun bool) (Touched, error) {
	request := p.rest[of.Kind].Patch(kind).
		Namespace(of.Namespace).Resource(of.Kind.Resource).Name(of.Name).
		Body(patch)
	return p.answer(of.Kind, p.signed(request, dryRun).Do(ctx))
}

// signed is a request to write with the name of whoever does.
func (p *Patches) signed(request *rest.Request, dryRun bool) *rest.Request {
	request = request.Param("fieldManager", p.manager)
	if dryRun {
		request = request.Param("dryRun", metav1.DryRunAll)
	}
	return request
}

func (p *Patches) answer(kind *workload.Kind, result rest.Result) (Touched, error) {
	raw, err := result.Raw()
	if err != nil {
		return Touched{}, said(raw, err)
	}
	object, err := kind.Read(string(raw))
	touched := Touched{Object: object, ResourceVersion: gjson.GetBytes(raw, "metadata.resourceVersion").Str}
	for _, warning := range result.Warnings() {
		touched.Warnings = append(touched.Warnings, warning.Text)
	}
	return touched, err
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

// Probe has the API server say, by a dry run, what would become of a workload that is
// created from JSON.
func (p *Patches) Probe(ctx context.Context, kind *workload.Kind, namespace string, object []byte) (Touched, error) {
	request := p.rest[kind].Post().Namespace(namespace).Resource(kind.Resource).Body(object)
	touched, err := p.answer(kind, p.signed(request, true).Do(ctx))
	if err != nil {
		return Touched{}, fmt.Errorf("trying a %s in namespace %s: %w", kind.Kind, namespace, err)
	}
	return touched, nil
}

// Restore has a source hold what another object does, and keeps everything else of it.
// It fails with a conflict if the source was written since it was read.
func (p *Patches) Restore(ctx context.Context, source, content snapshot.Object, dryRun bool) error {
	patch, err := json.Marshal(restoring(source, content))
	if err != nil {
		return fmt.Errorf("restoring %s %s/%s: %w", source.Kind, source.Namespace, source.Name, err)
	}
	request := p.core.Patch(types.MergePatchType).
		AbsPath(pathOf(resourceOf(source.Kind), source.Namespace), source.Name).
		SetHeader("Content-Type", string(types.MergePatchType)).
		Body(patch)
	raw, err := p.signed(request, dryRun).Do(ctx).Raw()
	if err != nil {
		if err = said(raw, err); source.Kind == wellknown.Secret {
			err = discreet(err)
		}
		return fmt.Errorf("restoring %s %s/%s: %w", source.Kind, source.Namespace, source.Name, err)
	}
	return nil
}

// Create creates a source. It fails with AlreadyExists if there is one.
func (p *Patches) Create(ctx context.Context, source snapshot.Object, dryRun bool) error {
	configMap, secret := source.ConfigMap(), source.Secret()
	configMap.Immutable, secret.Immutable = nil, nil // nobody said that it isn't
	var object any = configMap
	if source.Kind == wellknown.Secret {
		object = secret
	}
	body, err := json.Marshal(object)
	if err != nil {
		return fmt.Errorf("creating %s %s/%s: %w", source.Kind, source.Namespace, source.Name, err)
	}
	request := p.core.Post().AbsPath(pathOf(resourceOf(source.Kind), source.Namespace)).SetHeader("Content-Type", whole).SetHeader("Accept", whole).Body(body)
	raw, err := p.signed(request, dryRun).Do(ctx).Raw()
	if err != nil {
		if err = said(raw, err); source.Kind == wellknown.Secret {
			err = discreet(err)
		}
		return fmt.Errorf("creating %s %s/%s: %w", source.Kind, source.Namespace, source.Name, err)
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
