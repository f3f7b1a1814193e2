//go:build unix && !linux

package process

import (
	"errors"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// attributes: only Linux can tie the life of a process to that of its parent.
func attributes(detached bool) *syscall.SysProcAttr {
	if detached {
		return &syscall.SysProcAttr{Setsid: true}
	}
	return &syscall.SysProcAttr{Setpgid: true}
}

func fork(cmd *exec.Cmd) error { return cmd.Start() }

// commandLine returns the arguments of a process joined by spaces, as ps prints them. ps fails for a PID that is not
// in use.
func commandLine(pid int) (string, error) {
	out, err := exec.Command("ps", "-ww", "-o", "args=", "-p", strconv.Itoa(pid)).Output()
	if err != nil {
		return "", err
	}
	return strings.TrimRight(string(out), "\n"), nil
}

// standsStill says whether a process is stopped, as ps tells it. One that has ended is.
func standsStill(pid int) bool {
	out, err := exec.Command("ps", "-o", "state=", "-p", strconv.Itoa(pid)).Output()
	if exit := (&exec.ExitError{}); errors.As(err, &exit) {
		return true
	}
	return strings.HasPrefix(strings.TrimSpace(string(out)), "T")
}
