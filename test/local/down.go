package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/configpin/configpin/test/controlplane"
)

func down(ctx context.Context, dir string, out io.Writer) error {
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		fmt.Fprintf(out, "Nothing runs, and there is no %s.\n", dir)
		return nil
	}
	unlock, err := lock(ctx, dir, out)
	if err != nil {
		return err
	}
	defer unlock()
	stopped, err := controlplane.Remove(ctx, dir, out)
	if err != nil {
		return err
	}
	if len(stopped) == 0 {
		fmt.Fprintf(out, "Nothing ran. Removed %s.\n", dir)
		return nil
	}
	fmt.Fprintf(out, "Stopped %s, and removed %s.\n", strings.Join(stopped, ", "), dir)
	return nil
}
