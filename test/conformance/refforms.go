package conformance

import (
	"strings"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/configpin/configpin/internal/wellknown"
)

// refForms are about where a template names its sources.
var refForms = []scenario{
	{"every form of ref is pinned, in a Deployment", everyForm("Deployment")},
	{"every form of ref is pinned, in a StatefulSet", everyForm("StatefulSet")},
	{"every form of ref is pinned, in a DaemonSet", everyForm("DaemonSet")},
	{"every form of ref is pinned, in a CronJob", everyForm("CronJob")},
	{"every form of ref is pinned, in a Job", everyForm("Job")},
}

// everyRef uses the sources app and extra in each way that there is, and the Secret
// credentials, which is one as well. Its names are in the order of refsOf.
func everyRef(spec *corev1.PodSpec) {
	app, extra := corev1.LocalObjectReference{Name: "app"}, corev1.LocalObjectReference{Name: "extra"}
	secret, nothing := corev1.LocalObjectReference{Name: "credentials"}, corev1.LocalObjectReference{Name: "nothing"}
	items := []corev1.KeyToPath{{Key: colour, Path: "deep/colour", Mode: ptr.To[int32](0o440)}}
	variables := []corev1.EnvVar{
		{Name: "PLAIN", Value: "app"},
		{Name: "COLOUR", ValueFrom: &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{LocalObjectReference: app, Key: colour}}},
		{Name: "OPTIONAL", ValueFrom: &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{LocalObjectReference: extra, Key: "none", Optional: ptr.To(true)}}},
		{Name: "PASSWORD", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: secret, Key: "password"}}},
		{Name: "NODE", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "spec.nodeName"}}},
	}
	from := []corev1.EnvFromSource{
		{Prefix: "APP_", ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: app}},
		{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: nothing, Optional: ptr.To(true)}},
		{Prefix: "APP_", SecretRef: &corev1.SecretEnvSource{LocalObjectReference: secret}},
	}
	spec.InitContainers = []corev1.Container{
		{Name: "first", Image: image, Env: variables, EnvFrom: from},
		{Name: "sidecar", Image: image, Env: variables, EnvFrom: from, RestartPolicy: ptr.To(corev1.ContainerRestartPolicyAlways)},
	}
	spec.Containers = []corev1.Container{
		{Name: "app", Image: image, Env: variables, EnvFrom: from, VolumeMounts: []corev1.VolumeMount{{Name: "app", MountPath: "/app"}}},
		{Name: "extra", Image: image, Env: variables, EnvFrom: from},
	}
	spec.Volumes = []corev1.Volume{
		{Name: "app", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: app, Items: items, DefaultMode: ptr.To[int32](0o400)}}},
		{Name: "optional", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: extra, Optional: ptr.To(true)}}},
		{Name: "secret", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "credentials"}}},
		{Name: "projected", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
			{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: app, Items: items}},
			{Secret: &corev1.SecretProjection{LocalObjectReference: secret}},
			{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: extra, Optional: ptr.To(true)}},
			{DownwardAPI: &corev1.DownwardAPIProjection{Items: []corev1.DownwardAPIVolumeFile{{Path: "labels", FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.labels"}}}}},
			{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token"}},
		}}}},
		{Name: "scratch", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
	}
	spec.ImagePullSecrets = []corev1.LocalObjectReference{app}
}

func everyForm(kind string) func(*space) {
	return func(s *space) {
		s.source("app", "blue")
		s.source("extra", "grey")
		credentials := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "credentials"}, StringData: map[string]string{"password": "secret"}}
		metav1.SetMetaDataAnnotation(&credentials.ObjectMeta, wellknown.Versioned, wellknown.True)
		s.create(credentials)

		written := optedIn(s.t, kind, "web", everyRef)
		web := s.deploy(kind, "web", everyRef)
		blue, grey := s.showing(web, "app", "blue"), s.showing(web, "extra", "grey")
		expect := func(app string) string {
			names := strings.NewReplacer("configmap/app", "configmap/"+app, "configmap/extra", "configmap/"+grey, "secret/credentials", "secret/"+s.pin(web, "credentials"))
			return names.Replace(describe(refsOf(templateOf(s.t, written).Spec)))
		}
		require.Len(s.t, refsOf(templateOf(s.t, written).Spec), 30)
		assert.Equal(s.t, expect(blue), describe(refsOf(templateOf(s.t, s.get(web)).Spec)))

		s.edit("app", "green")
		if kind == "Job" {
			s.pass()
			assert.Equal(s.t, expect(blue), describe(refsOf(templateOf(s.t, s.get(web)).Spec)))
			return
		}
		green := s.showing(web, "app", "green")
		assert.Equal(s.t, expect(green), describe(refsOf(templateOf(s.t, s.get(web)).Spec)))
		s.sameButNames(written, s.get(web))
	}
}
