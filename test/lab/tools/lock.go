package tools

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// lockInterval is how often a waiting process tries again. The kernel could wake us, but a blocking flock cannot be
// cancelled.
const lockInterval = 200 * time.Millisecond

// Lock waits until nobody else holds the file, and returns the function that lets go of it. The kernel lets go of it
// too when the process ends in any other way. While it waits it says for whom: holder is what the file stands for,
// such as "another build". Where there is no file or no folder, it makes them.
func Lock(ctx context.Context, path, holder string, progress io.Writer) (unlock func(), err error) {
	for {
		file, err := lockFile(ctx, path, holder, orDiscard(progress))
		if err != nil {
			return nil, fmt.Errorf("locking %s: %w", path, err)
		}
		if !isStill(file, path) { // the one that we waited for has removed the folder
			file.Close()
			continue
		}
		if err := file.Truncate(0); err == nil {
			fmt.Fprintf(file, "%d\n", os.Getpid()) // only for the message of those who wait
		}
		return func() { file.Close() }, nil
	}
}

func lockFile(ctx context.Context, path, holder string, progress io.Writer) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if errors.Is(err, os.ErrNotExist) { // removed since
		return lockFile(ctx, path, holder, progress)
	}
	if err != nil {
		return nil, err
	}
	if err := waitForLock(ctx, file, holder, progress); err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

func waitForLock(ctx context.Context, file *os.File, holder string, progress io.Writer) error {
	retry := time.NewTicker(lockInterval)
	defer retry.Stop()
	for attempt := 1; ; attempt++ {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil || !errors.Is(err, syscall.EWOULDBLOCK) {
			return err
		}
		if attempt == 2 { // by then the holder has written its PID, or is done
			fmt.Fprintf(progress, "waiting for %s (pid %s)\n", holder, lockOwner(file.Name()))
		}
		select {
		case <-retry.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func isStill(file *os.File, path string) bool {
	held, err := file.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(path)
	return err == nil && os.SameFile(held, there)
}

func lockOwner(path string) string {
	content, err := os.ReadFile(path)
	if pid := strings.TrimSpace(string(content)); err == nil && pid != "" {
		return pid
	}
	return "unknown"
}
