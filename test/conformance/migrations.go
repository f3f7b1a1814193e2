package conformance

import (
	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// migrations are about those who apply client-side, and from some day on server-side:
// what leaves the manifest on that day has to leave the workload.
var migrations = []scenario{
	{"a ref that leaves the manifest on the move to server-side apply leaves the workload", leavesOnMove("--server-side")},
	{"a ref that leaves the manifest on the move to server-side apply leaves the workload: another manager", leavesOnMove("--server-side", "--field-manager=gitops")},
	{"a ref that leaves the manifest on the move to server-side apply, after an undo, leaves the workload", leavesOnMoveUndone},
	{"a ref that leaves the manifest on the move from helm 3 to helm 4 leaves the workload", leavesOnHelm(false)},
	{"a ref that leaves the manifest on the move from helm 3 to helm 4, after an undo, leaves the workload", leavesOnHelm(true)},
	{"a ref that leaves the manifest on the move to Flux leaves the workload", leavesOnFlux},
	{"a ref that leaves the manifest on the move after the opt-out leaves the workload", leavesAfterOptOut},
	{"a ref that somebody added by hand stays when others move to server-side apply", addedByHandStays},
}

// inLists uses a source in the lists that are owned as a whole.
func inLists(source string) use {
	return func(spec *corev1.PodSpec) {
		envFrom(source)(spec)
		spec.Volumes = append(spec.Volumes, corev1.Volume{Name: "listed", VolumeSource: corev1.VolumeSource{
			Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{{
				ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: corev1.LocalObjectReference{Name: source}},
			}}},
		}})
	}
}

// listed is a workload that has such lists, and one that has not: the volume is of
// another kind.
func (s *space) listed() (with, without *unstructured.Unstructured) {
	s.t.Helper()
	s.source("app", "blue")
	with = optedIn(s.t, "Deployment", "web", inLists("app"), colourEnv)
	without = optedIn(s.t, "Deployment", "web", colourEnv, func(spec *corev1.PodSpec) {
		spec.Volumes = []corev1.Volume{{Name: "listed", VolumeSource: corev1.VolumeSource{
			Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{{
				DownwardAPI: &corev1.DownwardAPIProjection{},
			}}},
		}}}
	})
	return with, without
}

func (s *space) hasLeft(web *unstructured.Unstructured) {
	s.t.Helper()
	spec := templateOf(s.t, s.get(web)).Spec
	assert.Empty(s.t, spec.Containers[0].EnvFrom)
	for _, v := range spec.Volumes {
		for _, from := range v.Projected.Sources {
			assert.Nil(s.t, from.ConfigMap)
		}
	}
}

func leavesOnMove(flags ...string) func(*space) {
	return func(s *space) {
		with, without := s.listed()
		s.apply(with)
		s.showing(with, "app", "blue")
		s.apply(without, flags...)
		s.hasLeft(without)
	}
}

func leavesOnMoveUndone(s *space) {
	with, without := s.listed()
	s.apply(with)
	s.showing(with, "app", "blue")
	s.becomesGreen(with)
	s.undo(with)
	assert.Empty(s.t, s.updaters(with))
	s.apply(with)
	s.apply(without, "--server-side")
	s.hasLeft(without)
}

func leavesOnHelm(undone bool) func(*space) {
	return func(s *space) {
		s.need(helm3)
		s.need(helm4)
		with, without := s.listed()
		helm3.run(s, []*unstructured.Unstructured{with})
		s.showing(with, "app", "blue")
		if undone {
			s.becomesGreen(with)
			s.undo(with)
		}
		helm4.run(s, []*unstructured.Unstructured{without}, "--server-side=true")
		s.hasLeft(without)
	}
}

func leavesOnFlux(s *space) {
	s.need(flux)
	with, without := s.listed()
	s.apply(with)
	s.showing(with, "app", "blue")
	flux.run(s, []*unstructured.Unstructured{without})
	s.hasLeft(without)
}

// leavesAfterOptOut is about what configpin leaves behind.
func leavesAfterOptOut(s *space) {
	with, without := s.listed()
	s.apply(with)
	s.showing(with, "app", "blue")
	with.SetLabels(nil)
	without.SetLabels(nil)
	s.kubectl("label", resourceArgument(with), "configpin.io/enabled-")
	s.apply(without, "--server-side")
	s.hasLeft(without)
}

// addedByHandStays is as it would be without us.
func addedByHandStays(s *space) {
	s.source("app", "blue")
	web := optedIn(s.t, "Deployment", "web", colourEnv)
	s.apply(web)
	s.showing(web, "app", "blue")
	s.kubectl("patch", resourceArgument(web), "--patch",
		`{"spec":{"template":{"spec":{"containers":[{"name":"app","envFrom":[{"configMapRef":{"name":"app"}}]}]}}}}`)
	s.apply(web, "--server-side")
	spec := templateOf(s.t, s.get(web)).Spec
	assert.Len(s.t, spec.Containers[0].EnvFrom, 1)
}
