package serve_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/configpin/configpin/internal/serve"
	"github.com/configpin/configpin/test/lab/pki"
)

// running is a server on loopback, and the files that it reads.
type running struct {
	address  string
	dir      string // of its certificate
	clientCA string // the file
	log      *logged
}

// logged is what a server says, line by line.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(text []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(text)
}

// lines that hold all of these.
func (l *logged) lines(fragments ...string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	count := 0
	for line := range strings.Lines(l.text.String()) {
		if !slices.ContainsFunc(fragments, func(f string) bool { return !strings.Contains(line, f) }) {
			count++
		}
	}
	return count
}

// serving starts a server of ca that answers whoever clients signed, or anybody if
// it is nil, and waits until it does.
func serving(t *testing.T, ca, clients *pki.Authority, change ...func(*serve.Server)) *running {
	t.Helper()
	r := &running{address: address(t), dir: t.TempDir(), clientCA: filepath.Join(t.TempDir(), "ca.crt"), log: &logged{}}
	ca.Server(t).Write(t, r.dir)
	server := &serve.Server{Address: r.address, CertDir: r.dir, Poll: pause, Handler: http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		if _, err := io.Copy(io.Discard, request.Body); err != nil {
			http.Error(w, "slow", http.StatusBadRequest)
			return
		}
		fmt.Fprint(w, "answer")
	})}
	if clients != nil {
		require.NoError(t, os.WriteFile(r.clientCA, clients.PEM, 0o600))
		server.Callers = &serve.Callers{CA: r.clientCA}
	}
	for _, change := range change {
		change(server)
	}
	ctx, stop := context.WithCancel(logf.IntoContext(context.WithoutCancel(t.Context()), logr.FromSlogHandler(slog.NewTextHandler(r.log, nil))))
	watched, served := make(chan error, 1), make(chan error, 1)
	go func() { watched <- server.Watch(ctx) }()
	go func() { served <- server.Serve(ctx) }()
	t.Cleanup(func() {
		stop()
		assert.NoError(t, <-watched)
		assert.NoError(t, <-served)
	})
	require.Eventually(t, func() bool { return server.Loaded() == nil }, patience, pause)
	require.Eventually(t, func() bool {
		connection, err := net.Dial("tcp", r.address)
		if err == nil {
			_ = connection.Close()
		}
		return err == nil
	}, patience, pause)
	return r
}

func (r *running) get(t *testing.T, config *tls.Config) (string, error) {
	t.Helper()
	return get(t, "https://"+r.address+"/", config)
}

// leaf is the certificate that is served now.
func (r *running) leaf(t *testing.T, config *tls.Config) *x509.Certificate {
	t.Helper()
	connection, err := tls.Dial("tcp", r.address, config)
	require.NoError(t, err)
	defer connection.Close()
	return connection.ConnectionState().PeerCertificates[0]
}

// serial tells a certificate from all others.
func serial(t *testing.T, p pki.Pair) string {
	t.Helper()
	return p.TLS(t).Leaf.SerialNumber.String()
}

func TestWhoNamesNoServerIsServed(t *testing.T) {
	ca := pki.NewAuthority(t, "ca")
	r := serving(t, ca, nil)
	connection, err := tls.Dial("tcp", r.address, &tls.Config{RootCAs: pki.Pool(ca)}) // an address isn't sent as a name
	require.NoError(t, err)
	defer connection.Close()
	assert.Equal(t, uint16(tls.VersionTLS13), connection.ConnectionState().Version)
	_, err = r.get(t, &tls.Config{RootCAs: pki.Pool(ca), ServerName: "configpin-webhook.configpin-system.svc"})
	assert.NoError(t, err)
}

func TestCallers(t *testing.T) {
	ca, clients, others := pki.NewAuthority(t, "ca"), pki.NewAuthority(t, "clients"), pki.NewAuthority(t, "others")
	anybody := serving(t, ca, clients)
	named := serving(t, ca, clients, func(s *serve.Server) { s.Callers.Names = []string{"kube-apiserver", "api.example"} })
	usage := func(usages ...x509.ExtKeyUsage) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.ExtKeyUsage = usages }
	}
	calledToo := func(names ...string) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.DNSNames = names }
	}
	for name, test := range map[string]struct {
		of      *running
		shown   []pki.Pair
		refused string // empty if it is answered
	}{
		"no certificate":                      {anybody, nil, "certificate required"},
		"one of another CA":                   {anybody, []pki.Pair{others.Client(t, "kube-apiserver")}, "bad certificate"},
		"one that the serving CA signed":      {anybody, []pki.Pair{ca.Client(t, "kube-apiserver")}, "bad certificate"},
		"one that has expired":                {anybody, []pki.Pair{clients.Client(t, "kube-apiserver", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })}, "bad certificate"},
		"one that isn't valid yet":            {anybody, []pki.Pair{clients.Client(t, "kube-apiserver", func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Hour) })}, "bad certificate"},
		"one for servers only":                {anybody, []pki.Pair{clients.Client(t, "kube-apiserver", usage(x509.ExtKeyUsageServerAuth))}, "bad certificate"},
		"one that doesn't say what it is for": {anybody, []pki.Pair{clients.Client(t, "kube-apiserver", usage())}, "bad certificate"},
		"one for servers and clients":         {anybody, []pki.Pair{clients.Client(t, "kube-apiserver", usage(x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth))}, ""},
		"one of any name":                     {anybody, []pki.Pair{clients.Client(t, "somebody")}, ""},
		"one of another name":                 {named, []pki.Pair{clients.Client(t, "somebody")}, "bad certificate"},
		"one of a name that begins alike":     {named, []pki.Pair{clients.Client(t, "kube-apiserver-2", calledToo("api.example.com"))}, "bad certificate"},
		"one of no name":                      {named, []pki.Pair{clients.Client(t, "")}, "bad certificate"},
		"one of the name":                     {named, []pki.Pair{clients.Client(t, "kube-apiserver")}, ""},
		"one of the name as a DNS name":       {named, []pki.Pair{clients.Client(t, "somebody", calledToo("else", "api.example"))}, ""},
		"the name, of another CA":             {named, []pki.Pair{others.Client(t, "kube-apiserver")}, "bad certificate"},
		"no certificate where a name counts":  {named, nil, "certificate required"},
	} {
		t.Run(name, func(t *testing.T) {
			config := &tls.Config{RootCAs: pki.Pool(ca)}
			config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { // whatever the server asks for
				if len(test.shown) == 0 {
					return &tls.Certificate{}, nil
				}
				shown := test.shown[0].TLS(t)
				return &shown, nil
			}
			answer, err := test.of.get(t, config)
			if test.refused == "" {
				require.NoError(t, err)
				assert.Equal(t, "answer", answer)
				return
			}
			assert.ErrorContains(t, err, test.refused)
			assert.Empty(t, answer)
		})
	}
}
