package cluster

import (
	"context"
	"fmt"

	"github.com/tidwall/gjson"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"github.com/configpin/configpin/internal/workload"
)

// Writer writes workloads by patches and never whole: whatever a patch doesn't name stays
// as it is.
type Writer struct {
	API rest.Interface

	// Manager is the name that what is written carries in managedFields.
	Manager string
}

// NewWriter returns the Writer of a manager to the cluster at config.
func NewWriter(config *rest.Config, manager string) (*Writer, error) {
	api, err := Dial(config)
	return &Writer{api, manager}, err
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
func (w *Writer) Touch(ctx context.Context, of Workload, dryRun bool) (Touched, error) {
	touched, err := w.Patch(ctx, of, types.MergePatchType, []byte("{}"), dryRun)
	if err != nil {
		return Touched{}, fmt.Errorf("touching %s: %w", of, err)
	}
	return touched, nil
}

// Patch patches a workload.
func (w *Writer) Patch(ctx context.Context, of Workload, how types.PatchType, patch []byte, dryRun bool) (Touched, error) {
	request := At(w.API.Patch(how), WorkloadKind(of.Kind), of.Namespace).Name(of.Name)
	return w.Workload(ctx, of.Kind, request.Body(patch), dryRun)
}

// Workload sends a request to write a workload of a kind.
func (w *Writer) Workload(ctx context.Context, kind *workload.Kind, request *rest.Request, dryRun bool) (Touched, error) {
	raw, warnings, err := Send(ctx, w.Signed(request, dryRun))
	if err != nil {
		return Touched{}, err
	}
	object, err := kind.Read(string(raw))
	return Touched{object, gjson.GetBytes(raw, "metadata.resourceVersion").Str, warnings}, err
}

// Signed is a request to write with the name of whoever does.
func (w *Writer) Signed(request *rest.Request, dryRun bool) *rest.Request {
	request = request.Param("fieldManager", w.Manager)
	if dryRun {
		request = request.Param("dryRun", metav1.DryRunAll)
	}
	return request
}
