package sabotage

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/wellknown"
)

// stage is a namespace whose name says what goes wrong in it.
type stage struct {
	*lab
	name  string
	edits int
	read  int64 // bytes of the audit log

	before []string        // its state when configpin had no business there yet
	seen   map[string]bool // names of snapshots that were there once
}

func namespace(name string) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
}

// stage has the sources app and extra, a Secret db, and a workload that uses app.
// Whatever the versioner does is asked for again and again by stir.
func (l *lab) stage(t *testing.T, name string) *stage {
	t.Helper()
	s := &stage{lab: l, name: name, seen: map[string]bool{}}
	_, err := l.api.CoreV1().Namespaces().Create(t.Context(), namespace(name), metav1.CreateOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { // what is left would have to be looked through for what others wait for
		assert.NoError(t, l.api.CoreV1().Namespaces().Delete(context.WithoutCancel(t.Context()), name, metav1.DeleteOptions{}))
	})
	for _, source := range []string{"app", "extra"} {
		_, err := l.api.CoreV1().ConfigMaps(name).Create(t.Context(), &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{
				Name:        source,
				Annotations: map[string]string{wellknown.HistoryLimit: "0"},
			},
			Data: map[string]string{"colour": "0"},
		}, metav1.CreateOptions{})
		require.NoError(t, err)
	}
	_, err = l.api.CoreV1().Secrets(name).Create(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "db", Annotations: map[string]string{wellknown.HistoryLimit: "0"}},
		StringData: map[string]string{"colour": "0"},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	s.deploy(t)
	s.before = s.state(t)
	patch := []byte(`{"metadata":{"annotations":{"configpin.io/versioned":"true"}}}`)
	for _, source := range []string{"app", "extra"} {
		_, err := l.api.CoreV1().ConfigMaps(name).Patch(t.Context(), source, types.MergePatchType, patch, metav1.PatchOptions{})
		assert.NoError(t, err)
	}
	_, err = l.api.CoreV1().Secrets(name).Patch(t.Context(), "db", types.MergePatchType, patch, metav1.PatchOptions{})
	assert.NoError(t, err)
	return s
}

// deploy creates the workload that the sabotage is about.
func (s *stage) deploy(t *testing.T) {
	t.Helper()
	var err error
	d := web()
	switch {
	case strings.HasPrefix(s.name, "touch-statefulset-"):
		useEverything(&d.Spec.Template.Spec)
		_, err = s.api.AppsV1().StatefulSets(s.name).Create(t.Context(), &appsv1.StatefulSet{
			ObjectMeta: d.ObjectMeta,
			Spec:       appsv1.StatefulSetSpec{Selector: d.Spec.Selector, Template: d.Spec.Template},
		}, metav1.CreateOptions{})
	case strings.HasPrefix(s.name, "touch-cronjob-"):
		d.Spec.Template.Spec.RestartPolicy = corev1.RestartPolicyNever
		_, err = s.api.BatchV1().CronJobs(s.name).Create(t.Context(), &batchv1.CronJob{
			ObjectMeta: d.ObjectMeta,
			Spec: batchv1.CronJobSpec{
				Schedule:    "0 0 29 2 *",
				JobTemplate: batchv1.JobTemplateSpec{Spec: batchv1.JobSpec{Template: d.Spec.Template}},
			},
		}, metav1.CreateOptions{})
	default:
		_, err = s.api.AppsV1().Deployments(s.name).Create(t.Context(), d, metav1.CreateOptions{})
	}
	require.NoError(t, err)
}

// useEverything adds what the Deployment web hasn't: an initContainer, all other kinds of
// refs, and a volume of nothing.
func useEverything(spec *corev1.PodSpec) {
	app, db := corev1.LocalObjectReference{Name: "app"}, corev1.LocalObjectReference{Name: "db"}
	first := &spec.Containers[0]
	first.Env = append(first.Env, corev1.EnvVar{Name: "PASSWORD", ValueFrom: &corev1.EnvVarSource{
		SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: db, Key: "colour"},
	}})
	first.EnvFrom = []corev1.EnvFromSource{
		{Prefix: "APP_", ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: app}},
		{Prefix: "DB_", SecretRef: &corev1.SecretEnvSource{LocalObjectReference: db}},
	}
	init := *first.DeepCopy()
	init.Name, init.VolumeMounts = "first", nil
	spec.InitContainers = []corev1.Container{init}
	spec.Volumes = append(spec.Volumes,
		corev1.Volume{Name: "db", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "db"}}},
		corev1.Volume{Name: "all", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
			{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: app}},
			{Secret: &corev1.SecretProjection{LocalObjectReference: db}},
		}}}},
		corev1.Volume{Name: "nothing", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{}}},
	)
}

