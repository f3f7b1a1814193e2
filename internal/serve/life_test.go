package serve

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/configpin/configpin/test/lab/pki"
)

// wires are a network in memory, of one listener: what crosses it may be waited for in a
// bubble of synctest, where minutes pass at once.
type wires struct {
	dialled chan net.Conn
	closed  chan struct{}
	close   sync.Once
}

func newWires() *wires { return &wires{dialled: make(chan net.Conn), closed: make(chan struct{})} }

func (w *wires) Accept() (net.Conn, error) {
	select {
	case connection := <-w.dialled:
		return connection, nil
	case <-w.closed:
		return nil, net.ErrClosed
	}
}

func (w *wires) Close() error {
	w.close.Do(func() { close(w.closed) })
	return nil
}

func (w *wires) Addr() net.Addr { return &net.TCPAddr{} }

func (w *wires) dial(context.Context, string, string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case w.dialled <- there:
		return here, nil
	case <-w.closed:
		return nil, net.ErrClosed
	}
}

// caller is one who calls over the wires, and keeps a connection.
func (w *wires) caller(config *tls.Config, http2 bool) *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: w.dial, TLSClientConfig: config, ForceAttemptHTTP2: http2}}
}

// asked is the answer to a request of path, and whether it came through a connection that was
// there before.
func asked(ctx context.Context, by *http.Client, path string) (answer string, reused bool, err error) {
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) { reused = info.Reused }})
	request, err := http.NewRequestWithContext(traced, http.MethodGet, "https://127.0.0.1"+path, nil)
	if err != nil {
		return "", false, err
	}
	response, err := by.Do(request)
	if err != nil {
		return "", reused, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return string(text), reused, err
}

// lives starts a server on wires, whose certificate may come later.
func lives(t *testing.T, server *Server) (on *wires, stop func(), served chan error) {
	t.Helper()
	on, served = newWires(), make(chan error, 1)
	watching, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	go func() { assert.NoError(t, server.Watch(watching)) }()
	ctx, stop := context.WithCancel(t.Context())
	go func() { served <- server.serveOn(ctx, on) }()
	return on, stop, served
}

// TestHTTPS follows a server through its life: it waits for its certificate,
// serves TLS 1.3 only, and answers for a while after it was told to stop.
func TestHTTPS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, slow := t.TempDir(), make(chan struct{})
		server := &Server{CertDir: dir, Drain: 5 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
			if request.URL.Path == "/slow" {
				<-slow
			}
			fmt.Fprint(w, "answer")
		})}
		assert.ErrorContains(t, server.Loaded(), "no certificate in")
		on, stop, served := lives(t, server)
		ca := pki.NewAuthority(t, "ca")
		trusting := &tls.Config{RootCAs: pki.Pool(ca), MinVersion: tls.VersionTLS13}
		caller := on.caller(trusting, false)
		defer caller.CloseIdleConnections()
		_, _, err := asked(t.Context(), caller, "/")
		assert.ErrorContains(t, err, "remote error: tls: internal error", "without a certificate it refuses the handshake")

		ca.Server(t).Write(t, dir)
		<-time.After(certificatePoll)
		synctest.Wait()
		require.NoError(t, server.Loaded())
		answer, _, err := asked(t.Context(), caller, "/")
		require.NoError(t, err)
		assert.Equal(t, "answer", answer)
		_, _, err = asked(t.Context(), on.caller(&tls.Config{RootCAs: trusting.RootCAs, MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS12}, false), "/")
		assert.ErrorContains(t, err, "protocol version")

		slowAnswer := make(chan string, 1)
		go func() {
			answer, _, _ := asked(t.Context(), caller, "/slow")
			slowAnswer <- answer
		}()
		synctest.Wait()
		stop()
		answer, _, err = asked(t.Context(), caller, "/")
		require.NoError(t, err, "it serves while it drains")
		assert.Equal(t, "answer", answer)
		<-time.After(server.Drain)
		synctest.Wait()
		_, _, err = asked(t.Context(), caller, "/")
		require.ErrorIs(t, err, net.ErrClosed, "in the end it listens no more")
		close(slow)
		assert.Equal(t, "answer", <-slowAnswer, "what it was asked before is answered")
		assert.NoError(t, <-served)
	})
}

