package tools

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestASecondHolderWaitsAndSaysForWhom(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := Lock(t.Context(), path, "another build", io.Discard)
	require.NoError(t, err)

	told, says := io.Pipe()
	locked := make(chan error, 1)
	go func() {
		unlock, err := Lock(t.Context(), path, "another build", says)
		if err == nil {
			unlock()
		}
		locked <- err
	}()
	line := make([]byte, 100)
	n, err := told.Read(line) // returns once the second one waits
	require.NoError(t, err)
	assert.Equal(t, fmt.Sprintf("waiting for another build (pid %d)\n", os.Getpid()), string(line[:n]))
	assert.Empty(t, locked)

	unlock()
	assert.NoError(t, <-locked)
}

func TestWaitingForALockCanBeCancelled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := Lock(t.Context(), path, "another build", io.Discard)
	require.NoError(t, err)
	defer unlock()

	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := Lock(ctx, path, "another build", io.Discard)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

func TestALockWhoseFolderWasRemovedIsTakenAnew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "folder", "lock")
	unlock, err := Lock(t.Context(), path, "a start", io.Discard)
	require.NoError(t, err)

	told, says := io.Pipe()
	locked := make(chan error, 1)
	go func() {
		_, err := Lock(t.Context(), path, "a start", says)
		locked <- err
	}()
	_, err = told.Read(make([]byte, 100))
	require.NoError(t, err)
	require.NoError(t, os.RemoveAll(filepath.Dir(path)))
	unlock()

	require.NoError(t, <-locked)
	assert.FileExists(t, path, "a third one could not see the lock otherwise")
}