// web refers to app in each way that a sabotage is about.
func web() *appsv1.Deployment {
	labels := map[string]string{"app": "web"}
	app := corev1.LocalObjectReference{Name: "app"}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "web", Labels: map[string]string{wellknown.Enabled: wellknown.True}},
		Spec: appsv1.DeploymentSpec{
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec: corev1.PodSpec{
					Volumes: []corev1.Volume{{Name: "app", VolumeSource: corev1.VolumeSource{
						ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: app},
					}}},
					Containers: []corev1.Container{{
						Name:  "app",
						Image: "example.com/app:1",
						Env: []corev1.EnvVar{
							{Name: "PLAIN", Value: "plain"},
							{Name: "COLOUR", ValueFrom: &corev1.EnvVarSource{
								ConfigMapKeyRef: &corev1.ConfigMapKeySelector{LocalObjectReference: app, Key: "colour"},
							}},
						},
						VolumeMounts: []corev1.VolumeMount{{Name: "app", MountPath: "/etc/app"}},
					}},
				},
			},
		},
	}
}

// stir edits the sources, if they are there.
func (s *stage) stir(t *testing.T) {
	t.Helper()
	s.edits++
	patch := []byte(`{"data":{"colour":"` + strconv.Itoa(s.edits) + `"}}`)
	for _, source := range []string{"app", "extra"} {
		_, _ = s.api.CoreV1().ConfigMaps(s.name).Patch(t.Context(), source, types.MergePatchType, patch, metav1.PatchOptions{}) // sabotage may have deleted it
	}
	patch = []byte(`{"stringData":{"colour":"` + strconv.Itoa(s.edits) + `"}}`)
	_, _ = s.api.CoreV1().Secrets(s.name).Patch(t.Context(), "db", types.MergePatchType, patch, metav1.PatchOptions{})
}

// until stirs until something is so.
func (s *stage) until(t *testing.T, what string, is func() bool) {
	t.Helper()
	const (
		patience = 3 * time.Minute // on a machine that does something else too
		looks    = 4               // between two edits
	)
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	again := time.NewTicker(250 * time.Millisecond)
	defer again.Stop()
	for look := 0; ; look++ {
		if look%looks == 0 {
			s.stir(t)
		}
		if is() {
			return
		}
		select {
		case <-again.C:
		case <-deadline.C:
			require.FailNow(t, "waited in vain until "+what)
		}
	}
}

// snapshotName is that of any snapshot of a stage.
var snapshotName = regexp.MustCompile(`\b(app|extra|db)-[0-9a-v]{12}`)

// untilRefused returns what the policy said.
func (s *stage) untilRefused(t *testing.T) string {
	t.Helper()
	message := ""
	s.until(t, "a request of ours is refused", func() bool {
		for _, a := range s.news(t) {
			if a.refused() {
				_, message, _ = strings.Cut(a.ResponseStatus.Message, denied)
			}
		}
		return message != ""
	})
	return snapshotName.ReplaceAllString(message, "SNAPSHOT")
}

func (s *stage) untilGranted(t *testing.T, resource, subresource string) {
	t.Helper()
	s.until(t, "a request of ours is granted that never should be", func() bool {
		return slices.ContainsFunc(s.news(t), func(a answer) bool {
			return a.ObjectRef.Resource == resource && a.ObjectRef.Subresource == subresource && a.ResponseStatus.Code < 300
		})
	})
}

func (s *stage) untilHarmed(t *testing.T) {
	t.Helper()
	s.until(t, "something has changed that configpin has no business with", func() bool {
		return !slices.Equal(s.before, s.state(t))
	})
}

var pinnedName = regexp.MustCompile(`"(app|db)-[0-9a-v]{12}"`)

// state is all in the namespace that configpin should leave as it is, and
// everything that is wrong with what is its own. It is the same after anything
// that configpin may do.
func (s *stage) state(t *testing.T) []string {
	t.Helper()
	var found []string
	deployments, err := s.api.AppsV1().Deployments(s.name).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	for i := range deployments.Items {
		d := &deployments.Items[i]
		found = append(found, stateOfWorkload(t, &d.ObjectMeta, &d.Spec.Template, &d.Spec, d.Status.Conditions))
	}
	statefulSets, err := s.api.AppsV1().StatefulSets(s.name).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	for i := range statefulSets.Items {
		set := &statefulSets.Items[i]
		found = append(found, stateOfWorkload(t, &set.ObjectMeta, &set.Spec.Template, &set.Spec, nil))
	}
	cronJobs, err := s.api.BatchV1().CronJobs(s.name).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	for i := range cronJobs.Items {
		c := &cronJobs.Items[i]
		found = append(found, stateOfWorkload(t, &c.ObjectMeta, &c.Spec.JobTemplate.Spec.Template, &c.Spec, nil))
	}
	secrets, err := s.api.CoreV1().Secrets(s.name).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	for _, secret := range secrets.Items {
		if secret.Labels[wellknown.SnapshotOf] != "db" {
			found = append(found, "Secret "+secret.Name)
		}
	}
	leases, err := s.api.CoordinationV1().Leases(s.name).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	for _, lease := range leases.Items {
		found = append(found, "Lease "+lease.Name)
	}
	roles, err := s.api.RbacV1().Roles(s.name).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	for _, role := range roles.Items {
		found = append(found, "Role "+role.Name)
	}
	return append(found, s.stateOfConfigMaps(t)...)
}

