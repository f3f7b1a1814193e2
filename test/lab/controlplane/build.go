package controlplane

import (
	"context"
	"io"
	"path/filepath"
	"strings"

	"github.com/configpin/configpin/test/lab/tools"
)

// Modules that give a program its version.
const (
	etcdModule       = "go.etcd.io/etcd/server/v3"
	kubernetesModule = "k8s.io/kubernetes"
	kwokModule       = "sigs.k8s.io/kwok"
)

// programs is what a control plane is made of. etcd comes first: it takes seconds, and shows early that the build works
// at all.
var programs = tools.Set{
	What:  "the control plane",
	Takes: "6 to 10 minutes on two cores",
	Dir:   "test/lab/controlplane/build",
	Tools: []tools.Tool{
		{Name: etcd, Module: "etcd", Requires: etcdModule, Package: etcdModule},
		kubernetesTool(apiServer),
		kubernetesTool(controllerManager),
		kubernetesTool(scheduler),
		kubernetesTool("kubectl"),
		{Name: kwok, Module: "kwok", Requires: kwokModule, Package: kwokModule + "/cmd/kwok", Stamp: stampKwok},
	},
	Files:  []tools.File{{Name: stagesName, Content: makeStages}},
	Key:    []tools.Part{{Label: "kubernetes", Requires: kubernetesModule}, {Label: "etcd", Requires: etcdModule}, {Label: "kwok", Requires: kwokModule}},
	Assets: "KUBEBUILDER_ASSETS",
}

func kubernetesTool(name string) tools.Tool {
	return tools.Tool{
		Name:     name,
		Module:   "kubernetes",
		Requires: kubernetesModule,
		Package:  kubernetesModule + "/cmd/" + name,
		Stamp:    StampKubernetes,
	}
}

// StampKubernetes gives the Kubernetes programs their version. Without it they say that they are v0.0.0-master, kubectl
// refuses to compare versions, and charts with a kubeVersion refuse to install.
func StampKubernetes(version string) []string {
	major, rest, _ := strings.Cut(strings.TrimPrefix(version, "v"), ".")
	minor, _, _ := strings.Cut(rest, ".")
	return []string{
		"k8s.io/component-base/version.gitVersion=" + version,
		"k8s.io/component-base/version.gitMajor=" + major,
		"k8s.io/component-base/version.gitMinor=" + minor,
		"k8s.io/client-go/pkg/version.gitVersion=" + version,
	}
}

func stampKwok(version string) []string {
	return []string{"sigs.k8s.io/kwok/pkg/consts.Version=" + strings.TrimPrefix(version, "v")}
}

// Binaries says where the programs of the control plane are. Its folder also holds the stages that kwok plays.
type Binaries struct {
	tools.Programs
	// KubernetesVersion is the version that is built, such as v1.37.2. What KUBEBUILDER_ASSETS offers may differ.
	KubernetesVersion string
}

// Stages is the file that tells kwok how nodes and Pods behave.
func (b Binaries) Stages() string { return filepath.Join(b.Dir, stagesName) }

// Build returns the programs of the control plane. What is missing is built from source, once per machine and set of
// versions; an interrupted build goes on where it stopped.
//
// Programs found in the folder that KUBEBUILDER_ASSETS names are used as they are. CONFIGPIN_TOOLS_DIR says where to
// keep what is built; without it that is the user's cache folder.
func Build(ctx context.Context, progress io.Writer) (Binaries, error) {
	built, err := programs.Build(ctx, progress)
	if err != nil {
		return Binaries{}, err
	}
	return Binaries{Programs: built, KubernetesVersion: built.Version(kubernetesModule)}, nil
}

// KubernetesModuleDir returns the directory of Kubernetes' source code in the version that runs here. It holds real
// manifests, for example in cluster/addons and test/e2e/testing-manifests.
func KubernetesModuleDir(ctx context.Context) (string, error) {
	return programs.Sources(ctx, "kubernetes", kubernetesModule)
}
