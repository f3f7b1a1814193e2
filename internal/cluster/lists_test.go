package cluster

import (
	"context"
	"errors"
	"iter"
	"testing"

	"github.com/stretchr/testify/assert"
)

// upTo makes numbers, and ends with an error.
func upTo(last int, end error) func(context.Context) iter.Seq2[int, error] {
	return func(context.Context) iter.Seq2[int, error] {
		return func(yield func(int, error) bool) {
			for i := range last {
				if !yield(i, nil) {
					return
				}
			}
			yield(0, end)
		}
	}
}

func TestAheadKeepsTheOrderAndTheError(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	var seen []int
	var last error
	for i, err := range ahead(t.Context(), upTo(5, broken)) {
		seen, last = append(seen, i), err
	}
	assert.Equal(t, []int{0, 1, 2, 3, 4, 0}, seen)
	assert.ErrorIs(t, last, broken)
}

func TestAheadSaysThatItWasStopped(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	made := make(chan int)
	endless := func(ctx context.Context) iter.Seq2[int, error] {
		return func(yield func(int, error) bool) {
			for i := 0; ctx.Err() == nil; i++ {
				select {
				case made <- i:
				case <-ctx.Done():
				}
				if !yield(i, nil) {
					return
				}
			}
		}
	}
	go func() {
		<-made
		<-made
		stop()
	}()
	var last error
	for _, err := range ahead(ctx, endless) {
		last = err
	}
	assert.ErrorIs(t, last, context.Canceled)
}

func TestAheadMakesOneMoreMeanwhile(t *testing.T) {
	t.Parallel()
	made := make(chan int)
	sequence := func(context.Context) iter.Seq2[int, error] {
		return func(yield func(int, error) bool) {
			for i := range 3 {
				made <- i
				if !yield(i, nil) {
					return
				}
			}
		}
	}
	go func() { <-made }()
	for i, err := range ahead(t.Context(), sequence) {
		assert.NoError(t, err)
		if i < 2 {
			assert.Equal(t, i+1, <-made)
		}
	}
}

func TestAheadStopsWithWhoeverAsks(t *testing.T) {
	t.Parallel()
	stopped := make(chan struct{})
	endless := func(ctx context.Context) iter.Seq2[int, error] {
		return func(yield func(int, error) bool) {
			defer close(stopped)
			for yield(0, ctx.Err()) {
			}
		}
	}
	for _, err := range ahead(t.Context(), endless) {
		assert.NoError(t, err)
		break
	}
	<-stopped
}