// stateOfWorkload takes what configpin may write off the template, which is part of
// the spec.
func stateOfWorkload(t *testing.T, meta *metav1.ObjectMeta, template *corev1.PodTemplateSpec, spec any, conditions []appsv1.DeploymentCondition) string {
	t.Helper()
	labels, annotations := map[string]string{}, map[string]string{}
	for key, value := range meta.Labels {
		if !strings.HasPrefix(key, wellknown.ObservedPrefix) {
			labels[key] = value
		}
	}
	for key, value := range meta.Annotations {
		if key != "deployment.kubernetes.io/revision" { // its controller counts
			annotations[key] = value
		}
	}
	delete(template.Annotations, wellknown.Pins)
	if len(template.Annotations) == 0 {
		template.Annotations = nil
	}
	sabotaged := slices.ContainsFunc(conditions, func(c appsv1.DeploymentCondition) bool { return c.Type == "Sabotaged" })
	text, err := json.Marshal([]any{meta.Name, meta.UID, labels, annotations, meta.OwnerReferences, sabotaged, spec})
	require.NoError(t, err)
	return pinnedName.ReplaceAllString(string(text), `"$1"`)
}

func (s *stage) stateOfConfigMaps(t *testing.T) []string {
	t.Helper()
	all, err := s.api.CoreV1().ConfigMaps(s.name).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	var found []string
	there := map[string]bool{}
	for i := range all.Items {
		c := &all.Items[i]
		there[c.Name] = true
		switch {
		case c.Name == "kube-root-ca.crt": // comes when it likes
		case c.Name == "app", c.Name == "extra":
			_, edited := c.Data["sabotaged"]
			delete(c.Annotations, wellknown.Versioned)
			found = append(found, fmt.Sprint("source ", c.Name, " ", c.UID, c.Labels, c.Annotations, c.OwnerReferences, edited))
		case odd(c):
			found = append(found, "odd "+c.Name)
		default:
			s.seen[c.Name] = true
		}
	}
	for name := range s.seen {
		if !there[name] { // the grace period is longer than this test
			found = append(found, "gone "+name)
		}
	}
	slices.Sort(found)
	return found
}

// odd says whether a ConfigMap isn't a snapshot as configpin makes it.
func odd(c *corev1.ConfigMap) bool {
	_, digest, verified := snapshot.Verified(snapshot.FromConfigMap(c))
	if !verified || digest != c.Annotations[wellknown.Digest] || len(c.Labels) != 1 || len(c.OwnerReferences) > 0 {
		return true
	}
	if revision, numbered := c.Annotations[wellknown.Revision]; numbered {
		if number, err := strconv.Atoi(revision); err != nil || number > 1000 {
			return true
		}
	}
	if mark, marked := c.Annotations[wellknown.UnusedSince]; marked {
		since, err := time.Parse(time.RFC3339, mark)
		return err != nil || time.Since(since) > time.Hour
	}
	return false
}

// largeIsPinned: an expression that is too costly for the API server refuses the
// touch.
func (l *lab) largeIsPinned(t *testing.T) {
	s := l.stage(t, "large")
	large := web()
	large.Name = "large"
	spec := &large.Spec.Template.Spec
	app := corev1.LocalObjectReference{Name: "app"}
	for i := range 30 {
		spec.Volumes = append(spec.Volumes, corev1.Volume{Name: fmt.Sprint("projected-", i), VolumeSource: corev1.VolumeSource{
			Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: app}}}},
		}})
	}
	useEverything(spec)
	first := spec.Containers[0]
	for i := range 100 {
		env := *first.Env[i%2].DeepCopy()
		env.Name = fmt.Sprint("VARIABLE_", i)
		first.Env = append(first.Env, env)
	}
	spec.Containers = nil
	for i := range 20 {
		container := first.DeepCopy()
		container.Name = fmt.Sprint("app-", i)
		spec.Containers = append(spec.Containers, *container)
	}
	_, err := l.api.AppsV1().Deployments(s.name).Create(t.Context(), large, metav1.CreateOptions{})
	require.NoError(t, err)
	pins := map[string]bool{}
	s.until(t, "each source is pinned again", func() bool {
		stored, err := l.api.AppsV1().Deployments(s.name).Get(t.Context(), large.Name, metav1.GetOptions{})
		require.NoError(t, err)
		for pin := range strings.SplitSeq(stored.Spec.Template.Annotations[wellknown.Pins], ",") {
			pins[pin] = true
		}
		const each = 3 // before, after, and whatever is on the way
		apps, dbs := 0, 0
		for pin := range pins {
			if strings.HasPrefix(pin, "configmap/app=") {
				apps++
			}
			if strings.HasPrefix(pin, "secret/db=") {
				dbs++
			}
		}
		return apps >= each && dbs >= each
	})
	for _, a := range s.news(t) {
		assert.False(t, a.refused(), a.ResponseStatus.Message)
	}
}
