package controlplane

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strconv"
	"sync"

	"github.com/configpin/configpin/test/lab/tools"
)

// Ports are chosen below the range from which the kernel takes ports for outgoing connections (32768 on Linux, 49152
// elsewhere). Within it, a client that reconnects to a server that is being restarted can be given the server's own
// port, connect to itself, and keep the server from ever binding it again.
const (
	firstPort = 20000
	lastPort  = 29999
)

// state is what a directory remembers from one start to the next.
type state struct {
	mu    sync.Mutex
	file  string
	ports map[string]int
}

type stateFile struct {
	Ports map[string]int `json:"ports"`
}

func openState(file string) (*state, error) {
	s := &state{file: file, ports: map[string]int{}}
	content, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the ports: %w", err)
	}
	var stored stateFile
	if err := json.Unmarshal(content, &stored); err != nil {
		return nil, fmt.Errorf("reading the ports from %s: %w; remove the file to have new ones", file, err)
	}
	if stored.Ports != nil {
		s.ports = stored.Ports
	}
	return s, nil
}

// port returns the port that the name had before, and chooses one the first time.
func (s *state) port(name string) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if port, known := s.ports[name]; known {
		return port, nil
	}
	port, err := s.choose()
	if err != nil {
		return 0, fmt.Errorf("choosing a port for %s: %w", name, err)
	}
	s.ports[name] = port
	return port, s.save()
}

// forgetTaken drops the ports of these names if something listens on any of them: one is no use without the others,
// since the programs are told each other's.
func (s *state) forgetTaken(names []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	taken := slices.ContainsFunc(names, func(name string) bool {
		port, known := s.ports[name]
		return known && !free(port)
	})
	if taken {
		for _, name := range names {
			delete(s.ports, name)
		}
	}
}

func (s *state) choose() (int, error) {
	used := map[int]bool{}
	for _, port := range s.ports {
		used[port] = true
	}
	const attempts = 1000
	for range attempts {
		if port := firstPort + rand.IntN(lastPort-firstPort+1); !used[port] && free(port) {
			return port, nil
		}
	}
	return 0, fmt.Errorf("%d random ports from %d to %d are all taken", attempts, firstPort, lastPort)
}

func (s *state) save() error {
	content, err := json.MarshalIndent(stateFile{Ports: s.ports}, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the ports: %w", err)
	}
	if err := tools.WriteFile(s.file, append(content, '\n'), 0o600); err != nil {
		return fmt.Errorf("keeping the ports: %w", err)
	}
	return nil
}

func free(port int) bool {
	listener, err := net.Listen("tcp4", address(port))
	if err != nil {
		return false
	}
	return listener.Close() == nil
}

func address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
