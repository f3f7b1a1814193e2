package node

import (
	"context"
	"io"
	"strings"

	"github.com/configpin/configpin/test/lab/controlplane"
	"github.com/configpin/configpin/test/lab/tools"
)

const (
	containerdModule = "github.com/containerd/containerd/v2"
	kubernetesModule = "k8s.io/kubernetes"
	pluginsModule    = "github.com/containernetworking/plugins"

	ctr = "ctr"
)

// programs are what a node is made of, but for runc: that needs a C compiler and libseccomp, so it's the system's.
var programs = tools.Set{
	What:  "the node",
	Takes: "3 to 5 minutes on two cores",
	Dir:   "test/lab/node/build",
	Tools: []tools.Tool{
		pluginTool("main/ptp"),
		pluginTool("main/loopback"),
		pluginTool("ipam/host-local"),
		containerdTool("containerd"),
		containerdTool("containerd-shim-runc-v2"),
		containerdTool(ctr),
		{
			Name:     "kubelet",
			Module:   "kubelet",
			Requires: kubernetesModule,
			Package:  kubernetesModule + "/cmd/kubelet",
			Stamp:    controlplane.StampKubernetes,
		},
	},
	Key: []tools.Part{{Label: "containerd", Requires: containerdModule}, {Label: "kubelet", Requires: kubernetesModule}},
}

// pluginTool is a program that containerd has connect Pods.
func pluginTool(path string) tools.Tool {
	_, name, _ := strings.Cut(path, "/")
	return tools.Tool{Name: name, Module: "cni", Requires: pluginsModule, Package: pluginsModule + "/plugins/" + path}
}

// containerdTool does without btrfs, which needs a C compiler.
func containerdTool(name string) tools.Tool {
	return tools.Tool{
		Name:     name,
		Module:   "containerd",
		Requires: containerdModule,
		Package:  containerdModule + "/cmd/" + name,
		Tags:     "no_btrfs",
	}
}

// Build returns the programs of the node. What is missing is built from source, once per machine and set of versions.
func Build(ctx context.Context, progress io.Writer) (tools.Programs, error) {
	return programs.Build(ctx, progress)
}
