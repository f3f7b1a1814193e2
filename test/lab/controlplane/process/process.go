// Package process runs a program in the background and finds it again.
//
// A [Process] leaves two files in its directory: NAME.pid and NAME.log. Whoever comes later, in another process or after
// a crash, makes the same value and can tell whether it runs, stop it, pause it, or read its log.
//
// It is separate because the control plane and the programs under test need exactly the same: both are killed, paused
// and restarted by fault tests, and both outlive `make up`.
//
// It does not restart what has died, and it never signals a process that it cannot prove to be its own: a PID file may
// be older than the last reboot.
package process

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// stopGrace is how long Stop waits between SIGTERM and SIGKILL. The slowest to go is kube-apiserver, which lets the
// requests in flight finish.
const stopGrace = 10 * time.Second

// killGrace is how long the kernel may take to remove a process after SIGKILL. Only a process stuck in the kernel
// takes longer than a moment.
const killGrace = 10 * time.Second

// pauseGrace is how long the threads of a process may take to stop: each does when it gets a processor.
const pauseGrace = 10 * time.Second

// Process is a program that runs in the background. The zero value with Name, Path and Dir set is ready to use.
//
// Its identity is argument zero, Dir/Name: no other process on the machine has it, and `ps` shows to which directory
// a process belongs. A program that is a script cannot be run, because the kernel replaces a script's argument zero.
type Process struct {
	// Name is unique within Dir.
	Name string
	// Path is the program, absolute.
	Path string
	Args []string
	// Env is added to the environment of the caller.
	Env []string
	// Dir is absolute. It holds the PID file and the log, and is the working directory.
	Dir string
	// Detached says that the process outlives the caller. Otherwise it dies with it on Linux, even when the caller is
	// killed; elsewhere only Stop and Kill end it.
	Detached bool

	mu    sync.Mutex
	child *child
}

// child is a process that this very value has started: the system tells us when it ends.
type child struct {
	pid  int
	gone chan struct{}
}

// PIDFile is where the PID is kept.
func (p *Process) PIDFile() string { return filepath.Join(p.Dir, p.Name+".pid") }

// LogFile is where standard output and standard error go. Every start appends.
func (p *Process) LogFile() string { return filepath.Join(p.Dir, p.Name+".log") }

// Start starts the process unless it runs already.
func (p *Process) Start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pid() != 0 {
		return nil
	}
	if err := p.start(); err != nil {
		return fmt.Errorf("starting %s: %w", p.Name, err)
	}
	return nil
}

func (p *Process) start() error {
	log, err := os.OpenFile(p.LogFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()

	cmd := &exec.Cmd{
		Path:        p.Path,
		Args:        append([]string{p.identity()}, p.Args...),
		Env:         append(os.Environ(), p.Env...),
		Dir:         p.Dir,
		Stdout:      log,
		Stderr:      log,
		SysProcAttr: attributes(p.Detached),
	}
	if err := fork(cmd); err != nil {
		return err
	}
	c := &child{pid: cmd.Process.Pid, gone: make(chan struct{})}
	go func() {
		_ = cmd.Wait() // how it ended is in its log
		close(c.gone)
	}()
	p.child = c

	if err := writePID(p.PIDFile(), c.pid); err != nil {
		return errors.Join(err, cmd.Process.Kill()) // nobody could find it again
	}
	return nil
}

// Running says whether the process exists. A paused one does.
func (p *Process) Running() bool { return p.PID() != 0 }

// PID is 0 when the process does not run.
func (p *Process) PID() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pid()
}

func (p *Process) pid() int {
	pid, err := readPID(p.PIDFile())
	if err != nil || !p.owns(pid) {
		return 0
	}
	return pid // another value may have started it, even if this one started one before
}

// Stop asks the process to end and kills it when it does not. It is fine when the process does not run.
func (p *Process) Stop() error {
	return p.end(func(pid int) error {
		if err := signal(pid, syscall.SIGTERM); err != nil {
			return err
		}
		// A paused process would see SIGTERM only when it is resumed.
		if err := signal(pid, syscall.SIGCONT); err != nil {
			return err
		}
		if p.waitGone(pid, stopGrace) {
			return nil
		}
		return p.kill()
	})
}

// Kill ends the process as the kernel's out-of-memory killer would, and returns when it is gone.
func (p *Process) Kill() error {
	return p.end(func(int) error { return p.kill() })
}

func (p *Process) end(how func(pid int) error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if pid := p.pid(); pid != 0 {
		if err := how(pid); err != nil {
			return fmt.Errorf("stopping %s (pid %d): %w", p.Name, pid, err)
		}
	}
	if err := os.Remove(p.PIDFile()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("stopping %s: %w", p.Name, err)
	}
	return nil
}

