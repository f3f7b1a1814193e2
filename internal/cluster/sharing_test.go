package cluster

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"

	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/wellknown"
)

var appKey = Key{"shop", refs.Target{Kind: wellknown.ConfigMap, Name: "app"}}

func TestReadsAreShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s sharing
		var begun atomic.Int64
		answer := make(chan struct{})
		read := func(context.Context) (snapshot.Object, bool, error) {
			n := begun.Add(1)
			<-answer
			return snapshot.Object{ResourceVersion: strconv.FormatInt(n, 10)}, true, nil
		}
		ask := func(want string) {
			object, found, err := s.do(t.Context(), appKey, read)
			assert.NoError(t, err)
			assert.True(t, found)
			assert.Equal(t, want, object.ResourceVersion)
		}
		var asking sync.WaitGroup
		asking.Go(func() { ask("1") })
		synctest.Wait()
		for range 10 {
			asking.Go(func() { ask("2") })
		}
		synctest.Wait()
		assert.Equal(t, int64(1), begun.Load(), "the second read waits for the end of the first")
		answer <- struct{}{}
		synctest.Wait()
		asking.Go(func() { ask("3") })
		synctest.Wait()
		close(answer)
		asking.Wait()
		synctest.Wait()
		assert.Equal(t, int64(3), begun.Load())
		assert.Empty(t, s.next, "nothing is kept of objects that nobody reads")
	})
}

func TestReadsOfDifferentObjectsAreNotShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s sharing
		name := func(name string) readFunc {
			return func(context.Context) (snapshot.Object, bool, error) { return snapshot.Object{Name: name}, true, nil }
		}
		a, _, _ := s.do(t.Context(), appKey, name("a"))
		b, _, _ := s.do(t.Context(), Key{"other", appKey.Target}, name("b"))
		assert.Equal(t, "a", a.Name)
		assert.Equal(t, "b", b.Name)
	})
}

// TestReadsAreNeverOld has many readers of a number that rises: nobody may see
// less than what it was when they asked.
func TestReadsAreNeverOld(t *testing.T) {
	var s sharing
	var stored atomic.Int64
	read := func(context.Context) (snapshot.Object, bool, error) {
		return snapshot.Object{ResourceVersion: strconv.FormatInt(stored.Load(), 10)}, true, nil
	}
	var asking sync.WaitGroup
	for range 8 {
		asking.Go(func() {
			for range 1000 {
				least := stored.Add(1)
				object, _, err := s.do(t.Context(), appKey, read)
				got, _ := strconv.ParseInt(object.ResourceVersion, 10, 64)
				if !assert.NoError(t, err) || !assert.GreaterOrEqual(t, got, least) {
					return
				}
			}
		})
	}
	asking.Wait()
}

func TestWhoHangsUpTakesNobodyAlong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s sharing
		answer := make(chan struct{})
		read := func(ctx context.Context) (snapshot.Object, bool, error) {
			select {
			case <-answer:
				return snapshot.Object{}, true, nil
			case <-ctx.Done():
				return snapshot.Object{}, false, ctx.Err()
			}
		}
		first, hangUp := context.WithCancel(t.Context())
		var asking sync.WaitGroup
		asking.Go(func() {
			_, _, err := s.do(first, appKey, read)
			assert.ErrorIs(t, err, context.Canceled)
		})
		synctest.Wait()
		second, hangUpToo := context.WithCancel(t.Context())
		asking.Go(func() {
			_, _, err := s.do(second, appKey, read)
			assert.ErrorIs(t, err, context.Canceled)
		})
		asking.Go(func() {
			_, found, err := s.do(t.Context(), appKey, read)
			assert.NoError(t, err)
			assert.True(t, found)
		})
		synctest.Wait()
		hangUp()
		hangUpToo()
		synctest.Wait()
		close(answer)
		asking.Wait()
	})
}

func TestSharedReadsFailForAll(t *testing.T) {
	for name, fail := range map[string]func() error{
		"an error": func() error { return errors.New("no") },
		"a panic":  func() error { panic("no") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var s sharing
				answer := make(chan struct{})
				var begun atomic.Int64
				read := func(context.Context) (snapshot.Object, bool, error) {
					if begun.Add(1) == 1 {
						<-answer
						return snapshot.Object{}, true, nil
					}
					return snapshot.Object{}, false, fail()
				}
				var asking sync.WaitGroup
				asking.Go(func() {
					_, _, err := s.do(t.Context(), appKey, read)
					assert.NoError(t, err)
				})
				synctest.Wait()
				for range 2 {
					asking.Go(func() {
						_, _, err := s.do(t.Context(), appKey, read)
						assert.ErrorContains(t, err, "no")
					})
				}
				synctest.Wait()
				close(answer)
				asking.Wait()
				synctest.Wait()
				assert.Equal(t, int64(2), begun.Load())
				assert.Empty(t, s.next)
			})
		})
	}
}

func TestAReadThatPanicsHoldsUpNobody(t *testing.T) {
	var s sharing
	assert.Panics(t, func() {
		_, _, _ = s.do(t.Context(), appKey, func(context.Context) (snapshot.Object, bool, error) { panic("no") })
	})
	_, found, err := s.do(t.Context(), appKey, func(context.Context) (snapshot.Object, bool, error) { return snapshot.Object{}, true, nil })
	assert.NoError(t, err)
	assert.True(t, found)
}
