package serve_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/configpin/configpin/test/lab/pki"
)

// crowd are clients that ask all the time. Half of them open a connection for each
// request; the others use those that are open.
type crowd struct {
	requests, failed atomic.Int64

	mu     sync.RWMutex // held for reading by each request
	config *tls.Config  // of those who open connections
	keep   *http.Client
}

// become changes what the crowd trusts and shows, once what it asked before is
// answered.
func (c *crowd) become(config *tls.Config) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.config = config
	if c.keep != nil {
		c.keep.CloseIdleConnections()
	}
	c.keep = &http.Client{Transport: &http.Transport{TLSClientConfig: config.Clone()}}
}

func (c *crowd) ask(t *testing.T, url string) {
	t.Helper()
	c.mu.RLock()
	defer c.mu.RUnlock()
	client := c.keep
	if c.requests.Add(1)%2 == 0 {
		client = &http.Client{Transport: &http.Transport{TLSClientConfig: c.config.Clone(), DisableKeepAlives: true}}
	}
	if err := ask(client, url); err != nil && c.failed.Add(1) == 1 {
		t.Errorf("the first that failed: %v", err)
	}
}

// askOn asks, four at a time, until ctx ends.
func (c *crowd) askOn(ctx context.Context, t *testing.T, url string) {
	t.Helper()
	var all sync.WaitGroup
	defer all.Wait()
	for range 4 {
		all.Go(func() {
			for ctx.Err() == nil {
				c.ask(t, url)
			}
		})
	}
}

// goesOn waits until a hundred requests more were made.
func (c *crowd) goesOn(t *testing.T) {
	t.Helper()
	before := c.requests.Load()
	require.Eventually(t, func() bool { return c.requests.Load() > before+100 }, patience, pause)
}

// TestRotation changes the leaf, then the authority, then that of the callers,
// under load.
func TestRotation(t *testing.T) {
	was, next := pki.NewAuthority(t, "was"), pki.NewAuthority(t, "next")
	clientsWere, clientsNext := pki.NewAuthority(t, "clients-were"), pki.NewAuthority(t, "clients-next")
	r := serving(t, was, clientsWere)
	trusting := func(clients *pki.Authority, authorities ...*pki.Authority) *tls.Config {
		return &tls.Config{RootCAs: pki.Pool(authorities...), Certificates: []tls.Certificate{clients.Client(t, "kube-apiserver").TLS(t)}}
	}
	var c crowd
	c.become(trusting(clientsWere, was))
	ctx, stop := context.WithCancel(t.Context())
	var load sync.WaitGroup
	load.Go(func() { c.askOn(ctx, t, "https://"+r.address+"/") })
	anything := trusting(clientsWere, was, next)
	serves := func(leaf pki.Pair) {
		want := serial(t, leaf)
		leaf.Write(t, r.dir)
		require.Eventually(t, func() bool { return r.leaf(t, anything).SerialNumber.String() == want }, patience, pause)
		c.goesOn(t)
	}
	c.goesOn(t)
	serves(was.Server(t))
	c.become(anything)
	c.goesOn(t)
	serves(next.Server(t))
	c.become(trusting(clientsWere, next))
	c.goesOn(t)

	require.NoError(t, os.WriteFile(r.clientCA, slices.Concat(clientsWere.PEM, clientsNext.PEM), 0o600))
	renewed := trusting(clientsNext, next)
	require.Eventually(t, func() bool { _, err := r.get(t, renewed); return err == nil }, patience, pause)
	c.become(renewed)
	c.goesOn(t)
	require.NoError(t, os.WriteFile(r.clientCA, clientsNext.PEM, 0o600))
	former := trusting(clientsWere, next)
	require.Eventually(t, func() bool { _, err := r.get(t, former); return err != nil }, patience, pause, "the former authority counts no more")
	c.goesOn(t)
	stop()
	load.Wait()
	t.Logf("%d requests, %d failed", c.requests.Load(), c.failed.Load())
	assert.Zero(t, c.failed.Load())
}

func ask(client *http.Client, url string) error {
	response, err := client.Get(url)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if answer, err := io.ReadAll(response.Body); err != nil || string(answer) != "answer" {
		return fmt.Errorf("answered %q: %w", answer, err)
	}
	return nil
}