func (p *Process) kill() error {
	pid := p.pid()
	if pid == 0 {
		return nil
	}
	if err := signal(pid, syscall.SIGKILL); err != nil {
		return err
	}
	if !p.waitGone(pid, killGrace) {
		return fmt.Errorf("still there %s after SIGKILL", killGrace)
	}
	return nil
}

// Pause stops the process in its tracks: its connections stay open and nothing answers. It returns when every thread
// stands still, which is some time after the signal where processors are scarce.
func (p *Process) Pause() error {
	pid, err := p.send(syscall.SIGSTOP)
	if err != nil {
		return err
	}
	if !within(pauseGrace, func() bool { return standsStill(pid) }) {
		return fmt.Errorf("pausing %s (pid %d): it still runs %s after SIGSTOP", p.Name, pid, pauseGrace)
	}
	return nil
}

// Resume lets a paused process go on.
func (p *Process) Resume() error {
	_, err := p.send(syscall.SIGCONT)
	return err
}

// send returns the PID to which it sent.
func (p *Process) send(s syscall.Signal) (int, error) {
	pid := p.PID()
	if pid == 0 {
		return 0, fmt.Errorf("sending %s to %s: it does not run", s, p.Name)
	}
	if err := signal(pid, s); err != nil {
		return 0, fmt.Errorf("sending %s to %s (pid %d): %w", s, p.Name, pid, err)
	}
	return pid, nil
}

// Outdated says whether the running process differs from the one that Start would start now: other arguments, or a
// program that was replaced since.
func (p *Process) Outdated() bool {
	pid := p.PID()
	if pid == 0 {
		return false
	}
	line, err := commandLine(pid)
	if err != nil || line != strings.Join(append([]string{p.identity()}, p.Args...), " ") {
		return true
	}
	program, err := os.Stat(p.Path)
	if err != nil {
		return false // nothing to replace it by
	}
	started, err := os.Stat(p.PIDFile())
	return err != nil || program.ModTime().After(started.ModTime())
}

// LogTail returns the last lines of the log, for error messages. It is empty when there is no log.
func (p *Process) LogTail(lines int) string {
	content, err := os.ReadFile(p.LogFile())
	if err != nil {
		return ""
	}
	all := strings.Split(strings.TrimRight(string(content), "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

func (p *Process) identity() string { return filepath.Join(p.Dir, p.Name) }

// owns says whether the process with this PID is this one. Of a child the system tells us; another is known by its
// command line, which is empty for a moment while it starts, and for good once it is a zombie.
func (p *Process) owns(pid int) bool {
	if p.child != nil && p.child.pid == pid {
		select {
		case <-p.child.gone:
			return false
		default:
			return true
		}
	}
	line, err := commandLine(pid)
	return err == nil && (line == p.identity() || strings.HasPrefix(line, p.identity()+" "))
}

// waitGone says whether the process ended in time.
func (p *Process) waitGone(pid int, limit time.Duration) bool {
	if p.child == nil || p.child.pid != pid {
		return within(limit, func() bool { return !p.owns(pid) }) // nobody tells us, so we have to look
	}
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	select {
	case <-p.child.gone:
		return true
	case <-deadline.C:
		return false
	}
}

// within looks until something is so, and says whether it was in time.
func within(limit time.Duration, is func() bool) bool {
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for !is() {
		select {
		case <-look.C:
		case <-deadline.C:
			return false
		}
	}
	return true
}

// In returns the processes that have a PID file in the directory, running or not, in the order in which they were
// started. They can be looked at and stopped, not started.
func In(dir string) ([]*Process, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("listing processes: %w", err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.pid"))
	if err != nil {
		return nil, fmt.Errorf("listing processes of %s: %w", dir, err)
	}
	started := map[string]time.Time{}
	for _, file := range files {
		if info, err := os.Stat(file); err == nil {
			started[file] = info.ModTime()
		}
	}
	slices.SortStableFunc(files, func(a, b string) int { return started[a].Compare(started[b]) })
	found := make([]*Process, 0, len(files))
	for _, file := range files {
		found = append(found, &Process{Name: strings.TrimSuffix(filepath.Base(file), ".pid"), Dir: dir})
	}
	return found, nil
}

// signal treats a process that has just ended as signalled.
func signal(pid int, s syscall.Signal) error {
	if err := syscall.Kill(pid, s); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	return nil
}

func readPID(file string) (int, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(content)))
	if err != nil || pid <= 1 { // kill(0), kill(-1) and kill(1) mean something else
		return 0, fmt.Errorf("reading %s: %q is not a PID", file, content)
	}
	return pid, nil
}

func writePID(file string, pid int) error {
	return os.WriteFile(file, []byte(strconv.Itoa(pid)+"\n"), 0o600)
}
