package serve_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/client-go/rest"

	"github.com/configpin/configpin/internal/serve"
)

func TestWrongFlagsAreOneLine(t *testing.T) {
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"an unknown flag":   {[]string{"--colour"}, "program: flag provided but not defined: -colour; see --help"},
		"a wrong value":     {[]string{"-v", "loud"}, `program: invalid value "loud" for flag -v: parse error; see --help`},
		"a stray argument":  {[]string{"now"}, `program: unexpected argument "now"; see --help`},
		"an unknown format": {[]string{"--log-format", "xml"}, `program: --log-format is "xml", not text or json; see --help`},
	} {
		t.Run(name, func(t *testing.T) {
			flags := serve.NewFlags("program", "does.", "")
			var said strings.Builder
			flags.SetOutput(&said)
			err := flags.Read(test.args)
			assert.EqualError(t, err, test.want)
			assert.NotContains(t, said.String(), "Flags:", "not the whole help")
		})
	}
}

func TestReachTellsAnAPIServerThatRefuses(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "who are you?", http.StatusUnauthorized)
	}))
	defer server.Close()
	reach, err := serve.Reach(&rest.Config{Host: server.URL})
	require.NoError(t, err)
	assert.EqualError(t, reach(t.Context()), "reaching the API server: 401 Unauthorized: who are you?\n")
}

func TestConnectOutsideOfAPod(t *testing.T) {
	flags := serve.NewFlags("program", "does.", "")
	require.NoError(t, flags.Read(nil))
	_, err := flags.Connect()
	assert.EqualError(t, err, "finding the API server: this is no Pod: say where with --kubeconfig")
}

func TestHelpIsNoMistake(t *testing.T) {
	err := serve.NewFlags("program", "does.", "").Read([]string{"--help"})
	assert.ErrorIs(t, err, flag.ErrHelp)
}

// address returns a free one. Nobody else listens below it by the time that it
// is used, or the test fails.
func address(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	return listener.Addr().String()
}

func writeCertificate(t *testing.T, dir string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotAfter:     time.Now().Add(time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	keyDER, err := x509.MarshalECPrivateKey(key)
	require.NoError(t, err)
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	require.NoError(t, os.WriteFile(filepath.Join(dir, "tls.key"), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER}), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "tls.crt"), certificate, 0o600))
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(certificate))
	return pool
}

func get(t *testing.T, url string, config *tls.Config) (string, error) {
	t.Helper()
	client := http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}
	response, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return string(body), err
}

const (
	patience = 10 * time.Second
	pause    = 10 * time.Millisecond
)

// TestHTTPS follows a server through its life: it waits for its certificate,
// serves TLS 1.3 only, and answers for a while after it was told to stop.
func TestHTTPS(t *testing.T) {
	dir, at := t.TempDir(), address(t)
	certificate := serve.NewCertificate(dir)
	assert.ErrorContains(t, certificate.Loaded(), "no certificate in")
	go func() { assert.NoError(t, certificate.Watch(t.Context())) }()

	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	slow := make(chan struct{})
	const drain = time.Second
	go func() {
		served <- serve.HTTPS(ctx, at, certificate, drain, http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
			if request.URL.Path == "/slow" {
				<-slow
			}
			fmt.Fprint(w, "answer")
		}))
	}()
	url := "https://" + at + "/"
	require.Eventually(t, func() bool {
		_, err := get(t, url, &tls.Config{MinVersion: tls.VersionTLS13})
		return err != nil && strings.Contains(err.Error(), "remote error: tls: internal error")
	}, patience, pause, "without a certificate it refuses the handshake")

	pool := writeCertificate(t, dir)
	require.Eventually(t, func() bool { return certificate.Loaded() == nil }, patience, pause)
	answer, err := get(t, url, &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS13})
	require.NoError(t, err)
	assert.Equal(t, "answer", answer)
	_, err = get(t, url, &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS12})
	assert.ErrorContains(t, err, "protocol version")

	slowAnswer := make(chan string, 1)
	go func() {
		answer, _ := get(t, url+"slow", &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS13})
		slowAnswer <- answer
	}()
	stop()
	answer, err = get(t, url, &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS13})
	require.NoError(t, err, "it serves while it drains")
	assert.Equal(t, "answer", answer)
	require.Eventually(t, func() bool {
		connection, err := net.Dial("tcp", at)
		if err == nil {
			_ = connection.Close()
		}
		return err != nil
	}, patience, pause, "in the end it listens no more")
	close(slow)
	assert.Equal(t, "answer", <-slowAnswer, "what it was asked before is answered")
	assert.NoError(t, <-served)
}

func TestHealth(t *testing.T) {
	at := address(t)
	ctx, stop := context.WithCancel(t.Context())
	notReady := errors.New("still learning")
	served := make(chan error, 1)
	go func() { served <- serve.Health(ctx, at, func(context.Context) error { return notReady }) }()
	require.Eventually(t, func() bool {
		body, err := get(t, "http://"+at+"/healthz", nil)
		return err == nil && body == "ok\n"
	}, patience, pause)
	body, err := get(t, "http://"+at+"/readyz", nil)
	require.NoError(t, err)
	assert.Equal(t, "not ready: still learning\n", body)
	body, err = get(t, "http://"+at+"/metrics", nil)
	require.NoError(t, err)
	assert.Contains(t, body, "go_goroutines")
	stop()
	assert.NoError(t, <-served)
}

func TestReachTellsAnAPIServerThatIsAway(t *testing.T) {
	reach, err := serve.Reach(&rest.Config{Host: "https://" + address(t)})
	require.NoError(t, err)
	assert.ErrorContains(t, reach(t.Context()), "reaching the API server: ")
}
