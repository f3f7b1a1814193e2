package lifecycle

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
)

// egress stands between the API server and Services, as a proxy that it is told to use
// for all of them, and as kube-proxy on a node: what is sent to any Service goes to one
// of the Pods behind it. Here that is the webhook, whose processes are the Pods.
type egress struct {
	listener net.Listener
	server   http.Server

	mu      sync.Mutex
	targets []string
	next    int
}

// newEgress listens at a socket in a folder.
func newEgress(folder string) (*egress, error) {
	listener, err := net.Listen("unix", filepath.Join(folder, "egress"))
	if err != nil {
		return nil, fmt.Errorf("listening for the API server: %w", err)
	}
	e := &egress{listener: listener}
	e.server.Handler = http.HandlerFunc(e.connect)
	go func() { _ = e.server.Serve(listener) }()
	return e, nil
}

// apiServerArgs make the API server call Services through it.
func (e *egress) apiServerArgs() ([]string, error) {
	path := e.listener.Addr().String()
	file := path + ".yaml"
	err := os.WriteFile(file, fmt.Appendf(nil, `apiVersion: apiserver.k8s.io/v1beta1
kind: EgressSelectorConfiguration
egressSelections:
- name: cluster
  connection:
    proxyProtocol: HTTPConnect
    transport:
      uds: {udsName: %q}
`, path), 0o600)
	return []string{"--egress-selector-config-file=" + file}, err
}

// add makes an address one of those behind the Service, if it isn't one.
func (e *egress) add(address string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !slices.Contains(e.targets, address) {
		e.targets = append(e.targets, address)
	}
}

// remove takes one away. Connections that are there go on.
func (e *egress) remove(address string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.targets = slices.DeleteFunc(e.targets, func(each string) bool { return each == address })
}

// pick returns the next of them.
func (e *egress) pick() (string, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.targets) == 0 {
		return "", errors.New("no endpoints available")
	}
	e.next++
	return e.targets[e.next%len(e.targets)], nil
}

// dial connects to one of them.
func (e *egress) dial(ctx context.Context) (net.Conn, error) {
	address, err := e.pick()
	if err != nil {
		return nil, err
	}
	return (&net.Dialer{}).DialContext(ctx, "tcp", address)
}

func (e *egress) connect(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodConnect {
		http.Error(w, "only CONNECT", http.StatusMethodNotAllowed)
		return
	}
	to, err := e.dial(r.Context())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer to.Close()
	w.WriteHeader(http.StatusOK)
	from, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer from.Close()
	join(from, buffered, to)
}

// join copies both ways until one ends.
func join(from net.Conn, buffered *bufio.ReadWriter, to net.Conn) {
	done := make(chan struct{}, 2)
	go func() {
		_, _ = io.Copy(to, buffered)
		done <- struct{}{}
	}()
	go func() {
		_, _ = io.Copy(from, to)
		done <- struct{}{}
	}()
	<-done
}

func (e *egress) close() error { return e.server.Close() }
