package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/configpin/configpin/test/lab/controlplane"
	"github.com/configpin/configpin/test/lab/node"
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
	_, err = os.Stat(nodeDir(dir))
	hadNode := err == nil
	stopped, err := controlplane.Remove(ctx, dir, out)
	if err != nil {
		return err
	}
	if hadNode {
		if err := node.RemoveLeftovers(); err != nil { // there are some if it was killed
			return err
		}
	}
	if len(stopped) == 0 {
		fmt.Fprintf(out, "Nothing ran. Removed %s.\n", dir)
		return nil
	}
	fmt.Fprintf(out, "Stopped %s, and removed %s.\n", strings.Join(stopped, ", "), dir)
	return nil
}
