package controlplane

import (
	"fmt"
	"os"
	"slices"

	"github.com/configpin/configpin/test/lab/controlplane/process"
)

// schedulerConfig exists because kube-scheduler takes its rate limit from nowhere else.
const schedulerConfig = `apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
clientConnection:
  kubeconfig: %q
  qps: 1000
  burst: 2000
leaderElection:
  leaderElect: false
`

// auditLogSize is how many MB an audit log can have: whoever follows one isn't to lose
// it to a rotation, which comes at 100 MB by default.
const auditLogSize = "4096"

// auditPolicy records every request once, when it is answered, with the annotations of
// admission. Of two kinds it has what was sent, too: deletions, of which nothing else
// tells whether they are dry, and what our programs patch of workloads. Neither is secret.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Request
  verbs: [delete, deletecollection]
- level: Request
  verbs: [patch]
  userGroups: ["system:serviceaccounts:configpin-system"]
  resources: [{group: apps}, {group: batch}]
- level: Metadata
`

// portNames are the ports of the control plane. They are chosen together.
var portNames = []string{etcd, "etcd-peer", apiServer, controllerManager, scheduler, kwok}

// controlPlanePorts reads the ports of the control plane from the state.
func (s *state) controlPlanePorts() (map[string]int, error) {
	ports := map[string]int{}
	for _, name := range portNames {
		port, err := s.port(name)
		if err != nil {
			return nil, err
		}
		ports[name] = port
	}
	return ports, nil
}

func (c *Cluster) writeComponentConfigs() error {
	for file, content := range map[string]string{
		"scheduler.yaml":    fmt.Sprintf(schedulerConfig, c.layout.identity(scheduler)),
		"audit-policy.yaml": auditPolicy,
	} {
		if err := os.WriteFile(c.layout.file(file), []byte(content), 0o600); err != nil {
			return fmt.Errorf("configuring the control plane: %w", err)
		}
	}
	return nil
}

// gogc is from how much garbage on, in percent of what is in use, it is collected. Four times as much as by default takes
// some hundred MB, and a tenth less of the processors.
const gogc = "400"

// components returns the processes of the control plane in the order in which they start.
func (c *Cluster) components(o Options) []*process.Process {
	made := make([]*process.Process, 0, 5)
	type component struct {
		name string
		args []string
	}
	all := []component{
		{etcd, c.etcdArgs()},
		{apiServer, slices.Concat(c.apiServerArgs(o.AuditLog), c.nodeArgs(), o.APIServerArgs)},
		{controllerManager, c.controllerManagerArgs()},
		{scheduler, c.schedulerArgs()},
	}
	if c.nodeIP == "" {
		all = append(all, component{kwok, c.kwokArgs()})
	}
	for _, component := range all {
		made = append(made, &process.Process{
			Name:     component.name,
			Path:     c.binaries.Path(component.name),
			Args:     component.args,
			Env:      []string{"GOGC=" + gogc},
			Dir:      c.Dir(),
			Detached: o.Detached,
		})
	}
	return made
}

func (c *Cluster) etcdArgs() []string {
	client, peer := "https://"+address(c.ports[etcd]), "https://"+address(c.ports["etcd-peer"])
	pki := c.layout.pki
	return []string{
		"--data-dir=" + c.layout.file("etcd"),
		"--listen-client-urls=" + client,
		"--advertise-client-urls=" + client,
		"--listen-peer-urls=" + peer,
		"--initial-advertise-peer-urls=" + peer,
		"--name=local",
		"--initial-cluster=local=" + peer,
		"--client-cert-auth",
		"--trusted-ca-file=" + pki("etcd-ca.crt"),
		"--cert-file=" + pki("etcd.crt"),
		"--key-file=" + pki("etcd.key"),
		"--peer-client-cert-auth",
		"--peer-trusted-ca-file=" + pki("etcd-ca.crt"),
		"--peer-cert-file=" + pki("etcd.crt"),
		"--peer-key-file=" + pki("etcd.key"),
		"--unsafe-no-fsync", // a machine that loses power loses this cluster, and nobody misses it
		"--log-level=warn",
	}
}

func (c *Cluster) apiServerArgs(auditLog string) []string {
	pki := c.layout.pki
	args := []string{
		"--bind-address=127.0.0.1",
		"--advertise-address=127.0.0.1",
		fmt.Sprintf("--secure-port=%d", c.ports[apiServer]),
		"--etcd-servers=https://" + address(c.ports[etcd]),
		"--etcd-cafile=" + pki("etcd-ca.crt"),
		"--etcd-certfile=" + pki("etcd-client.crt"),
		"--etcd-keyfile=" + pki("etcd-client.key"),
		"--client-ca-file=" + pki("ca.crt"),
		"--requestheader-client-ca-file=" + pki("front-proxy-ca.crt"), // the others log an error per second without it
		"--requestheader-allowed-names=front-proxy",
		"--requestheader-username-headers=X-Remote-User",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file=" + pki("front-proxy.crt"),
		"--proxy-client-key-file=" + pki("front-proxy.key"),
		"--tls-cert-file=" + pki("apiserver.crt"),
		"--tls-private-key-file=" + pki("apiserver.key"),
		"--authorization-mode=Node,RBAC",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + pki("service-accounts.key"),
		"--service-account-signing-key-file=" + pki("service-accounts.key"),
		"--service-cluster-ip-range=" + serviceCIDR,
		"--endpoint-reconciler-type=none", // a loopback address is no valid endpoint, and no Pod would use it
		"--allow-privileged",
		"--max-requests-inflight=3000",
		"--max-mutating-requests-inflight=1500",
	}
	if auditLog != "" {
		args = append(args, "--audit-log-path="+auditLog, "--audit-policy-file="+c.layout.file("audit-policy.yaml"), "--audit-log-maxsize="+auditLogSize)
	}
	return args
}

// nodeArgs are those that a real node needs of the API server: it calls webhooks in Pods and the kubelet directly, and
// Pods call it at its Service, for which no kube-proxy stands in.
func (c *Cluster) nodeArgs() []string {
	if c.nodeIP == "" {
		return nil
	}
	pki := c.layout.pki
	return []string{
		"--bind-address=0.0.0.0",
		"--advertise-address=" + c.nodeIP,
		"--enable-aggregator-routing",
		"--kubelet-certificate-authority=" + pki("ca.crt"),
		"--kubelet-client-certificate=" + pki("kubelet-client.crt"),
		"--kubelet-client-key=" + pki("kubelet-client.key"),
		"--kubelet-preferred-address-types=InternalIP",
	}
}

func (c *Cluster) controllerManagerArgs() []string {
	pki, identity := c.layout.pki, c.layout.identity(controllerManager)
	return []string{
		"--bind-address=127.0.0.1",
		fmt.Sprintf("--secure-port=%d", c.ports[controllerManager]),
		"--tls-cert-file=" + pki("localhost.crt"),
		"--tls-private-key-file=" + pki("localhost.key"),
		"--kubeconfig=" + identity,
		"--authentication-kubeconfig=" + identity,
		"--authorization-kubeconfig=" + identity,
		"--client-ca-file=" + pki("ca.crt"),
		"--root-ca-file=" + pki("ca.crt"),
		"--service-account-private-key-file=" + pki("service-accounts.key"),
		"--service-cluster-ip-range=" + serviceCIDR,
		"--use-service-account-credentials", // policies see the same users as on a real cluster
		"--leader-elect=false",
		"--kube-api-qps=1000",
		"--kube-api-burst=2000",
		"--concurrent-deployment-syncs=20",
		"--concurrent-replicaset-syncs=20",
		"--concurrent-statefulset-syncs=20",
		"--concurrent-job-syncs=20",
		"--concurrent-cron-job-syncs=20",
		"--concurrent-namespace-syncs=20",
		// A paused or overloaded machine must not look like the loss of all nodes.
		"--node-monitor-grace-period=30m",
	}
}

func (c *Cluster) schedulerArgs() []string {
	pki, identity := c.layout.pki, c.layout.identity(scheduler)
	return []string{
		"--config=" + c.layout.file("scheduler.yaml"),
		"--bind-address=127.0.0.1",
		fmt.Sprintf("--secure-port=%d", c.ports[scheduler]),
		"--tls-cert-file=" + pki("localhost.crt"),
		"--tls-private-key-file=" + pki("localhost.key"),
		"--authentication-kubeconfig=" + identity,
		"--authorization-kubeconfig=" + identity,
		"--client-ca-file=" + pki("ca.crt"),
	}
}

func (c *Cluster) kwokArgs() []string {
	return []string{
		"--kubeconfig=" + c.layout.identity(kwok),
		"--config=" + c.binaries.Stages(),
		"--manage-all-nodes=true",
		"--server-address=" + address(c.ports[kwok]), // without it, kwok listens on all addresses
		"--node-ip=127.0.0.1",
		fmt.Sprintf("--node-port=%d", c.ports[kwok]),
		"--cidr=10.128.0.0/9", // an address for each of the Pods that the nodes hold
	}
}
