package oracle

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"
)

// auditLog reads the file to which an API server writes each request, as it
// grows.
type auditLog struct {
	path string

	mutex      sync.Mutex
	entries    map[string][]Entry // by namespace
	marks      map[string]bool
	asked      int // marks
	unreadable int // lines: an API server that is killed leaves part of one
	broken     error
}

func newAuditLog(path string) *auditLog {
	return &auditLog{path: path, entries: map[string][]Entry{}, marks: map[string]bool{}}
}

// pause is how long to wait for more.
const pause = 50 * time.Millisecond

// follow reads until ctx ends. A file that was put aside is read to its end, and
// then the one that has its name now.
func (a *auditLog) follow(ctx context.Context) {
	for ctx.Err() == nil {
		if err := a.readFile(ctx); err != nil {
			a.mutex.Lock()
			a.broken = fmt.Errorf("reading the audit log: %w", err)
			a.mutex.Unlock()
			return
		}
	}
}

func (a *auditLog) readFile(ctx context.Context) error {
	file, err := os.Open(a.path)
	if err != nil {
		return err
	}
	defer file.Close()
	return a.read(ctx, file)
}

// read returns when the file has another name, and nothing more in it.
func (a *auditLog) read(ctx context.Context, file *os.File) error {
	lines := bufio.NewReaderSize(file, 1<<20)
	var line []byte
	aside := false
	for {
		part, err := lines.ReadBytes('\n')
		line = append(line, part...)
		switch {
		case err == nil:
			a.note(line)
			line = line[:0]
		case !errors.Is(err, io.EOF):
			return err
		case aside || !wait(ctx, pause):
			return nil
		default:
			aside = !a.is(file)
		}
	}
}

func (a *auditLog) is(file *os.File) bool {
	now, err := os.Stat(a.path)
	if err != nil {
		return true // the next one isn't there yet
	}
	was, err := file.Stat()
	return err == nil && os.SameFile(was, now)
}

func (a *auditLog) note(line []byte) {
	e, matters, err := parse(line)
	a.mutex.Lock()
	defer a.mutex.Unlock()
	switch {
	case err != nil:
		a.unreadable++
	case !matters:
	case isMark(e.Name):
		a.marks[e.Name] = true
	default:
		a.entries[e.Namespace] = append(a.entries[e.Namespace], e)
	}
}

// of are the entries of a namespace.
func (a *auditLog) of(namespace string) []Entry {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	return slices.Clone(a.entries[namespace])
}

// all are those of all namespaces, by name.
func (a *auditLog) all() map[string][]Entry {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	copied := map[string][]Entry{}
	for namespace, entries := range a.entries {
		copied[namespace] = slices.Clone(entries)
	}
	return copied
}

func (a *auditLog) unreadableLines() int {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	return a.unreadable
}

// nextMark is a mark that nobody has asked for yet.
func (a *auditLog) nextMark() string {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	a.asked++
	return markPrefix + strconv.Itoa(a.asked)
}

// marked says whether a mark was read, or why it never will be.
func (a *auditLog) marked(name string) (bool, error) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	return a.marks[name], a.broken
}

// wait waits, and says whether ctx goes on.
func wait(ctx context.Context, how time.Duration) bool {
	timer := time.NewTimer(how)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
