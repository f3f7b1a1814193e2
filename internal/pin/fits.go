package pin

import (
	"fmt"
	"strings"

	"github.com/tidwall/gjson"
	"gomodules.xyz/jsonpatch/v2"

	"github.com/configpin/configpin/internal/wellknown"
	"github.com/configpin/configpin/internal/workload"
)

// maxAnnotations is how many bytes the annotations of an object may have
// (k8s.io/apimachinery/pkg/api/validation, TotalAnnotationSizeLimitB).
const maxAnnotations = 256 << 10

// Fits says whether a template that the API server would take is still one after a
// patch of ours. Pins repeat the names of sources, and are counted with the annotations
// that the person wrote: their write mustn't be refused for what we add to it.
func Fits(object workload.Object, patch []jsonpatch.Operation) error {
	size := annotationsOf(object)
	for _, operation := range patch {
		if pins, written := pinsIn(object, operation); written {
			had, has := object.Template.Annotations[wellknown.Pins]
			if !has {
				size += len(wellknown.Pins)
			}
			size += len(pins) - len(had)
		}
	}
	if size > maxAnnotations {
		return fmt.Errorf("its template's annotations have %d bytes with its pins, more than %d", size, maxAnnotations)
	}
	return nil
}

// annotationsOf is the size of the template's annotations, as the API server counts it
// (k8s.io/apimachinery/pkg/api/validation, ValidateAnnotationsSize).
func annotationsOf(object workload.Object) (size int) {
	gjson.Get(object.Template.Metadata, "annotations").ForEach(func(key, value gjson.Result) bool {
		size += len(key.Str) + len(value.Str)
		return true
	})
	return size
}

// pinsIn returns the pins that an operation writes: alone, or with the annotations or
// the metadata that weren't there.
func pinsIn(object workload.Object, operation jsonpatch.Operation) (pins string, written bool) {
	rest, inTemplate := strings.CutPrefix(operation.Path, object.Kind.Pointer()+"/metadata")
	if !inTemplate || operation.Operation == "remove" {
		return "", false
	}
	value := operation.Value
	if rest == "" {
		metadata, _ := value.(map[string]any)
		value = metadata["annotations"]
	}
	if each, whole := value.(map[string]any); whole {
		value = each[wellknown.Pins]
	}
	pins, written = value.(string)
	return pins, written
}
