package process_test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/configpin/configpin/test/lab/controlplane/process"
)

// TestMain lets the test binary play the program that a test runs.
func TestMain(m *testing.M) {
	switch os.Getenv("PLAY") {
	case "":
		os.Exit(m.Run())
	case "obedient":
		fmt.Println("up")
		select {}
	case "stubborn":
		signal.Ignore(syscall.SIGTERM)
		fmt.Println("up")
		select {}
	case "busy":
		for range 4 {
			go func() {
				for {
					fmt.Println("up") // and on
				}
			}()
		}
		select {}
	case "parent": // starts a child that is not detached, tells its PID, and is killed
		p := sleeper(os.Getenv("DIR"), "child")
		if err := p.Start(); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(p.PID())
		_ = http.ListenAndServe("127.0.0.1:0", nil)
	}
}

func sleeper(dir, name string) *process.Process {
	return player(dir, name, "obedient")
}

func player(dir, name, part string) *process.Process {
	program, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return &process.Process{Name: name, Path: program, Args: []string{"-test.v"}, Env: []string{"PLAY=" + part}, Dir: dir}
}

func start(t *testing.T, p *process.Process) {
	t.Helper()
	require.NoError(t, p.Start())
	t.Cleanup(func() { assert.NoError(t, p.Kill()) })
	require.Eventually(t, func() bool { return strings.Contains(p.LogTail(1), "up") }, 10*time.Second, 5*time.Millisecond)
}

func TestStartLeavesARunningProcessAlone(t *testing.T) {
	p := sleeper(t.TempDir(), "a")
	start(t, p)
	pid := p.PID()
	require.NoError(t, p.Start())
	assert.Equal(t, pid, p.PID())
}

func TestALaterValueFindsTheProcess(t *testing.T) {
	dir := t.TempDir()
	first := sleeper(dir, "a")
	start(t, first)

	later := sleeper(dir, "a")
	assert.Equal(t, first.PID(), later.PID())
	require.NoError(t, later.Start())
	assert.Equal(t, first.PID(), later.PID())

	found, err := process.In(dir)
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.NoError(t, found[0].Stop())
	assert.False(t, first.Running())
	assert.NoFileExists(t, first.PIDFile())
}

func TestStopKillsWhatIgnoresSIGTERM(t *testing.T) {
	if testing.Short() {
		t.Skip("waits out the grace period")
	}
	p := player(t.TempDir(), "a", "stubborn")
	start(t, p)
	require.NoError(t, p.Stop())
	assert.False(t, p.Running())
}

func TestStopEndsAPausedProcess(t *testing.T) {
	p := sleeper(t.TempDir(), "a")
	start(t, p)
	require.NoError(t, p.Pause())
	began := time.Now()
	require.NoError(t, p.Stop())
	assert.False(t, p.Running())
	assert.Less(t, time.Since(began), 5*time.Second, "it should have got SIGTERM, not SIGKILL after the grace period")
}

// More of them than there are processors: the signal comes when there is one to take it.
func TestAPausedProcessStandsStill(t *testing.T) {
	dir := t.TempDir()
	written := func(p *process.Process) int64 {
		log, err := os.Stat(p.LogFile())
		require.NoError(t, err)
		return log.Size()
	}
	var all []*process.Process
	for i := range 2 * runtime.NumCPU() {
		p := player(dir, fmt.Sprint("busy-", i), "busy")
		start(t, p)
		all = append(all, p)
	}
	for _, p := range all {
		require.NoError(t, p.Pause())
		was := written(p)
		assert.Never(t, func() bool { return written(p) > was }, 100*time.Millisecond, time.Millisecond)
	}
	for _, p := range all {
		was := written(p)
		require.NoError(t, p.Resume())
		assert.Eventually(t, func() bool { return written(p) > was }, 10*time.Second, time.Millisecond)
	}
}

func TestAKilledProcessStartsAgain(t *testing.T) {
	p := sleeper(t.TempDir(), "a")
	start(t, p)
	pid := p.PID()
	require.NoError(t, p.Kill())
	assert.Zero(t, p.PID())
	start(t, p)
	assert.NotEqual(t, pid, p.PID())
}

func TestSignalsToAStoppedProcessAreRefused(t *testing.T) {
	p := sleeper(t.TempDir(), "a")
	assert.EqualError(t, p.Pause(), "sending stopped (signal) to a: it does not run")
	assert.NoError(t, p.Stop())
	assert.NoError(t, p.Kill())
}

func TestAForeignProcessIsNeverTouched(t *testing.T) {
	foreign := exec.Command("sleep", "60")
	require.NoError(t, foreign.Start())
	t.Cleanup(func() { _ = foreign.Process.Kill(); _ = foreign.Wait() })

	p := sleeper(t.TempDir(), "a")
	for name, content := range map[string]string{
		"a reused PID":  strconv.Itoa(foreign.Process.Pid),
		"this process":  strconv.Itoa(os.Getpid()),
		"every process": "-1",
		"a group":       "0",
		"nonsense":      "x",
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, os.WriteFile(p.PIDFile(), []byte(content), 0o600))
			assert.Zero(t, p.PID())
			require.NoError(t, p.Kill())
			assert.NoFileExists(t, p.PIDFile())
			assert.NoError(t, foreign.Process.Signal(syscall.Signal(0)))
		})
	}
}

func TestOutdated(t *testing.T) {
	program, err := os.ReadFile(sleeper("", "").Path)
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "program")
	require.NoError(t, os.WriteFile(path, program, 0o700))

	dir := t.TempDir()
	p := sleeper(dir, "a")
	p.Path = path
	assert.False(t, p.Outdated(), "it does not run")
	start(t, p)
	assert.False(t, p.Outdated())

	other := sleeper(dir, "a")
	other.Path, other.Args = path, []string{"-test.v", "-test.short"}
	assert.True(t, other.Outdated(), "other arguments")

	later := time.Now().Add(time.Minute)
	require.NoError(t, os.Chtimes(path, later, later))
	assert.True(t, p.Outdated(), "a newer program")
}
