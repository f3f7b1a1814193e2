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

// serviceCIDR and its first address, which the API server gives to the Service "kubernetes".
const (
	serviceCIDR  = "10.96.0.0/16"
	firstService = "10.96.0.1"
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

// writeServingCertificates makes what the servers of the control plane show to their clients, and etcd's two ends.
func (l layout) writeServingCertificates(cluster, store authority) error {
	loopback := []net.IP{net.IPv4(127, 0, 0, 1)}
	for _, server := range []struct {
		file  string
		ca    authority
		name  string
		names []string
		ips   []net.IP
	}{
		{"etcd", store, "etcd", []string{"localhost"}, loopback},
		{"etcd-client", store, apiServer, nil, nil},
		{"apiserver", cluster, "kubernetes",
			[]string{"localhost", "kubernetes.default", "kubernetes.default.svc"}, append(loopback, net.ParseIP(firstService))},
		{"localhost", cluster, "localhost", nil, loopback},
	} {
		made, err := server.ca.server(server.name, server.names, server.ips)
		if err != nil {
			return err
		}
		if err := made.write(l.pki(server.file+".crt"), l.pki(server.file+".key")); err != nil {
			return err
		}
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
