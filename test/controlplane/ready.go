package controlplane

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/kubernetes"

	"github.com/configpin/configpin/test/controlplane/process"
)

const (
	// checkInterval trades the speed of starting for a little CPU.
	checkInterval = 50 * time.Millisecond
	// checkTimeout keeps one answer that never comes from using up the whole wait.
	checkTimeout = 5 * time.Second
	// tailLines is how much of a log an error carries: the reason is near the end, among the noise of giving up.
	tailLines = 15
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
		etcd:      answersOK(web, "https://"+address(c.ports[etcd])+"/readyz"),
		apiServer: answersOK(web, c.URL()+"/readyz"),
		controllerManager: both(
			answersOK(web, "https://"+address(c.ports[controllerManager])+"/healthz"),
			func(ctx context.Context) error { return hasDefaultServiceAccount(ctx, client) }),
		scheduler: answersOK(web, "https://"+address(c.ports[scheduler])+"/readyz"),
		kwok:      func(ctx context.Context) error { return nodesReady(ctx, client, c.nodes) },
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, p := range processes {
		group.Go(func() error { return c.await(ctx, p, checks[p.Name]) })
	}
	return group.Wait()
}

// await repeats a check until it succeeds, the process has ended, or the time is over.
func (c *Cluster) await(ctx context.Context, p *process.Process, check func(context.Context) error) error {
	retry := time.NewTicker(checkInterval)
	defer retry.Stop()
	for {
		limited, cancel := context.WithTimeout(ctx, checkTimeout)
		err := check(limited)
		cancel()
		if err == nil {
			return nil
		}
		if !p.Running() {
			return c.ended(p)
		}
		select {
		case <-retry.C:
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w (%w); its log %s ends with:\n%s",
				p.Name, err, context.Cause(ctx), p.LogFile(), p.LogTail(tailLines))
		}
	}
}

// ended says why a process may have ended.
func (c *Cluster) ended(p *process.Process) error {
	err := fmt.Errorf("waiting for %s: it has ended; its log %s ends with:\n%s", p.Name, p.LogFile(), p.LogTail(tailLines))
	if !free(c.ports[p.Name]) {
		return errors.Join(errPortTaken, err)
	}
	return err
}

// probeClient trusts both authorities and shows a certificate that etcd accepts; the others admit anybody to their
// health.
func (c *Cluster) probeClient() (*http.Client, error) {
	trusted := x509.NewCertPool()
	trusted.AddCert(c.ca.cert)
	store, err := openAuthority("etcd", c.layout.pki("etcd-ca.crt"), c.layout.pki("etcd-ca.key"))
	if err != nil {
		return nil, err
	}
	trusted.AddCert(store.cert)
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

func answersOK(client *http.Client, url string) func(context.Context) error {
	return func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
		if err != nil {
			return err
		}
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		_, _ = io.Copy(io.Discard, response.Body) // so that the connection is used again
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("GET %s: %s", url, response.Status)
		}
		return nil
	}
}

func both(first, second func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		if err := first(ctx); err != nil {
			return err
		}
		return second(ctx)
	}
}
