package controlplane

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
)

// The names of the processes of a control plane.
const (
	etcd              = "etcd"
	apiServer         = "kube-apiserver"
	controllerManager = "kube-controller-manager"
	scheduler         = "kube-scheduler"
	kwok              = "kwok"
)

// serviceCIDR and its first address, which the API server gives to its own Service.
const (
	serviceCIDR = "10.96.0.0/16"
	// ServiceAddress is where Pods expect the API server, at servicePort.
	ServiceAddress = "10.96.0.1"
	servicePort    = 443
)

// layout knows where in the directory of a cluster each file is.
type layout string

func (l layout) file(elem ...string) string {
	return filepath.Join(append([]string{string(l)}, elem...)...)
}

func (l layout) pki(name string) string { return l.file("pki", name) }

// identity is the kubeconfig with which one of our own programs talks to the API server.
func (l layout) identity(name string) string { return l.file("identities", name+".kubeconfig") }

// lockFile keeps two starts, or a start and a removal, from getting in each other's way.
func (l layout) lockFile() string { return l.file("lock") }

func (l layout) makeFolders() error {
	for _, dir := range []string{l.file(), l.file("pki"), l.file("identities")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("making the folder of the cluster: %w", err)
		}
	}
	return nil
}

// writeCertificates makes what the parts of the control plane show to each other. There is an authority for each
// purpose: who may use the cluster may not read etcd, nor claim to be a proxy that speaks for others.
func (l layout) writeCertificates(cluster authority) error {
	store, err := openAuthority("configpin-local-etcd", l.pki("etcd-ca.crt"), l.pki("etcd-ca.key"))
	if err != nil {
		return err
	}
	proxy, err := openAuthority("configpin-local-front-proxy", l.pki("front-proxy-ca.crt"), l.pki("front-proxy-ca.key"))
	if err != nil {
		return err
	}
	loopback := []net.IP{net.IPv4(127, 0, 0, 1)}
	for _, shown := range []struct {
		file  string
		ca    authority
		name  string
		names []string
		ips   []net.IP
	}{
		{"etcd", store, "etcd", []string{"localhost"}, loopback},
		{"etcd-client", store, apiServer, nil, nil},
		{"front-proxy", proxy, "front-proxy", nil, nil},
		{
			"apiserver", cluster, "kubernetes",
			[]string{"localhost", "kubernetes.default", "kubernetes.default.svc"},
			append(loopback, net.ParseIP(ServiceAddress)),
		},
		{"localhost", cluster, "localhost", nil, loopback},
	} {
		made, err := shown.ca.server(shown.name, shown.names, shown.ips)
		if err != nil {
			return err
		}
		if err := made.write(l.pki(shown.file+".crt"), l.pki(shown.file+".key")); err != nil {
			return err
		}
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
