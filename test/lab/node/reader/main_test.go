package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// log can be read while somebody writes to it.
type log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *log) lines() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Split(strings.TrimSuffix(l.text.String(), "\n"), "\n")
}

func TestItSaysWhatItReadsAndEveryChange(t *testing.T) {
	t.Setenv("COLOUR", "blue")
	file := filepath.Join(t.TempDir(), "size")
	require.NoError(t, os.WriteFile(file, []byte("1\n"), 0o600))
	ctx, stop := context.WithCancel(t.Context())
	var said log
	done := make(chan error)
	go func() { done <- watch(ctx, []string{"COLOUR", "ABSENT", file}, &said) }()

	first := `{"` + file + `":"1\n","ABSENT":null,"COLOUR":"blue"}`
	second := `{"` + file + `":"2","ABSENT":null,"COLOUR":"blue"}`
	require.Eventually(t, func() bool { return said.lines()[0] == first }, 10*time.Second, time.Millisecond)
	require.NoError(t, os.WriteFile(file+".new", []byte("2"), 0o600))
	require.NoError(t, os.Rename(file+".new", file))
	require.Eventually(t, func() bool { return len(said.lines()) == 2 }, 10*time.Second, time.Millisecond)
	stop()
	require.NoError(t, <-done)
	assert.Equal(t, []string{first, second}, said.lines())
}
