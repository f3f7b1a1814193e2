package controlplane

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"

	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/kubernetes"

	"github.com/configpin/configpin/test/lab/controlplane/process"
)

// waitReady waits for each process by the check that belongs to it.
func (c *Cluster) waitReady(ctx context.Context, processes []*process.Process) error {
	client, err := kubernetes.NewForConfig(c.admin)
	if err != nil {
		return fmt.Errorf("connecting to the API server: %w", err)
	}
	web, err := c.probeClient()
	if err != nil {
		return err
	}
	defer web.CloseIdleConnections()
	checks := map[string]func(context.Context) error{
		etcd:      process.AnswersOK(web, "https://"+address(c.ports[etcd])+"/readyz"),
		apiServer: process.AnswersOK(web, c.URL()+"/readyz"),
		controllerManager: both(
			process.AnswersOK(web, "https://"+address(c.ports[controllerManager])+"/healthz"),
			func(ctx context.Context) error { return hasDefaultServiceAccount(ctx, client) }),
		scheduler: process.AnswersOK(web, "https://"+address(c.ports[scheduler])+"/readyz"),
		kwok:      func(ctx context.Context) error { return nodesReady(ctx, client, c.nodes) },
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, p := range processes {
		group.Go(func() error { return c.await(ctx, p, checks[p.Name]) })
	}
	return group.Wait()
}

// await adds to the reason why a process ended that another program listens on its port.
func (c *Cluster) await(ctx context.Context, p *process.Process, check func(context.Context) error) error {
	err := p.Await(ctx, check)
	if errors.Is(err, process.ErrEnded) && !free(c.ports[p.Name]) {
		return errors.Join(errPortTaken, err)
	}
	return err
}

// probeClient trusts both authorities and shows a certificate that etcd accepts; the others admit anybody to their
// health.
func (c *Cluster) probeClient() (*http.Client, error) {
	trusted := x509.NewCertPool()
	trusted.AddCert(c.ca.cert)
	store, err := os.ReadFile(c.layout.pki("etcd-ca.crt"))
	if err != nil {
		return nil, fmt.Errorf("reading etcd's certificate authority: %w", err)
	}
	trusted.AppendCertsFromPEM(store)
	shown, err := tls.LoadX509KeyPair(c.layout.pki("etcd-client.crt"), c.layout.pki("etcd-client.key"))
	if err != nil {
		return nil, fmt.Errorf("reading etcd's client certificate: %w", err)
	}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{
		MinVersion:   tls.VersionTLS12,
		RootCAs:      trusted,
		Certificates: []tls.Certificate{shown},
	}}}, nil
}

func both(first, second func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		if err := first(ctx); err != nil {
			return err
		}
		return second(ctx)
	}
}
