package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

// Limits of the servers. A probe or a scrape is small and quick.
const (
	headerTime = 5 * time.Second
	probeTime  = 10 * time.Second
)

// runtimeMetrics are about the process itself. A program that uses controllers
// has them registered already.
func runtimeMetrics() {
	_ = metrics.Registry.Register(collectors.NewGoCollector())
	_ = metrics.Registry.Register(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
}

// Health serves /healthz, /readyz and /metrics at address until ctx ends.
// ready returns why the program isn't ready.
func Health(ctx context.Context, address string, ready func(ctx context.Context) error) error {
	runtimeMetrics()
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("/readyz", func(w http.ResponseWriter, request *http.Request) {
		if err := ready(request.Context()); err != nil {
			http.Error(w, "not ready: "+err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	mux.Handle("/metrics", promhttp.HandlerFor(metrics.Registry, promhttp.HandlerOpts{ErrorHandling: promhttp.HTTPErrorOnError}))
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("serving health: %w", err)
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: headerTime, ReadTimeout: probeTime, WriteTimeout: probeTime}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving health: %w", err)
	}
	return nil
}

// reachTime is how long the API server may take to say that it is there.
const reachTime = 2 * time.Second

// Reach returns a check of whether the API server can be reached.
func Reach(config *rest.Config) (func(ctx context.Context) error, error) {
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("connecting to the cluster: %w", err)
	}
	location, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return nil, fmt.Errorf("connecting to the cluster: %w", err)
	}
	return func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, reachTime)
		defer cancel()
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, location.JoinPath("livez").String(), http.NoBody)
		if err != nil {
			return err
		}
		response, err := client.Do(request)
		if err != nil {
			return fmt.Errorf("reaching the API server: %w", err)
		}
		defer func() { _ = response.Body.Close() }()
		answer, err := io.ReadAll(io.LimitReader(response.Body, 1<<10)) // read, so that the connection serves again
		switch {
		case err != nil:
			return fmt.Errorf("reaching the API server: %w", err)
		case response.StatusCode != http.StatusOK:
			return fmt.Errorf("reaching the API server: %s: %s", response.Status, answer)
		}
		return nil
	}, nil
}
