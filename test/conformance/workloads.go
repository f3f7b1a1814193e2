package conformance

import (
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/configpin/configpin/internal/wellknown"
	"github.com/configpin/configpin/internal/workload"
)

// use makes a Pod use a source in one way.
type use func(*corev1.PodSpec)

// envFrom takes all keys of a ConfigMap as variables.
func envFrom(source string) use {
	return func(spec *corev1.PodSpec) {
		c := &spec.Containers[0]
		c.EnvFrom = append(c.EnvFrom, corev1.EnvFromSource{
			ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: source}},
		})
	}
}

// volume mounts a ConfigMap.
func volume(source string) use {
	return func(spec *corev1.PodSpec) {
		name := "volume-" + strconv.Itoa(len(spec.Volumes))
		spec.Volumes = append(spec.Volumes, corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{
			ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: source}},
		}})
		c := &spec.Containers[0]
		c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: name, MountPath: "/etc/" + name})
	}
}

// projectedNothing is a volume that is of no use. Once stored, its list of sources is null,
// not empty.
func projectedNothing(spec *corev1.PodSpec) {
	spec.Volumes = append(spec.Volumes, corev1.Volume{Name: "nothing", VolumeSource: corev1.VolumeSource{
		Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{}},
	}})
}

// secretVolume mounts a Secret.
func secretVolume(name string) use {
	return func(spec *corev1.PodSpec) {
		spec.Volumes = append(spec.Volumes, corev1.Volume{Name: "secret", VolumeSource: corev1.VolumeSource{
			Secret: &corev1.SecretVolumeSource{SecretName: name},
		}})
	}
}

// colourEnv takes the colour of app as a variable.
func colourEnv(spec *corev1.PodSpec) {
	c := &spec.Containers[0]
	c.Env = append(c.Env, corev1.EnvVar{Name: "COLOUR", ValueFrom: &corev1.EnvVarSource{
		ConfigMapKeyRef: &corev1.ConfigMapKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: "app"}, Key: colour},
	}})
}

// plainWorkload is a manifest of a workload as people write it, without opt-in.
func plainWorkload(t *testing.T, kind, name string, uses ...use) *unstructured.Unstructured {
	t.Helper()
	template := corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{app: name}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: image}}},
	}
	for _, u := range uses {
		u(&template.Spec)
	}
	spec := map[string]any{}
	selector := map[string]any{"matchLabels": map[string]any{app: name}}
	switch kind {
	case "Deployment":
		spec["replicas"], spec["selector"] = int64(1), selector
	case "StatefulSet":
		spec["replicas"], spec["selector"], spec["serviceName"] = int64(1), selector, name
	case "DaemonSet":
		spec["selector"] = selector
	case "CronJob":
		spec["schedule"] = "0 0 1 1 *"
		template.Spec.RestartPolicy = corev1.RestartPolicyNever
	case "Job":
		template.Spec.RestartPolicy = corev1.RestartPolicyNever
	}
	served := servedKind(t, kind)
	content := toUnstructured(t, &template)
	unstructured.RemoveNestedField(content, "metadata", "creationTimestamp")
	object := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": schema.GroupVersion{Group: served.Group, Version: served.Version}.String(),
		"kind":       kind,
		"metadata":   map[string]any{"name": name},
		"spec":       spec,
	}}
	require.NoError(t, unstructured.SetNestedMap(object.Object, content, served.Path...))
	return object
}

// optedIn is plainWorkload with the label that opts in.
func optedIn(t *testing.T, kind, name string, uses ...use) *unstructured.Unstructured {
	t.Helper()
	object := plainWorkload(t, kind, name, uses...)
	object.SetLabels(map[string]string{wellknown.Enabled: wellknown.True})
	return object
}

func servedKind(t *testing.T, kind string) *workload.Kind {
	t.Helper()
	for _, k := range workload.Kinds {
		if k.Kind == kind {
			return k
		}
	}
	require.FailNow(t, kind+" is not a kind of workload that is served")
	return nil
}

