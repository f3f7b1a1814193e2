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

// stage has two sources, app and extra, and a workload that uses app. Whatever the
// versioner does is asked for again and again by stir.
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
	_, err = l.api.AppsV1().Deployments(name).Create(t.Context(), web(), metav1.CreateOptions{})
	require.NoError(t, err)
	s.before = s.state(t)
	for _, source := range []string{"app", "extra"} {
		patch := []byte(`{"metadata":{"annotations":{"configpin.io/versioned":"true"}}}`)
		_, err := l.api.CoreV1().ConfigMaps(name).Patch(t.Context(), source, types.MergePatchType, patch, metav1.PatchOptions{})
		assert.NoError(t, err)
	}
	return s
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

// stir edits both sources, if they are there.
func (s *stage) stir(t *testing.T) {
	t.Helper()
	s.edits++
	patch := []byte(`{"data":{"colour":"` + strconv.Itoa(s.edits) + `"}}`)
	for _, source := range []string{"app", "extra"} {
		_, _ = s.api.CoreV1().ConfigMaps(s.name).Patch(t.Context(), source, types.MergePatchType, patch, metav1.PatchOptions{}) // sabotage may have deleted it
	}
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
var snapshotName = regexp.MustCompile(`\b(app|extra)-[0-9a-v]{12}`)

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

var pinnedName = regexp.MustCompile(`"app(-[0-9a-v]{12})?"`)

// state is all in the namespace that configpin should leave as it is, and
// everything that is wrong with what is its own. It is the same after anything
// that configpin may do.
func (s *stage) state(t *testing.T) []string {
	t.Helper()
	var found []string
	workloads, err := s.api.AppsV1().Deployments(s.name).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	for i := range workloads.Items {
		found = append(found, stateOfWorkload(t, &workloads.Items[i]))
	}
	secrets, err := s.api.CoreV1().Secrets(s.name).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	for _, secret := range secrets.Items {
		found = append(found, "Secret "+secret.Name)
	}
	roles, err := s.api.RbacV1().Roles(s.name).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	for _, role := range roles.Items {
		found = append(found, "Role "+role.Name)
	}
	return append(found, s.stateOfConfigMaps(t)...)
}

func stateOfWorkload(t *testing.T, stored *appsv1.Deployment) string {
	t.Helper()
	labels, annotations := map[string]string{}, map[string]string{}
	for key, value := range stored.Labels {
		if !strings.HasPrefix(key, wellknown.ObservedPrefix) {
			labels[key] = value
		}
	}
	for key, value := range stored.Annotations {
		if key != "deployment.kubernetes.io/revision" { // its controller counts
			annotations[key] = value
		}
	}
	spec := stored.Spec.DeepCopy()
	delete(spec.Template.Annotations, wellknown.Pins)
	if len(spec.Template.Annotations) == 0 {
		spec.Template.Annotations = nil
	}
	var conditions []string
	for _, condition := range stored.Status.Conditions {
		if condition.Type == "Sabotaged" {
			conditions = append(conditions, "Sabotaged")
		}
	}
	text, err := json.Marshal([]any{stored.Name, stored.UID, labels, annotations, stored.OwnerReferences, conditions, spec})
	require.NoError(t, err)
	return pinnedName.ReplaceAllString(string(text), `"app"`)
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
	before := ""
	s.until(t, "it is pinned again", func() bool {
		stored, err := l.api.AppsV1().Deployments(s.name).Get(t.Context(), large.Name, metav1.GetOptions{})
		require.NoError(t, err)
		pins := stored.Spec.Template.Annotations[wellknown.Pins]
		if before == "" {
			before = pins
		}
		return pins != before
	})
	for _, a := range s.news(t) {
		assert.False(t, a.refused(), a.ResponseStatus.Message)
	}
}
