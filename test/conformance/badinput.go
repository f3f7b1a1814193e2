package conformance

import (
	"strconv"
	"strings"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/configpin/configpin/internal/wellknown"
)

// badInput is about what can't be understood, and what can't be done.
var badInput = []scenario{
	{"enabled that is neither true nor false leaves the workload alone", wrongSwitch(wrong{
		label: wellknown.Enabled, value: "yes",
		warning: `label configpin.io/enabled: "yes" is not one of its values: "true" or "false"`,
	})},
	{"rollout that nobody understands is pinned when it is deployed", wrongSwitch(wrong{
		label: wellknown.Rollout, value: "sometimes", pinned: true,
		warning: `label configpin.io/rollout: "sometimes" is not one of its values: "manual"`,
	})},
	{"resume that isn't true is as if it wasn't there", wrongSwitch(wrong{
		label: wellknown.Resume, value: "now", pinned: true,
		warning: `label configpin.io/resume: "now" is not one of its values: "true"`,
	})},
	{"exclude that names no source excludes nothing", wrongSwitch(wrong{
		annotation: wellknown.Exclude, value: "everything", pinned: true,
		warning: `annotation configpin.io/exclude: "everything" is not of the form configmap/NAME or secret/NAME`,
	})},
	{"versioned that is neither true nor false keeps nothing", wrongSource},
	{"a quota that is full keeps workloads as they are, and they catch up", quotaFull},
}

// wrong is a value that nobody understands, and what comes of it.
type wrong struct {
	label, annotation string
	value, warning    string
	pinned            bool
}

func wrongSwitch(w wrong) func(*space) {
	return func(s *space) {
		s.source("app", "blue")
		web := optedIn(s.t, "Deployment", "web", envFrom("app"))
		if w.label != "" {
			labels := web.GetLabels()
			labels[w.label] = w.value
			web.SetLabels(labels)
		} else {
			annotate(s, web, w.annotation, w.value)
		}
		want := []string{w.warning}
		said := s.apply(web)
		stored := s.get(web)
		s.sameButNames(web, stored)
		if name := s.pin(web, "app"); w.pinned {
			want = append(want, "configmap/app: pinned to "+name)
		} else {
			assert.Empty(s.t, name)
			assert.Equal(s.t, web.GetLabels(), stored.GetLabels())
		}
		assert.Equal(s.t, want, said.warnings())
		s.pass()
		assert.Zero(s.t, s.rollouts(web))
	}
}

func wrongSource(s *space) {
	source := configMap("app", map[string]string{colour: "blue"})
	source.Annotations = map[string]string{wellknown.Versioned: "yes"}
	s.create(source)
	s.event("app", wellknown.ReasonInvalidValue, `Annotation configpin.io/versioned is "yes", not "true" or "false": nothing is kept`)
	web := optedIn(s.t, "Deployment", "web", envFrom("app"))
	said := s.apply(web)
	assert.Equal(s.t, []string{`configmap/app: annotation configpin.io/versioned is "yes", not "true" or "false"`}, said.warnings())
	assert.Equal(s.t, "configmap/app", describe(refsOf(templateOf(s.t, s.get(web)).Spec)))
	s.pass()
	assert.Empty(s.t, s.snapshots())
	assert.Zero(s.t, s.rollouts(web))
}

func quotaFull(s *space) {
	s.source("app", "blue")
	web := s.deploy("Deployment", "web", envFrom("app"))
	blue := s.showing(web, "app", "blue")
	s.eventually("blue is numbered", func() (string, bool) { return "", s.numbers()[blue] != "" })
	s.create(configMap("extra", map[string]string{colour: "grey"}))
	s.fill()
	s.kubectl("annotate", "configmap/extra", "configpin.io/versioned=true")
	s.eventBeginning("extra", wellknown.ReasonSnapshotFailed, "Nothing is pinned to what it holds now: ")
	s.edit("app", "green")
	s.eventBeginning("app", wellknown.ReasonSnapshotFailed, "Nothing is pinned to what it holds now: ")

	late := optedIn(s.t, "Deployment", "late", envFrom("extra"))
	s.warned(s.apply(late), "configmap/extra: no snapshot can be made, so it is not pinned: ")
	assert.Equal(s.t, "configmap/extra", describe(refsOf(templateOf(s.t, s.get(late)).Spec)))
	s.warned(s.kubectl("set", "env", "deployment/web", "A=B"), "configmap/app: no snapshot can be made; "+blue+" is kept: ")
	assert.Equal(s.t, blue, s.pin(web, "app"))

	s.remove(&corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "full"}})
	// The versioner tries again by itself, within a minute. Whoever writes the
	// source needn't wait.
	s.kubectl("annotate", "configmap", "app", "extra", "team=shop")
	s.showing(web, "app", "green")
	s.showing(late, "extra", "grey")
	s.pass()
	assert.Equal(s.t, 1, s.rollouts(late))
}

// fill limits the namespace to the ConfigMaps that it has.
func (s *space) fill() {
	s.t.Helper()
	s.eventually("the ConfigMap that each namespace gets", func() (string, bool) {
		return "it isn't there", s.configMaps().named["kube-root-ca.crt"] != nil
	})
	const counted = corev1.ResourceName("count/configmaps")
	hard := resource.MustParse(strconv.Itoa(len(list[corev1.ConfigMapList](s).Items)))
	s.create(&corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Name: "full"},
		Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{counted: hard}},
	})
	s.eventually("the quota is in force", func() (string, bool) {
		for _, found := range list[corev1.ResourceQuotaList](s).Items {
			used := found.Status.Used[counted]
			return pretty(s, found.Status), used.Cmp(hard) == 0
		}
		return "no quota", false
	})
}

// warned checks for a warning that begins like this, and ends in what the API
// server said.
func (s *space) warned(said said, begin string) {
	s.t.Helper()
	warnings := said.warnings()
	require.Len(s.t, warnings, 1)
	assert.True(s.t, strings.HasPrefix(warnings[0], begin), "got %q, want it to begin with %q", warnings[0], begin)
	assert.LessOrEqual(s.t, len(warnings[0]), 120)
}
