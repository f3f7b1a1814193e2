package plugin

import (
	"bufio"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// watches types a line that goes on until enough is called, and returns with what to wait
// for a line that has some text.
func (s *shell) watches(line string) (seen func(text string), enough func()) {
	s.t.Helper()
	command := exec.CommandContext(s.t.Context(), "kubectl", append([]string{"configpin"}, strings.Fields(line)...)...)
	command.Env = s.env
	out, err := command.StdoutPipe()
	require.NoError(s.t, err)
	require.NoError(s.t, command.Start())
	lines := make(chan string, 100)
	go func() {
		defer close(lines)
		for scanner := bufio.NewScanner(out); scanner.Scan(); {
			lines <- strings.Join(strings.Fields(scanner.Text()), " ")
		}
	}()
	seen = func(text string) {
		s.t.Helper()
		late := time.After(deadline)
		for {
			select {
			case line, more := <-lines:
				if strings.Contains(line, text) {
					return
				}
				require.True(s.t, more, "it ended, and nobody saw %q", text)
			case <-late:
				require.FailNow(s.t, "nobody saw "+text)
			}
		}
	}
	enough = func() {
		s.t.Helper()
		require.NoError(s.t, command.Process.Signal(os.Interrupt))
		for range lines { // until it ends
		}
		assert.NoError(s.t, command.Wait())
	}
	return seen, enough
}

// watch goes on until somebody has seen enough.
func watch(s *shell) {
	s.begun()
	seen, enough := s.watches("status --watch")
	used, enoughUsed := s.watches("history configmap/app -w")
	seen("WORKLOAD")
	seen("Current")
	used("deployment/web, 2 Pods, 1 ReplicaSet")
	s.edit("app", "colour", "green", "spring")
	s.numbered("configmap/app", 2)
	seen("2 2 Current")
	used("deployment/web, 2 Pods, 1 ReplicaSet ~colour spring")
	s.do("kubectl configpin undo deployment/web --to configmap/app=1")
	seen("Held since")
	enough()
	s.do("kubectl scale deployment web --replicas=3") // nothing but Pods changes
	used("deployment/web, 3 Pods, 1 ReplicaSet")
	enoughUsed()
}

// blip has the API server go and come back while somebody watches.
func blip(s *shell) {
	s.apply(app)
	s.numbered("configmap/app", 1)
	seen, enough := s.watches("history configmap/app --watch -o yaml")
	seen("revision: 1")
	server := s.Cluster.Process("kube-apiserver")
	require.NoError(s.t, server.Kill())
	require.NoError(s.t, server.Start())
	require.NoError(s.t, s.Cluster.Ready(s.t.Context()))
	require.NoError(s.t, s.Configpin.StartVersioner(s.t.Context())) // it ends where it couldn't renew its lease for long
	s.edit("app", "colour", "green", "spring")
	s.numbered("configmap/app", 2)
	seen("---")
	seen("revision: 2")
	enough()
}