// TestCallersPart: a caller that keeps its connection gets it closed by an answer, and
// not between two requests, once the server was told to stop.
func TestCallersPart(t *testing.T) {
	for protocol, http2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2.0": true} {
		t.Run(protocol, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dir, ca := t.TempDir(), pki.NewAuthority(t, "ca")
				ca.Server(t).Write(t, dir)
				on, stop, served := lives(t, &Server{CertDir: dir, Drain: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					_, _ = io.WriteString(w, r.Proto)
				})})
				synctest.Wait()
				caller := on.caller(&tls.Config{RootCAs: pki.Pool(ca)}, http2)
				defer caller.CloseIdleConnections()
				for _, want := range []struct{ reused, stopped bool }{{}, {reused: true}, {reused: true, stopped: true}, {}} {
					if want.stopped {
						stop()
					}
					answer, reused, err := asked(t.Context(), caller, "/")
					require.NoError(t, err)
					assert.Equal(t, protocol, answer)
					assert.Equal(t, want.reused, reused, "it keeps its connection until the answer after the end")
					synctest.Wait()
				}
				assert.NoError(t, <-served)
			})
		})
	}
}

// TestSlowCallersAreCutOff: those that send a byte now and then lose their
// connection, and others don't notice.
func TestSlowCallersAreCutOff(t *testing.T) {
	for name, test := range map[string]struct {
		begin string
		after time.Duration
	}{
		"in the middle of a body":     {"POST / HTTP/1.1\r\nHost: webhook\r\nContent-Length: 1000000\r\n\r\n{", reviewReadTime},
		"in the middle of its header": {"POST / HTTP/1.1\r\nHost: webhook\r\nX: ", headerTime},
		"in an endless body":          {"POST / HTTP/1.1\r\nHost: webhook\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n", reviewReadTime},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dir, ca := t.TempDir(), pki.NewAuthority(t, "ca")
				ca.Server(t).Write(t, dir)
				on, stop, served := lives(t, &Server{CertDir: dir, Handler: http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
					if _, err := io.Copy(io.Discard, request.Body); err != nil {
						http.Error(w, "slow", http.StatusBadRequest)
						return
					}
					fmt.Fprint(w, "answer")
				})})
				synctest.Wait()
				config := &tls.Config{RootCAs: pki.Pool(ca), ServerName: "127.0.0.1"}
				wire, err := on.dial(t.Context(), "", "")
				require.NoError(t, err)
				connection := tls.Client(wire, config)
				require.NoError(t, connection.Handshake())
				defer connection.Close()
				cutOff := make(chan time.Time, 1)
				go func() {
					_, _ = io.Copy(io.Discard, connection) // it ends in whatever way
					cutOff <- time.Now()
				}()
				began := time.Now()
				_, err = connection.Write([]byte(test.begin))
				require.NoError(t, err)
				other := on.caller(config, false)
				defer other.CloseIdleConnections()
				for time.Since(began) < 2*reviewReadTime {
					<-time.After(reviewReadTime / 10)
					_, _ = connection.Write([]byte("1")) // fails once it is cut off
					answer, _, err := asked(t.Context(), other, "/")
					require.NoError(t, err)
					assert.Equal(t, "answer", answer)
				}
				synctest.Wait()
				require.Len(t, cutOff, 1, "it still holds its connection")
				assert.WithinDuration(t, began.Add(test.after), <-cutOff, reviewReadTime/5)
				stop()
				assert.NoError(t, <-served)
			})
		})
	}
}
