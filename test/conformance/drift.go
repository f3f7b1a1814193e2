package conformance

import (
	"slices"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
)

// drifts are about what tools see that compare what is declared with what is
// stored. That those which ask the API server see nothing is part of the matrix.
var drifts = []scenario{
	{"Argo CD's legacy diff sees nothing but names of refs", legacyDiff("Deployment")},
	{"Argo CD's legacy diff sees nothing but names of refs: StatefulSet", legacyDiff("StatefulSet")},
	{"Argo CD's legacy diff sees nothing but names of refs: DaemonSet", legacyDiff("DaemonSet")},
	{"Argo CD's server-side diff sees nothing of what webhooks change", argoIncludesWebhooks},
	{"kubectl diff sees nothing", kubectlDiff(clientSide)},
	{"kubectl diff sees nothing: server-side", kubectlDiff(serverSide, "--server-side", "--field-manager=gitops")},
	{"a ref that leaves the manifest after an undo leaves the workload", refLeaves(serverSide)},
	{"a ref that leaves the manifest after an undo leaves the workload: helm 4", refLeaves(helm4)},
	{"a ref that leaves the manifest after an undo leaves the workload: Flux", refLeaves(flux)},
	{"a ref that leaves the manifest after an undo leaves the workload: Argo CD, server-side", refLeaves(argoServerSide)},
}

// everywhere uses the source app in the forms that nothing else here uses.
func everywhere(spec *corev1.PodSpec) {
	spec.Volumes = append(spec.Volumes, corev1.Volume{Name: "projected", VolumeSource: corev1.VolumeSource{
		Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{{
			ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: corev1.LocalObjectReference{Name: "app"}},
		}}},
	}})
	init := corev1.PodSpec{Containers: []corev1.Container{{Name: "init", Image: image}}}
	envFrom("app")(&init)
	colourEnv(&init)
	spec.InitContainers = append(spec.InitContainers, init.Containers[0])
}

func legacyDiff(kind string) func(*space) {
	return func(s *space) {
		w := s.rollBack(kind, argoClientSide, everywhere)
		legacy := []string{"argo-diff", "--server-side=false"}
		assert.Contains(s.t, gitopsDrift(legacy...)(s, w.declared), "name: "+w.blue)
		ignoring := slices.Clone(legacy)
		for _, expression := range s.ArgoIgnores {
			ignoring = append(ignoring, "--ignore-jq="+expression)
		}
		assert.Empty(s.t, gitopsDrift(ignoring...)(s, w.declared))
		w.setImage("example.com/app:2")
		assert.Contains(s.t, gitopsDrift(ignoring...)(s, w.declared), "example.com/app:2", "it isn't blind")
	}
}

func argoIncludesWebhooks(s *space) {
	w := s.rollBack("Deployment", argoServerSide, everywhere)
	including := gitopsDrift("argo-diff", "--server-side=true", "--include-mutation-webhooks")
	assert.Empty(s.t, including(s, w.declared))
	w.setImage("example.com/app:2")
	assert.Contains(s.t, including(s, w.declared), "example.com/app:2")
}

func kubectlDiff(tool deployer, flags ...string) func(*space) {
	return func(s *space) {
		w := s.rollBack("Deployment", tool, everywhere)
		out, err := s.tryKubectl(manifest(s.t, w.web), append([]string{"diff", "--filename=-"}, flags...)...)
		assert.NoError(s.t, err, out.out)
		assert.Empty(s.t, out.out)
	}
}

// refLeaves: a server-side apply takes away what its manager owned and declares no
// more, so an undo mustn't have taken the ownership.
func refLeaves(tool deployer) func(*space) {
	return func(s *space) {
		w := s.rollBack("Deployment", tool, everywhere)
		without := optedIn(s.t, "Deployment", "web", volume("app"))
		w.web.Object["spec"] = without.Object["spec"]
		w.declare("green")
		w.deploy()
		assert.Len(s.t, refsOf(templateOf(s.t, s.get(w.web)).Spec), 1)
		assert.Equal(s.t, "green", s.colourOf(w.web, "app"))
	}
}
