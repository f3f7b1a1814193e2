package node

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// leaveGrace is how long everything inside may take to end when it is asked to. A control plane takes a few seconds.
const leaveGrace = 20 * time.Second

// plan is what the stages have to know.
type plan struct {
	Dir     string
	Cgroups []cgroup
}

// namespaces are made with the first process inside. That of cgroups comes later: its root is where the process is then.
const namespaces = syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET | syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS

// Enter runs this program again, with the same arguments, in namespaces of its own, and returns how it ended. Inside, it
// has to call Init first. When the context ends, it is told to end by SIGTERM. What it leaves running is killed, also when
// this process is.
func Enter(ctx context.Context, e Entry) (exitCode int, err error) {
	if e.Dir, err = filepath.Abs(e.Dir); err != nil {
		return 1, err
	}
	if err := os.MkdirAll(filepath.Join(e.Dir, "tmp"), 0o700); err != nil {
		return 1, fmt.Errorf("entering the namespaces of a node: %w", err)
	}
	return enter(ctx, e, stageInit)
}

// try makes everything that Enter does, and fails with one line.
func try(ctx context.Context) error {
	if os.Geteuid() != 0 {
		return errors.New("a node needs root")
	}
	if _, err := findRunc(); err != nil {
		return err
	}
	if _, err := os.Stat("/dev/kmsg"); err != nil {
		return errors.New("there is no /dev/kmsg, which a kubelet reads")
	}
	dir, err := os.MkdirTemp("", "configpin-node-")
	if err != nil {
		return err
	}
	var said bytes.Buffer
	code, err := enter(ctx, Entry{Dir: dir, Stdout: io.Discard, Stderr: &said}, stageTry)
	if err == nil && code != 0 {
		err = errors.New(lastLine(said.String()))
	}
	return errors.Join(err, os.RemoveAll(dir))
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}

func enter(ctx context.Context, e Entry, stage string) (exitCode int, err error) {
	cgroups, err := makeCgroups()
	if err != nil {
		return 1, fmt.Errorf("making cgroups: %w", err)
	}
	defer func() { err = errors.Join(err, removeCgroups(cgroups)) }()
	told, err := json.Marshal(plan{Dir: e.Dir, Cgroups: cgroups})
	if err != nil {
		return 1, err
	}
	cmd := &exec.Cmd{
		Path: "/proc/self/exe",
		Args: os.Args,
		Env: slices.Concat(os.Environ(), e.Env,
			[]string{stageVariable + "=" + stageJoin, planVariable + "=" + stage + string(told), "TMPDIR=" + filepath.Join(e.Dir, "tmp")}),
		Stdout: e.Stdout,
		Stderr: e.Stderr,
		// A group of its own: Ctrl-C reaches this process, which passes it on.
		SysProcAttr: &syscall.SysProcAttr{Cloneflags: namespaces, Setpgid: true, Pdeathsig: syscall.SIGKILL},
	}
	return follow(ctx, cmd, e.Entered)
}

// follow runs the first process inside until it ends. The kernel then kills the others.
func follow(ctx context.Context, cmd *exec.Cmd, entered func(pid int) error) (exitCode int, err error) {
	runtime.LockOSThread() // Pdeathsig is about the thread
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		return 1, fmt.Errorf("making namespaces: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Signal(syscall.SIGTERM) })
	defer stop()
	kill := context.AfterFunc(ctx, func() {
		overdue := time.NewTimer(leaveGrace)
		defer overdue.Stop()
		<-overdue.C
		_ = cmd.Process.Kill() // fine when it has ended
	})
	defer kill()
	if entered != nil {
		if err := entered(cmd.Process.Pid); err != nil {
			return 1, errors.Join(err, cmd.Process.Kill(), ignoreExit(cmd.Wait()))
		}
	}
	err = ignoreExit(cmd.Wait())
	if code := cmd.ProcessState.ExitCode(); code >= 0 {
		return code, err
	}
	return 1, errors.Join(err, fmt.Errorf("everything in the namespaces of the node was killed: %s", cmd.ProcessState))
}

// ignoreExit leaves it to the caller to look at how a process ended.
func ignoreExit(err error) error {
	if _, is := errors.AsType[*exec.ExitError](err); is {
		return nil
	}
	return err
}

// Init has to be called first in a program that calls Enter. Where this process has a part to play in that, Init plays
// it, and the program has to exit.
func Init() (exitCode int, done bool) {
	stage := os.Getenv(stageVariable)
	if stage != stageJoin && stage != stageInit && stage != stageTry {
		return 0, false
	}
	code, err := play(stage)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1, true
	}
	return code, true
}

func play(stage string) (exitCode int, err error) {
	next, told, _ := strings.Cut(os.Getenv(planVariable), "{")
	var p plan
	if err := json.Unmarshal([]byte("{"+told), &p); err != nil {
		return 1, fmt.Errorf("reading what to do in the namespaces of a node: %w", err)
	}
	if stage == stageJoin {
		return 1, join(p, next)
	}
	if err := p.isolate(); err != nil {
		return 1, err
	}
	if stage == stageTry {
		return 0, nil
	}
	return runInside()
}

// join moves this process to its cgroups, makes these the only ones that it sees, and runs it again: only then have all
// its threads that namespace.
func join(p plan, next string) error {
	runtime.LockOSThread()
	for _, c := range p.Cgroups {
		if err := c.join(); err != nil {
			return fmt.Errorf("joining a cgroup: %w", err)
		}
	}
	if err := syscall.Unshare(syscall.CLONE_NEWCGROUP); err != nil {
		return fmt.Errorf("making a cgroup namespace: %w", err)
	}
	return syscall.Exec("/proc/self/exe", os.Args, inStage(next))
}

// inStage is the environment of the next stage.
func inStage(stage string) []string {
	return append(slices.DeleteFunc(os.Environ(), func(variable string) bool {
		return strings.HasPrefix(variable, stageVariable+"=")
	}), stageVariable+"="+stage)
}

// isolate makes what the programs of a node touch this node's alone.
func (p plan) isolate() error {
	if err := syscall.Sethostname([]byte(Name)); err != nil {
		return fmt.Errorf("setting the name of the host: %w", err)
	}
	if err := mountAll(p.Dir); err != nil {
		return err
	}
	if err := mountCgroups(p.Cgroups); err != nil {
		return fmt.Errorf("mounting cgroups: %w", err)
	}
	if err := connect(); err != nil {
		return fmt.Errorf("making the network: %w", err)
	}
	return nil
}

// runInside runs this program once more, in the last stage, and is a good first process meanwhile: it passes signals on
// and takes leave of every process that has lost its parent.
func runInside() (exitCode int, err error) {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGHUP)
	pid, err := syscall.ForkExec("/proc/self/exe", os.Args, &syscall.ProcAttr{
		Env:   inStage(stageInside),
		Files: []uintptr{0, 1, 2},
	})
	if err != nil {
		return 1, fmt.Errorf("running inside of the namespaces of a node: %w", err)
	}
	go func() {
		for s := range signals {
			if s, is := s.(syscall.Signal); is {
				_ = syscall.Kill(pid, s) // it may have ended
			}
		}
	}()
	for {
		var status syscall.WaitStatus
		ended, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			return 1, fmt.Errorf("waiting for what runs inside: %w", err)
		case ended == pid && status.Signaled():
			return 128 + int(status.Signal()), nil
		case ended == pid:
			return status.ExitStatus(), nil
		}
	}
}
