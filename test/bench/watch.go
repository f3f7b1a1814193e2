package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/watch"
)

// patience is how long something may take that is waited for.
const patience = 3 * time.Minute

// sights passes on what a watch shows.
type sights[T any] struct {
	watch watch.Interface
}

func (s *sights[T]) stop() { s.watch.Stop() }

// until returns when the watch has shown what last accepts.
func (s *sights[T]) until(ctx context.Context, what string, last func(T) bool) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		select {
		case <-ctx.Done():
			return time.Time{}, fmt.Errorf("waiting for %s: %w", what, ctx.Err())
		case event, open := <-s.watch.ResultChan():
			if !open || event.Type == watch.Error {
				return time.Time{}, errors.New("the watch ended; run it again")
			}
			if object, ok := event.Object.(T); ok && last(object) {
				return time.Now(), nil
			}
		}
	}
}
