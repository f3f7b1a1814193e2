package races

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
)

// rival is somebody who comes to name the snapshot of blue while a collector is
// about to do away with it.
type rival struct {
	name string

	// deployed says that there is a workload before, which names the snapshot of
	// green.
	deployed bool

	// deletion says that it races with a deletion alone: with a mark it does what
	// another rival does.
	deletion bool

	act func(ctx context.Context, h *history) error

	// refused says that it may be denied, and moved that the workload may come to
	// name the snapshot of green: where that of blue is gone, and nobody has its
	// content any more.
	refused, moved bool
}

var undo = rival{name: "an undo", deployed: true, refused: true, act: func(ctx context.Context, h *history) error {
	return h.replaceTemplate(ctx, h.pinned(h.old).Spec.Template)
}}

var rivals = []rival{
	undo,
	{name: "a touch after the content came back", deployed: true, act: func(ctx context.Context, h *history) error {
		if err := h.edit(ctx, blue); err != nil {
			return err
		}
		return h.patch(ctx, types.MergePatchType, []byte("{}"))
	}},
	{name: "an apply after the content came back", deployed: true, deletion: true, act: func(ctx context.Context, h *history) error {
		if err := h.edit(ctx, blue); err != nil {
			return err
		}
		template := deployment(h.namespace, h.name, h.name).Spec.Template
		template.Spec.Containers[0].Image = "example.com/app:2"
		return h.replaceTemplate(ctx, template)
	}},
	{name: "a restore", moved: true, act: func(ctx context.Context, h *history) error {
		return h.create(ctx, h.pinned(h.old))
	}},
	{name: "a create after the content came back", deletion: true, act: func(ctx context.Context, h *history) error {
		if err := h.edit(ctx, blue); err != nil {
			return err
		}
		return h.create(ctx, deployment(h.namespace, h.name, h.name))
	}},
}

// replaceTemplate sends the patch that `kubectl rollout undo` sends
// (k8s.io/kubectl/pkg/polymorphichelpers/rollback.go, getDeploymentPatch).
func (h *history) replaceTemplate(ctx context.Context, template corev1.PodTemplateSpec) error {
	patch, err := json.Marshal([]map[string]any{{"op": "replace", "path": "/spec/template", "value": template}})
	if err != nil {
		return err
	}
	return h.patch(ctx, types.JSONPatchType, patch)
}

// race prepares a rival for a race in a history.
func (r rival) race(t *testing.T, h *history, stop int) *side {
	t.Helper()
	g := newGate()
	g.arm(stop)
	t.Cleanup(g.open) // or who failed to finish would stay
	t.Cleanup(h.webhook.guard(types.NamespacedName{Namespace: h.namespace, Name: h.name}, g))
	ctx := t.Context()
	return &side{gate: g, act: func() error { return r.act(ctx, h) }}
}

// denial is what an undo is told that comes too late.
func (h *history) denial() string {
	return fmt.Sprintf("admission webhook \"workload.configpin.io\" denied the request: "+
		"deployment/%s can't be rolled back to %s: there is no such snapshot of configmap/%s any more. "+
		"Choose another revision (kubectl rollout history deployment/%s), or apply a template that names %q to use what it holds now.",
		h.name, h.old, h.name, h.name, h.name)
}

// check looks at what is there when everybody is through, and all that may be
// collected was.
func (r rival) check(t *testing.T, h *history, err error) {
	t.Helper()
	assert.Empty(t, h.dangling(t), "references that lead to nothing")
	named := ""
	switch {
	case err == nil:
		named = namedIn(h.workload(t).Spec.Template)
		if !r.moved || named != h.current {
			assert.Equal(t, h.old, named)
		}
	case r.refused && apierrors.IsForbidden(err):
		assert.Equal(t, h.denial(), err.Error())
	default:
		assert.NoError(t, err)
	}
	if named != h.old {
		assert.Nil(t, h.snapshot(t, h.old), "nothing names it, so it is gone")
		return
	}
	assert.False(t, h.marked(t), "it is named, so it isn't marked")
}
