package cluster

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/configpin/configpin/internal/snapshot"
)

// reads lets those who ask for one object at the same time share a read of it:
// when a source changes, all its workloads come through admission at once, and
// ask for the same few objects. It is no cache: nobody gets the answer of a read
// that began before they asked. Who asks while a read is on its way shares the
// next one.
type reads struct {
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

// readTime bounds a read. It is the longest that the API server waits for
// admission: the deadline of whoever asked first isn't that of the others.
const readTime = 30 * time.Second

// do reads an object, or shares the next read of it. What it returns is shared
// too, and must not be changed.
func (r *reads) do(ctx context.Context, key Key, read readFunc) (object snapshot.Object, found bool, err error) {
	shared := r.join(ctx, key, read)
	select {
	case <-shared.done:
		return shared.object, shared.found, shared.err
	case <-ctx.Done():
		return snapshot.Object{}, false, ctx.Err()
	}
}

// join returns a read that hasn't begun, and begins it if none is on its way.
func (r *reads) join(ctx context.Context, key Key, read readFunc) *sharedRead {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if r.next == nil {
		r.next = map[Key]*sharedRead{}
	}
	next, busy := r.next[key]
	if next != nil {
		return next
	}
	next = &sharedRead{done: make(chan struct{})}
	if busy {
		r.next[key] = next
		return next
	}
	r.next[key] = nil
	go r.run(context.WithoutCancel(ctx), key, next, read)
	return next
}

// run reads until nobody waits any more.
func (r *reads) run(ctx context.Context, key Key, shared *sharedRead, read readFunc) {
	for ; shared != nil; shared = r.advance(key) {
		shared.run(ctx, read)
	}
}

func (r *reads) advance(key Key) *sharedRead {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	next := r.next[key]
	if next == nil {
		delete(r.next, key)
		return nil
	}
	r.next[key] = nil
	return next
}

// run answers everybody also when read panics: nobody else could.
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
