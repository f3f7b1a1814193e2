package node

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
)

// Where things are inside of the namespaces: folders that Enter empties, so that these are in memory, and gone
// afterwards.
const (
	socket      = "/run/containerd/containerd.sock"
	kubeletRoot = "/run/configpin/kubelet"
)

const (
	containerdFile = "containerd.toml"
	kubeletFile    = "kubelet.yaml"
	networkFile    = "net.d/10-pods.conflist"
	resolverFile   = "resolv.conf"
)

// containerdConfig keeps everything in memory: where it is may be on an overlay, which can't hold another. It asks for
// nothing that a container in CI hasn't: lower scores of the out-of-memory killer, AppArmor.
const containerdConfig = `version = 4
root = "/run/configpin/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.nri.v1.nri", "io.containerd.tracing.processor.v1.otlp"]

[plugins."io.containerd.server.v1.grpc"]
address = %[1]q

[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = %[2]q

[plugins."io.containerd.cri.v1.runtime"]
restrict_oom_score_adj = true
disable_apparmor = true

[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = [%[3]q]
conf_dir = %[4]q

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
BinaryName = %[5]q
SystemdCgroup = false
`

// kubeletConfig evicts nothing: how full this machine's disk is is no concern of a test. It looks at the content of volumes
// more often than the usual once a minute.
const kubeletConfig = `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: %[1]s
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: true}
  x509: {clientCAFile: %[2]q}
authorization: {mode: Webhook}
tlsCertFile: %[3]q
tlsPrivateKeyFile: %[4]q
containerRuntimeEndpoint: unix://%[5]s
cgroupDriver: cgroupfs
failCgroupV1: false
failSwapOn: false
resolvConf: %[6]q
volumePluginDir: %[7]q
evictionHard: {memory.available: 1Mi, nodefs.available: 0%%, imagefs.available: 0%%}
imageGCHighThresholdPercent: 100
makeIPTablesUtilChains: false
oomScoreAdj: 0
syncFrequency: 5s
`

// networkConfig connects each Pod to the node alone, which forwards between them.
const networkConfig = `{
  "cniVersion": "1.0.0",
  "name": "pods",
  "plugins": [{
    "type": "ptp",
    "ipam": {
      "type": "host-local",
      "dataDir": "/run/configpin/addresses",
      "ranges": [[{"subnet": "10.94.0.0/24"}]],
      "routes": [{"dst": "0.0.0.0/0"}]
    }
  }]
}
`

// resolver has no server: there is no DNS.
const resolver = "options attempts:1 timeout:1\n"

// files are what the programs of a node read.
type files struct {
	dir, plugins, runc, pause string
}

func (f files) path(name string) string { return filepath.Join(f.dir, filepath.FromSlash(name)) }

// write writes all of them, and others beside them.
func (f files) write(others map[string][]byte) error {
	all := map[string][]byte{
		containerdFile: fmt.Appendf(nil, containerdConfig, socket, f.pause, f.plugins, filepath.Dir(f.path(networkFile)), f.runc),
		kubeletFile: fmt.Appendf(nil, kubeletConfig, Address, f.path("ca.crt"), f.path("kubelet.crt"), f.path("kubelet.key"),
			socket, f.path(resolverFile), f.path("volume-plugins")),
		networkFile:  []byte(networkConfig),
		resolverFile: []byte(resolver),
	}
	for name, content := range others {
		all[name] = content
	}
	for name, content := range all {
		if err := os.MkdirAll(filepath.Dir(f.path(name)), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(f.path(name), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

func parseIP(text string) net.IP { return net.ParseIP(text).To4() }
