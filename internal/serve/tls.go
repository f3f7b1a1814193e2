package serve

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/certwatcher"
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

// Certificate is a served certificate that is read again when its files change.
type Certificate struct {
	dir     string
	watcher atomic.Pointer[certwatcher.CertWatcher]
}

// NewCertificate returns the certificate in tls.crt and tls.key of dir, which
// needn't be there yet.
func NewCertificate(dir string) *Certificate { return &Certificate{dir: dir} }

// certificatePoll is how often a certificate that isn't there yet is looked for.
const certificatePoll = 500 * time.Millisecond

// Watch waits for the certificate, and then reads it again whenever it changes,
// until ctx ends.
func (c *Certificate) Watch(ctx context.Context) error {
	log := logf.FromContext(ctx)
	said := false
	err := wait.PollUntilContextCancel(ctx, certificatePoll, true, func(context.Context) (bool, error) {
		watcher, err := certwatcher.New(filepath.Join(c.dir, "tls.crt"), filepath.Join(c.dir, "tls.key"))
		if err != nil {
			if !said {
				log.Info("Waiting for the certificate", "reason", err.Error())
			}
			said = true
			return false, nil
		}
		c.watcher.Store(watcher)
		return true, nil
	})
	if err != nil {
		return nil //nolint:nilerr // it was told to stop
	}
	return c.watcher.Load().Start(ctx)
}

// Loaded returns why there is no certificate to serve.
func (c *Certificate) Loaded() error {
	if c.watcher.Load() == nil {
		return fmt.Errorf("no certificate in %s yet", c.dir)
	}
	return nil
}

func (c *Certificate) get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if err := c.Loaded(); err != nil {
		return nil, err
	}
	return c.watcher.Load().GetCertificate(hello)
}

// HTTPS serves handler at address, in TLS 1.3 only, until ctx ends. Then it goes
// on serving for drain, while those who call it learn that it is going, and ends
// once the requests that it has are answered.
func HTTPS(ctx context.Context, address string, certificate *Certificate, drain time.Duration, handler http.Handler) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("serving: %w", err)
	}
	server := &http.Server{
		Handler:           handler,
		BaseContext:       func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
		ReadHeaderTimeout: headerTime,
		ReadTimeout:       reviewReadTime,
		WriteTimeout:      reviewWriteTime,
		IdleTimeout:       idleTime,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(logr.ToSlogHandler(logf.FromContext(ctx)), slog.Level(-1)), // callers that hang up or shake hands wrongly
		TLSConfig:         &tls.Config{MinVersion: tls.VersionTLS13, GetCertificate: certificate.get},
	}
	stopped := make(chan error, 1)
	context.AfterFunc(ctx, func() {
		draining := time.NewTimer(drain)
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