func templatePath(t *testing.T, of *unstructured.Unstructured) []string {
	t.Helper()
	return servedKind(t, of.GetKind()).Path
}

// templateOf decodes the template of a workload.
func templateOf(t *testing.T, of *unstructured.Unstructured) corev1.PodTemplateSpec {
	t.Helper()
	content, _, err := unstructured.NestedMap(of.Object, templatePath(t, of)...)
	require.NoError(t, err)
	var template corev1.PodTemplateSpec
	require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructured(content, &template))
	return template
}

// deploy creates a workload that must be pinned, and checks that nothing of its
// template differs from what was written but names of refs and our annotation.
func (s *space) deploy(kind, name string, uses ...use) *unstructured.Unstructured {
	s.t.Helper()
	object := optedIn(s.t, kind, name, uses...)
	s.deployed(object)
	return object
}

func (s *space) deployed(object *unstructured.Unstructured) {
	s.t.Helper()
	s.inKind(object)
	written := object.DeepCopy()
	s.create(object.DeepCopy())
	s.sameButNames(written, s.get(object))
}

// revision is a ReplicaSet or a ControllerRevision.
type revision struct {
	name     string
	number   int64
	template corev1.PodTemplateSpec
}

// text is the number as kubectl takes it.
func (r revision) text() string { return strconv.FormatInt(r.number, 10) }

// revisionAnnotation is what the Deployment controller numbers ReplicaSets by.
const revisionAnnotation = "deployment.kubernetes.io/revision"

// revisions returns what a controller keeps of a workload's templates, the
// newest last.
func (s *space) revisions(of *unstructured.Unstructured) []revision {
	s.t.Helper()
	owner := s.get(of).GetUID()
	var found []revision
	if of.GetKind() == "Deployment" {
		for _, set := range list[appsv1.ReplicaSetList](s).Items {
			if metav1.IsControlledBy(&set, &metav1.ObjectMeta{UID: owner}) {
				number, _ := strconv.ParseInt(set.Annotations[revisionAnnotation], 10, 64) // absent for a moment
				found = append(found, revision{set.Name, number, set.Spec.Template})
			}
		}
	} else {
		for _, kept := range list[appsv1.ControllerRevisionList](s).Items {
			if metav1.IsControlledBy(&kept, &metav1.ObjectMeta{UID: owner}) {
				found = append(found, revision{kept.Name, kept.Revision, templateInRevision(s.t, kept)})
			}
		}
	}
	sortRevisions(found)
	return found
}

// rolledOut waits until a workload's controller has made count revisions of its
// templates, in all, and the newest is the template that is stored.
func (s *space) rolledOut(of *unstructured.Unstructured, count int) []revision {
	s.t.Helper()
	var found []revision
	s.eventually(strconv.Itoa(count)+" revisions of "+of.GetName()+", the newest of its template", func() (string, bool) {
		found = s.revisions(of)
		if len(found) == 0 {
			return "none", false
		}
		newest, stored := refsOf(found[len(found)-1].template.Spec), refsOf(templateOf(s.t, s.get(of)).Spec)
		return strconv.Itoa(len(found)) + ", the newest with " + describe(newest) + ", the template with " + describe(stored),
			len(found) == count && describe(newest) == describe(stored)
	})
	return found
}

// becomesGreen waits until a workload has rolled out what app holds, and then has
// it roll out green.
func (s *space) becomesGreen(of *unstructured.Unstructured) {
	s.t.Helper()
	s.rolledOut(of, 1)
	s.edit("app", "green")
	s.showing(of, "app", "green")
	s.rolledOut(of, 2)
}

func (s *space) undo(of *unstructured.Unstructured, flags ...string) said {
	s.t.Helper()
	return s.kubectl(append([]string{"rollout", "undo", resourceArgument(of)}, flags...)...)
}

func resourceArgument(of *unstructured.Unstructured) string {
	return kindArgument(of) + "/" + of.GetName()
}

func kindArgument(of *unstructured.Unstructured) string { return strings.ToLower(of.GetKind()) }
