package admission_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/semaphore"
	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/configpin/configpin/internal/admission"
	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/cluster/live"
	"github.com/configpin/configpin/internal/hashing"
	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/wellknown"
	"github.com/configpin/configpin/internal/workload"
)

// history keeps what a test says.
type history func(context.Context) ([]string, error)

func (f history) Templates(ctx context.Context, _ *workload.Kind, _, _ string) ([]string, error) {
	return f(ctx)
}

// TestAnUndoOfAnImage is told by the templates that the workload had. Where they can't
// be read, or not in time, the template counts as new: nobody fails for it.
func TestAnUndoOfAnImage(t *testing.T) {
	source := func(colour string) snapshot.Object {
		return snapshot.Object{
			Kind: wellknown.ConfigMap, Namespace: "shop", Name: "app",
			Annotations: map[string]string{wellknown.Versioned: wellknown.True}, Data: map[string]string{"colour": colour},
		}
	}
	blue := snapshot.Of(source("blue"), 12)
	template := func(image string) string {
		return fmt.Sprintf(`{"metadata": {"annotations": {"configpin.io/pins": "configmap/app=%s"}}, "spec": {"containers": [
			{"name": "web", "image": %q, "envFrom": [{"configMapRef": {"name": %q}}]}]}}`, blue.Name, image, blue.Name)
	}
	deployment := func(image string) runtime.RawExtension {
		return runtime.RawExtension{Raw: fmt.Appendf(nil, `{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "labels": {
			"configpin.io/enabled": "true", "observed.configpin.io/configmap.app": %q}}, "spec": {"template": %s}}`, snapshot.Suffix(blue.Name), template(image))}
	}
	for name, test := range map[string]struct {
		kept []string
		err  error
		slow bool
		want string
	}{
		"a template that it had":       {kept: []string{template("v2"), template("v1")}, want: "RolledBack"},
		"one that it didn't have":      {kept: []string{template("v2")}, want: "Touched"},
		"nobody knows which there are": {err: errors.New("no"), want: "Touched"},
		"nobody answers":               {slow: true, want: "Touched"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client := fake.NewClientset(source("green").ConfigMap(), blue.ConfigMap()) // whose current snapshot is to be made
				objects := cluster.NewObjects(client.CoreV1(), cluster.Scope{Namespaces: cluster.Everywhere}, func() *hashing.Key { return nil })
				handler := admission.Handler{
					Objects: live.NewViews(objects),
					History: history(func(ctx context.Context) ([]string, error) {
						if test.slow {
							<-ctx.Done()
							return nil, ctx.Err()
						}
						return test.kept, test.err
					}),
					Slots: semaphore.NewWeighted(1),
				}
				response := post(t, handler.Mux(), admission.PathWorkload, admissionv1.AdmissionRequest{
					UID: "1", Namespace: "shop", Operation: admissionv1.Update,
					Kind:   metav1.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"},
					Object: deployment("v1"), OldObject: deployment("v2"),
				})
				assert.Contains(t, response.AuditAnnotations["decision"], "("+test.want+")")
				var operations []struct{ Path string }
				require.NoError(t, json.Unmarshal(response.Patch, &operations))
				paths := []string{}
				for _, operation := range operations {
					paths = append(paths, operation.Path)
				}
				const name = "/spec/template/spec/containers/0/envFrom/0/configMapRef/name"
				assert.Equal(t, test.want != "RolledBack", assert.ObjectsAreEqual(paths[0], name), "%v", paths)
			})
		})
	}
}
