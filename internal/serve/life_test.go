package serve_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/configpin/configpin/internal/serve"
	"github.com/configpin/configpin/test/lab/pki"
)

// TestHTTPS follows a server through its life: it waits for its certificate,
// serves TLS 1.3 only, and answers for a while after it was told to stop.
func TestHTTPS(t *testing.T) {
	dir, at := t.TempDir(), address(t)
	slow := make(chan struct{})
	server := &serve.Server{
		Address: at,
		CertDir: dir,
		Drain:   time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
			if request.URL.Path == "/slow" {
				<-slow
			}
			fmt.Fprint(w, "answer")
		}),
	}
	assert.ErrorContains(t, server.Loaded(), "no certificate in")
	go func() { assert.NoError(t, server.Watch(t.Context())) }()

	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx) }()
	url := "https://" + at + "/"
	require.Eventually(t, func() bool {
		_, err := get(t, url, &tls.Config{MinVersion: tls.VersionTLS13})
		return err != nil && strings.Contains(err.Error(), "remote error: tls: internal error")
	}, patience, pause, "without a certificate it refuses the handshake")

	ca := pki.NewAuthority(t, "ca")
	ca.Server(t).Write(t, dir)
	pool := pki.Pool(ca)
	require.Eventually(t, func() bool { return server.Loaded() == nil }, patience, pause)
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

// TestCallersPart: a caller that keeps its connection gets it closed by an answer, and
// not between two requests, once the server was told to stop.
func TestCallersPart(t *testing.T) {
	for protocol, http2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2.0": true} {
		t.Run(protocol, func(t *testing.T) {
			dir, ca := t.TempDir(), pki.NewAuthority(t, "ca")
			ca.Server(t).Write(t, dir)
			server := &serve.Server{Address: address(t), CertDir: dir, Drain: 2 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.WriteString(w, r.Proto)
			})}
			go func() { assert.NoError(t, server.Watch(t.Context())) }()
			require.Eventually(t, func() bool { return server.Loaded() == nil }, patience, pause)
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			served := make(chan error, 1)
			go func() { served <- server.Serve(ctx) }()

			transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pki.Pool(ca)}, ForceAttemptHTTP2: http2}
			defer transport.CloseIdleConnections()
			ask := func() (answer string, reused bool, err error) {
				traced := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) { reused = info.Reused }})
				request, err := http.NewRequestWithContext(traced, http.MethodGet, "https://"+server.Address, nil)
				require.NoError(t, err)
				response, err := (&http.Client{Transport: transport}).Do(request)
				if err != nil {
					return "", reused, err
				}
				defer response.Body.Close()
				text, err := io.ReadAll(response.Body)
				return string(text), reused, err
			}
			require.Eventually(t, func() bool {
				answer, _, err := ask()
				return err == nil && assert.Equal(t, protocol, answer)
			}, patience, pause)
			_, reused, err := ask()
			require.NoError(t, err)
			assert.True(t, reused, "it keeps its connection")
			stop()
			answer, _, err := ask()
			require.NoError(t, err)
			assert.Equal(t, protocol, answer)
			require.Eventually(t, func() bool {
				_, reused, err := ask()
				return err == nil && !reused
			}, patience, pause, "it goes on with the same connection")
			assert.NoError(t, <-served)
		})
	}
}

// TestSlowCallersAreCutOff: those that send a byte now and then lose their
// connection, and others don't notice.
func TestSlowCallersAreCutOff(t *testing.T) {
	ca := pki.NewAuthority(t, "ca")
	const readTime = 2 * time.Second // ample for those who aren't slow, on a machine that has other work
	r := serving(t, ca, nil, func(s *serve.Server) { s.ReadTime = readTime })
	config := &tls.Config{RootCAs: pki.Pool(ca)}
	for name, begin := range map[string]string{
		"in the middle of a body":     "POST / HTTP/1.1\r\nHost: webhook\r\nContent-Length: 1000000\r\n\r\n{",
		"in the middle of its header": "POST / HTTP/1.1\r\nHost: webhook\r\nX: ",
		"in an endless body":          "POST / HTTP/1.1\r\nHost: webhook\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			connection, err := tls.Dial("tcp", r.address, config)
			require.NoError(t, err)
			defer connection.Close()
			_, err = connection.Write([]byte(begin))
			require.NoError(t, err)
			cutOff := make(chan struct{})
			go func() {
				defer close(cutOff)
				_, _ = io.Copy(io.Discard, connection) // it ends in whatever way
			}()
			byteByByte := time.NewTicker(readTime / 10)
			defer byteByByte.Stop()
			deadline := time.NewTimer(patience)
			defer deadline.Stop()
			for {
				select {
				case <-cutOff:
					return
				case <-deadline.C:
					require.FailNow(t, "it still holds its connection")
				case <-byteByByte.C:
					_, _ = connection.Write([]byte("1")) // fails once it is cut off
					answer, err := r.get(t, config)
					require.NoError(t, err)
					assert.Equal(t, "answer", answer)
				}
			}
		})
	}
}
