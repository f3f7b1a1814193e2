package cluster

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/configpin/configpin/internal/snapshot"
)

// sharing lets those who ask for one object at the same time share a read of it:
// when a source changes, all its workloads come through admission at once, and
// ask for the same few objects. It is no cache: nobody gets the answer of a read
// that began before they asked. Who asks while a read is on its way shares the
// next one.
type sharing struct {
	mutex sync.Mutex

	// next holds, for each object that is being read, the read after that. It is
	// nil while nobody waits for one.
	next map[Key]*sharedRead
}

// sharedRead is one read, and its answer.
type sharedRead struct {
	done   chan struct{} // closed when the answer is there
	object snapshot.Object
	found  bool
	err    error
}

type readFunc func(ctx context.Context) (object snapshot.Object, found bool, err error)

// readTime bounds a shared read. It is the longest that the API server waits for
// admission: nobody's own deadline is that of the others.
const readTime = 30 * time.Second

// do reads an object, or shares the next read of it. What it returns may be
// shared too, and must not be changed.
func (s *sharing) do(ctx context.Context, key Key, read readFunc) (object snapshot.Object, found bool, err error) {
	shared := s.join(key)
	if shared == nil { // nobody shares this one: who comes now is too late for it
		defer s.after(ctx, key, read)
		return read(ctx)
	}
	select {
	case <-shared.done:
		return shared.object, shared.found, shared.err
	case <-ctx.Done():
		return snapshot.Object{}, false, ctx.Err()
	}
}

// join returns the read that comes after the one on its way, or nil if none is.
func (s *sharing) join(key Key) *sharedRead {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.next == nil {
		s.next = map[Key]*sharedRead{}
	}
	next, busy := s.next[key]
	if busy && next == nil {
		next = &sharedRead{done: make(chan struct{})}
	}
	s.next[key] = next
	return next
}

// after has those who wait for the next read get it.
func (s *sharing) after(ctx context.Context, key Key, read readFunc) {
	shared := s.advance(key)
	if shared == nil {
		return
	}
	ctx = context.WithoutCancel(ctx)
	go func() {
		for ; shared != nil; shared = s.advance(key) {
			shared.run(ctx, read)
		}
	}()
}

// advance returns the next read, if anybody waits for it.
func (s *sharing) advance(key Key) *sharedRead {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	next := s.next[key]
	if next == nil {
		delete(s.next, key)
		return nil
	}
	s.next[key] = nil
	return next
}

// run answers everybody also when read panics: it runs on nobody's behalf.
func (s *sharedRead) run(ctx context.Context, read readFunc) {
	defer close(s.done)
	defer func() {
		if reason := recover(); reason != nil {
			s.err = fmt.Errorf("panic while reading: %v", reason)
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	s.object, s.found, s.err = read(ctx)
}
