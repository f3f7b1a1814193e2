// Package clients builds the programs with which people deploy: helm, kustomize, and those of Argo CD and Flux.
//
// Argo CD and Flux are controllers, but what they do to an object is in their libraries. The program gitops, whose
// source code is in build/gitops, calls these as the controllers do, and says what they would say.
//
// It is separate from test/lab/controlplane because a cluster doesn't need it. It deliberately knows nothing of configpin:
// a test says what to deploy, and what should come of it.
package clients

import (
	"context"
	"io"

	"github.com/configpin/configpin/test/lab/tools"
)

// The names of the programs.
const (
	Helm3     = "helm3"
	Helm4     = "helm4"
	Kustomize = "kustomize"
	Gitops    = "gitops"
)

// Modules that give a program its version.
const (
	helm3Module     = "helm.sh/helm/v3"
	helm4Module     = "helm.sh/helm/v4"
	kustomizeModule = "sigs.k8s.io/kustomize/kustomize/v5"
	argoModule      = "github.com/argoproj/argo-cd/v3"
)

// programs are in the order of how long they take, so that a build that can't work shows it early.
var programs = tools.Set{
	What:  "the deploy tools",
	Takes: "8 to 12 minutes on two cores",
	Dir:   "test/lab/clients/build",
	Tools: []tools.Tool{
		{Name: Kustomize, Module: "kustomize", Requires: kustomizeModule, Package: kustomizeModule, Stamp: stampKustomize},
		{Name: Helm3, Module: "helm3", Requires: helm3Module, Package: helm3Module + "/cmd/helm", Stamp: stampHelm(helm3Module)},
		{Name: Helm4, Module: "helm4", Requires: helm4Module, Package: helm4Module + "/cmd/helm", Stamp: stampHelm(helm4Module)},
		{Name: Gitops, Module: "gitops", Requires: argoModule, Package: "."},
	},
	Key: []tools.Part{
		{Label: "helm", Requires: helm3Module},
		{Label: "helm", Requires: helm4Module},
		{Label: "kustomize", Requires: kustomizeModule},
		{Label: "argocd", Requires: argoModule},
	},
}

// HelmEnvironment has helm keep what it keeps in a folder, and not in the user's.
func HelmEnvironment(home string) []string {
	return []string{"HELM_CACHE_HOME=" + home, "HELM_CONFIG_HOME=" + home, "HELM_DATA_HOME=" + home}
}

// stampHelm gives helm its version. Without it, helm says the one that is being worked towards, without a patch level.
func stampHelm(module string) func(version string) []string {
	return func(version string) []string { return []string{module + "/internal/version.version=" + version} }
}

func stampKustomize(version string) []string {
	return []string{"sigs.k8s.io/kustomize/api/provenance.version=" + version}
}

// Programs says where the programs are.
type Programs = tools.Programs

// Build returns the programs. What is missing is built from source, once per machine, set of versions and source code
// of gitops; an interrupted build goes on where it stopped. CONFIGPIN_TOOLS_DIR says where to keep what is built.
func Build(ctx context.Context, progress io.Writer) (Programs, error) {
	return programs.Build(ctx, progress)
}
