package serve

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/util/wait"
	logf "sigs.k8s.io/controller-runtime/pkg/log"
)

// Limits of the webhook's server. A review of 7 MiB must get through a slow
// network; a caller that sends nothing must not hold a connection.
const (
	reviewReadTime  = 15 * time.Second
	reviewWriteTime = 35 * time.Second // the longest that the API server waits, and some
	idleTime        = 120 * time.Second
	maxHeader       = 64 << 10
)

// Server serves in TLS 1.3, and nothing else.
type Server struct {
	Address string
	Handler http.Handler

	// CertDir is the folder of tls.crt and tls.key, which needn't be there yet.
	CertDir string

	// Callers are who is answered; nil means anybody.
	Callers *Callers

	// Drain is how long it goes on serving after it was told to stop, while those
	// who call it learn that it is going.
	Drain time.Duration

	// Poll is how often the files of certificates are read. 0 means every 500 ms.
	Poll time.Duration

	certificate loaded[tls.Certificate]
}

// certificatePoll is short for those who wait for the first certificate. The files
// are small, and looking is simpler than being told: a watch loses a file that is
// replaced, and tells of one that is half written.
const certificatePoll = 500 * time.Millisecond

// Watch waits for the files of certificates, and then reads them again whenever
// they change, until ctx ends.
func (s *Server) Watch(ctx context.Context) error {
	tlsMetrics()
	_ = wait.PollUntilContextCancel(ctx, cmp.Or(s.Poll, certificatePoll), true, func(ctx context.Context) (bool, error) {
		s.look(ctx)
		return false, nil
	}) // it fails when ctx ends, as it shall
	return nil
}

func (s *Server) look(ctx context.Context) {
	s.certificate.look(ctx, files[tls.Certificate]{
		label: fileCertificate,
		names: []string{filepath.Join(s.CertDir, "tls.crt"), filepath.Join(s.CertDir, "tls.key")},
		make:  parsePair,
	})
	if served := s.certificate.now.Load(); served != nil {
		daysLeft.Set(time.Until(served.Leaf.NotAfter).Hours() / 24)
	}
	if s.Callers != nil {
		s.Callers.pool.look(ctx, s.Callers.files())
	}
}

// Loaded returns why nobody can be served yet.
func (s *Server) Loaded() error {
	switch {
	case s.certificate.now.Load() == nil:
		return fmt.Errorf("no certificate in %s yet", s.CertDir)
	case s.Callers != nil && s.Callers.pool.now.Load() == nil:
		return fmt.Errorf("no client CA in %s yet", s.Callers.CA)
	}
	return nil
}

func (s *Server) config() *tls.Config {
	config := &tls.Config{
		MinVersion: tls.VersionTLS13,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return s.certificate.now.Load(), s.Loaded()
		},
	}
	if s.Callers != nil {
		config.ClientAuth, config.VerifyConnection = tls.RequireAnyClientCert, s.Callers.check
	}
	return config
}

// Serve serves until ctx ends. Then it drains, and ends once the requests that it
// has are answered.
func (s *Server) Serve(ctx context.Context) error {
	listener, err := net.Listen("tcp", s.Address)
	if err != nil {
		return fmt.Errorf("serving: %w", err)
	}
	return s.serveOn(ctx, listener)
}

func (s *Server) serveOn(ctx context.Context, listener net.Listener) error {
	server := &http.Server{
		Handler:           partingFrom(ctx, s.Handler),
		BaseContext:       func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
		ReadHeaderTimeout: headerTime,
		ReadTimeout:       reviewReadTime,
		WriteTimeout:      reviewWriteTime,
		IdleTimeout:       idleTime,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(logr.ToSlogHandler(logf.FromContext(ctx)), slog.Level(-1)), // callers that hang up or shake hands wrongly
		TLSConfig:         s.config(),
	}
	stopped := make(chan error, 1)
	context.AfterFunc(ctx, func() {
		draining := time.NewTimer(s.Drain)
		<-draining.C
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), reviewWriteTime)
		defer cancel()
		stopped <- server.Shutdown(last)
	})
	if err := server.ServeTLS(listener, "", ""); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving: %w", err)
	}
	return <-stopped
}

// partingFrom has callers, who keep their connections, make new ones once ctx has ended,
// to somebody who stays. http.Server.Shutdown closes what is idle at that moment, also
// under HTTP/2 and without a word before, and a caller's next request may be under way: the
// API server doesn't send it again.
func partingFrom(ctx context.Context, handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		if ctx.Err() != nil {
			w.Header().Set("Connection", "close") // under HTTP/2, net/http sends GOAWAY instead
		}
		handler.ServeHTTP(w, request)
	})
}
