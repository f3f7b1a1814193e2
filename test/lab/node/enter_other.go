//go:build !linux

package node

import (
	"context"
	"errors"
)

var errNoLinux = errors.New("a node needs Linux")

// Init does nothing, since nobody can enter.
func Init() (exitCode int, done bool) { return 0, false }

// Enter fails: namespaces are Linux's.
func Enter(context.Context, Entry) (exitCode int, err error) { return 1, errNoLinux }

// RemoveLeftovers does nothing, since nobody could enter.
func RemoveLeftovers() error { return nil }

func try(context.Context) error { return errNoLinux }
