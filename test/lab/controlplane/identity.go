package controlplane

import (
	"fmt"
	"net"
	"slices"
	"strings"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// mastersGroup may do everything, without a role.
const mastersGroup = "system:masters"

// administrator is who uses the cluster's own kubeconfig.
const administrator = "admin"

// Config returns the access of the cluster's administrator, without a rate limit.
func (c *Cluster) Config() *rest.Config { return rest.CopyConfig(c.admin) }

// ConfigFor returns the access of a user, without a rate limit. The user authenticates by a client certificate and may
// do what RBAC allows; service accounts are users too: system:serviceaccount:NAMESPACE:NAME.
func (c *Cluster) ConfigFor(user string, groups ...string) (*rest.Config, error) {
	made, err := c.ca.client(user, groups...)
	if err != nil {
		return nil, err
	}
	return &rest.Config{
		Host: c.URL(),
		TLSClientConfig: rest.TLSClientConfig{
			CAData:   c.CAPEM(),
			CertData: made.cert,
			KeyData:  made.key,
		},
		QPS: -1,
	}, nil
}

// KubeconfigFor is ConfigFor in the form of a file, for other programs. It returns the path.
func (c *Cluster) KubeconfigFor(user string, groups ...string) (string, error) {
	path := c.layout.identity(strings.ReplaceAll(user, ":", "-"))
	config, err := c.ConfigFor(user, groups...)
	if err != nil {
		return "", err
	}
	return path, writeKubeconfig(path, config)
}

// ServingCert makes a certificate that clients which trust CAPEM accept for the name and the IP addresses, and its
// key. Both are PEM.
func (c *Cluster) ServingCert(name string, ips ...net.IP) (certPEM, keyPEM []byte, err error) {
	made, err := c.ca.server(name, nil, ips)
	return made.cert, made.key, err
}

// CAPEM is the certificate of the authority that signs for this cluster.
func (c *Cluster) CAPEM() []byte { return slices.Clone(c.ca.pem) }

// writeIdentities makes the kubeconfigs of the control plane's own programs, with the users that Kubernetes has roles
// for. kwok plays every kubelet at once, which no role foresees.
func (c *Cluster) writeIdentities() error {
	for _, program := range []struct {
		name, user string
		groups     []string
	}{
		{controllerManager, "system:kube-controller-manager", nil},
		{scheduler, "system:kube-scheduler", nil},
		{kwok, "kwok", []string{mastersGroup}},
	} {
		config, err := c.ConfigFor(program.user, program.groups...)
		if err != nil {
			return err
		}
		if err := writeKubeconfig(c.layout.identity(program.name), config); err != nil {
			return err
		}
	}
	caller, err := c.ca.client(apiServer, mastersGroup) // of kubelets
	if err != nil {
		return err
	}
	return caller.write(c.layout.pki("kubelet-client.crt"), c.layout.pki("kubelet-client.key"))
}

// openAdmin reads the administrator's kubeconfig, or makes it.
func (c *Cluster) openAdmin(renew bool) error {
	if renew || !exists(c.Kubeconfig()) {
		config, err := c.ConfigFor(administrator, mastersGroup)
		if err != nil {
			return err
		}
		if err := writeKubeconfig(c.Kubeconfig(), config); err != nil {
			return err
		}
	}
	config, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig())
	if err != nil {
		return fmt.Errorf("reading %s: %w", c.Kubeconfig(), err)
	}
	config.QPS = -1
	c.admin = config
	return nil
}

func writeKubeconfig(path string, config *rest.Config) error {
	const name = "configpin-local"
	err := clientcmd.WriteToFile(api.Config{
		Clusters: map[string]*api.Cluster{name: {
			Server:                   config.Host,
			CertificateAuthorityData: config.CAData,
		}},
		AuthInfos: map[string]*api.AuthInfo{name: {
			ClientCertificateData: config.CertData,
			ClientKeyData:         config.KeyData,
		}},
		Contexts:       map[string]*api.Context{name: {Cluster: name, AuthInfo: name}},
		CurrentContext: name,
	}, path)
	if err != nil {
		return fmt.Errorf("writing the kubeconfig %s: %w", path, err)
	}
	return nil
}