// TestFilesOfNoUse breaks the served certificate and the client CA in every way.
// What was there before goes on, the metric rises, and one line says why.
func TestFilesOfNoUse(t *testing.T) {
	ca, clients := pki.NewAuthority(t, "ca"), pki.NewAuthority(t, "clients")
	r := serving(t, ca, clients)
	config := &tls.Config{RootCAs: pki.Pool(ca), Certificates: []tls.Certificate{clients.Client(t, "kube-apiserver").TLS(t)}}
	was := r.leaf(t, config).SerialNumber.String()
	assert.InDelta(t, 30, metric(t, "configpin_certificate_days_left", ""), 0.1)

	certFile, keyFile := filepath.Join(r.dir, "tls.crt"), filepath.Join(r.dir, "tls.key")
	good, other := readFile(t, certFile), ca.Server(t)
	chain := slices.Concat(good, ca.PEM)
	for _, test := range []struct {
		name  string
		file  string
		text  []byte // nil removes the file
		label string
		says  string
	}{
		{"a certificate that is cut off", certFile, good[:len(good)/2], "certificate", "damaged or cut off"},
		{"a chain that is cut off", certFile, chain[:len(chain)-100], "certificate", "damaged or cut off"},
		{"an empty certificate", certFile, []byte{}, "certificate", "holds no certificate"},
		{"the certificate of another key", certFile, other.Certificate, "certificate", "private key does not match public key"},
		{"no certificate", certFile, nil, "certificate", "tls.crt: no such file"},
		{"a key that is cut off", keyFile, other.Key[:len(other.Key)/2], "certificate", "failed to find any PEM data in key input"},
		{"an empty key", keyFile, []byte{}, "certificate", "failed to find any PEM data in key input"},
		{"no key", keyFile, nil, "certificate", "tls.key: no such file"},
		{"a client CA that is cut off", r.clientCA, clients.PEM[:len(clients.PEM)/2], "client-ca", "damaged or cut off"},
		{"a bundle of which the second is cut off", r.clientCA, slices.Concat(clients.PEM, ca.PEM[:len(ca.PEM)/2]), "client-ca", "damaged or cut off"},
		{"a bundle that ends in the middle of a line", r.clientCA, slices.Concat(clients.PEM, []byte("-----BEG")), "client-ca", "damaged or cut off"},
		{"an empty client CA", r.clientCA, []byte{}, "client-ca", "holds no certificate"},
		{"a key as client CA", r.clientCA, other.Key, "client-ca", "holds no certificate"},
		{"no client CA", r.clientCA, nil, "client-ca", "ca.crt: no such file"},
	} {
		t.Run(test.name, func(t *testing.T) {
			repaired := readFile(t, test.file)
			before, said := metric(t, "configpin_certificate_reload_errors_total", test.label), r.log.lines("level=ERROR", test.file, test.says)
			if test.text == nil {
				require.NoError(t, os.Remove(test.file))
			} else {
				replace(t, test.file, test.text)
			}
			saysOnce := func() bool { return r.log.lines("level=ERROR", test.file, test.says) == said+1 }
			require.Eventually(t, saysOnce, patience, pause)
			require.Eventually(t, func() bool {
				return metric(t, "configpin_certificate_reload_errors_total", test.label) >= before+3
			}, patience, pause, "looked at more than once")
			assert.True(t, saysOnce())
			answer, err := r.get(t, config)
			require.NoError(t, err)
			assert.Equal(t, "answer", answer)
			assert.Equal(t, was, r.leaf(t, config).SerialNumber.String())
			_, err = r.get(t, &tls.Config{RootCAs: pki.Pool(ca)})
			assert.ErrorContains(t, err, "certificate required", "it doesn't begin to answer anybody")

			there := r.log.lines("Certificates are there")
			replace(t, test.file, repaired)
			looked(t)
			assert.Equal(t, there+1, r.log.lines("Certificates are there"), "it says so once")
			repairedAt := metric(t, "configpin_certificate_reload_errors_total", test.label)
			looked(t)
			assert.InDelta(t, repairedAt, metric(t, "configpin_certificate_reload_errors_total", test.label), 0.5, "it rises no more")
		})
	}

	repaired := ca.Server(t, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(36 * time.Hour) })
	repaired.Write(t, r.dir)
	require.Eventually(t, func() bool { return r.leaf(t, config).SerialNumber.String() == serial(t, repaired) }, patience, pause)
	require.Eventually(t, func() bool { return metric(t, "configpin_certificate_days_left", "") < 2 }, patience, pause)
	assert.InDelta(t, 1.5, metric(t, "configpin_certificate_days_left", ""), 0.05)
}

// looked waits until all files were read once more, from the first to the last.
// Each look tells how much time is left, so that it is seen when one begins.
func looked(t *testing.T) {
	t.Helper()
	for range 3 {
		left := metric(t, "configpin_certificate_days_left", "")
		require.Eventually(t, func() bool { return metric(t, "configpin_certificate_days_left", "") < left }, patience, pause)
	}
}

// replace leaves no moment at which a part of the file is there.
func replace(t *testing.T, file string, text []byte) {
	t.Helper()
	require.NoError(t, os.WriteFile(file+".new", text, 0o600))
	require.NoError(t, os.Rename(file+".new", file))
}

func readFile(t *testing.T, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	return text
}

// metric is the value of a metric, for a file if it has such a label.
func metric(t *testing.T, name, file string) float64 {
	t.Helper()
	families, err := metrics.Registry.Gather()
	require.NoError(t, err)
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			if file == "" || m.GetLabel()[0].GetValue() == file {
				return m.GetGauge().GetValue() + m.GetCounter().GetValue() // it is one of them
			}
		}
	}
	require.Fail(t, "there is no such metric", name)
	return 0
}

// TestAChainIsServedAsAWhole: a new intermediate counts, although the leaf and its
// key are the same.
func TestAChainIsServedAsAWhole(t *testing.T) {
	ca := pki.NewAuthority(t, "ca")
	r := serving(t, ca, nil)
	certFile := filepath.Join(r.dir, "tls.crt")
	require.NoError(t, os.WriteFile(certFile, slices.Concat(readFile(t, certFile), pki.NewAuthority(t, "above").PEM), 0o600))
	require.Eventually(t, func() bool {
		connection, err := tls.Dial("tcp", r.address, &tls.Config{RootCAs: pki.Pool(ca)})
		require.NoError(t, err)
		defer connection.Close()
		return len(connection.ConnectionState().PeerCertificates) == 2
	}, patience, pause)
}
