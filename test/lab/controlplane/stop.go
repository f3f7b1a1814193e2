package controlplane

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/configpin/configpin/test/lab/controlplane/process"
	"github.com/configpin/configpin/test/lab/tools"
)

// Stop ends the processes of the control plane. The directory stays, and Start continues from it.
func (c *Cluster) Stop() error { return stop(c.processes) }

// stop ends the last one started first, so that nothing complains about what it needs being gone.
func stop(processes []*process.Process) error {
	var errs []error
	for _, p := range slices.Backward(processes) {
		errs = append(errs, p.Stop())
	}
	return errors.Join(errs...)
}

// Remove ends every process that belongs to the directory, those beside the control plane included, and removes the
// directory. It returns the names of those that ran, and is fine when there is nothing.
func Remove(ctx context.Context, dir string, progress io.Writer) (stopped []string, err error) {
	if !exists(dir) {
		return nil, nil
	}
	unlock, err := tools.Lock(ctx, layout(dir).lockFile(), "a start", progress)
	if err != nil {
		return nil, fmt.Errorf("removing %s: %w", dir, err)
	}
	defer unlock()
	processes, err := process.In(dir)
	if err != nil {
		return nil, err
	}
	for _, p := range processes {
		if p.Running() {
			stopped = append(stopped, p.Name)
		}
	}
	if err := stop(processes); err != nil {
		return nil, err // and keep the PID files
	}
	if err := os.RemoveAll(dir); err != nil {
		return stopped, fmt.Errorf("removing %s: %w", dir, err)
	}
	return stopped, nil
}
