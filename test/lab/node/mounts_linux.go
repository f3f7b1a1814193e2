package node

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// scratch is where the mounts have what they write: in memory.
const scratch = "/run/configpin"

// mountAll hides what isn't to be touched: /run and /var/log are empty, what is written to /var/lib goes nowhere. The
// folder stays as it is, even below one of these.
func mountAll(dir string) error {
	kept, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer kept.Close()
	for _, m := range []struct {
		source, target, kind string
		flags                uintptr
		data                 string
	}{
		{"", "/", "", syscall.MS_REC | syscall.MS_PRIVATE, ""}, // or the others would see what follows
		{"proc", "/proc", "proc", syscall.MS_NOSUID | syscall.MS_NODEV | syscall.MS_NOEXEC, ""},
		{"tmpfs", "/run", "tmpfs", syscall.MS_NODEV, "mode=755"},
		{"tmpfs", "/var/log", "tmpfs", syscall.MS_NODEV, "mode=755"},
		{"overlay", "/var/lib", "overlay", 0, overlaid("/var/lib")},
	} {
		if err := makeOverlaid(m.data); err != nil {
			return err
		}
		if err := syscall.Mount(m.source, m.target, m.kind, m.flags, m.data); err != nil {
			return fmt.Errorf("mounting %s: %w", m.target, err)
		}
	}
	if err := keep(kept, dir); err != nil {
		return err
	}
	return ownKernelSettings()
}

func overlaid(lower string) string {
	over := filepath.Join(scratch, "over", filepath.Base(lower))
	return fmt.Sprintf("lowerdir=%s,upperdir=%s/upper,workdir=%s/work", lower, over, over)
}

// makeOverlaid makes the folders that the options of an overlay name. There are none in other options.
func makeOverlaid(options string) error {
	for option := range strings.SplitSeq(options, ",") {
		name, folder, _ := strings.Cut(option, "=")
		if name != "upperdir" && name != "workdir" {
			continue
		}
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return err
		}
	}
	return nil
}

// keep puts an open folder back where it was, if a mount hides it.
func keep(folder *os.File, dir string) error {
	before, err := folder.Stat()
	if err != nil {
		return err
	}
	if after, err := os.Stat(dir); err == nil && os.SameFile(before, after) {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	source := "/proc/self/fd/" + strconv.Itoa(int(folder.Fd()))
	if err := syscall.Mount(source, dir, "", syscall.MS_BIND|syscall.MS_REC, ""); err != nil {
		return fmt.Errorf("mounting %s: %w", dir, err)
	}
	return nil
}

// kernelSettings are those that a kubelet changes for the whole machine.
var kernelSettings = []string{
	"vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops",
	"kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes",
}

// ownKernelSettings puts files over them, so that only the kubelet sees what it has changed.
func ownKernelSettings() error {
	for _, name := range kernelSettings {
		setting := "/proc/sys/" + name
		value, err := os.ReadFile(setting)
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			return err
		}
		file := filepath.Join(scratch, "sys", name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, value, 0o644); err != nil {
			return err
		}
		if err := syscall.Mount(file, setting, "", syscall.MS_BIND, ""); err != nil {
			return fmt.Errorf("mounting %s: %w", setting, err)
		}
	}
	return nil
}
