package serve_test

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptrace"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/configpin/configpin/internal/serve"
	"github.com/configpin/configpin/test/lab/pki"
)

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
