package process

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
)

func attributes(detached bool) *syscall.SysProcAttr {
	if detached {
		return &syscall.SysProcAttr{Setsid: true}
	}
	// A group of its own: Ctrl-C reaches the caller, which stops its processes in order.
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// fork starts the command from a thread that lives as long as this process. Pdeathsig fires when the *thread* that
// forked ends, and the Go runtime ends threads as it likes (golang/go#27505).
func fork(cmd *exec.Cmd) error {
	started := make(chan error)
	forks() <- func() { started <- cmd.Start() }
	return <-started
}

var forks = sync.OnceValue(func() chan<- func() {
	work := make(chan func())
	go func() {
		runtime.LockOSThread()
		for f := range work {
			f()
		}
	}()
	return work
})

// commandLine returns the arguments of a process joined by spaces. It is empty for a zombie.
func commandLine(pid int) (string, error) {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return "", err
	}
	return strings.ReplaceAll(strings.TrimSuffix(string(content), "\x00"), "\x00", " "), nil
}

// standsStill says whether every thread of a process is stopped. One that has ended is.
func standsStill(pid int) bool {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil {
		return false
	}
	for _, file := range threads {
		content, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		// "PID (NAME) STATE ...", proc_pid_stat(5): the name may hold anything.
		_, rest, _ := strings.Cut(string(content[bytes.LastIndexByte(content, ')')+1:]), " ")
		if rest == "" || !strings.Contains("TtZX", rest[:1]) {
			return false
		}
	}
	return true
}
