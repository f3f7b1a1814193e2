// Command versioner keeps every content of every source in a snapshot, and
// sends workloads that are behind through admission.
package main

import (
	"context"
	"errors"
	"os"

	"golang.org/x/sync/errgroup"

	"github.com/configpin/configpin/internal/serve"
)

const examples = `  # On a workstation, for a cluster of one's own:
  versioner --kubeconfig ~/.kube/config --leader-election-namespace configpin-system

  # Roll workloads out sooner after a change:
  versioner --settle 500ms
`

func main() { os.Exit(serve.Main(run)) }

func run(ctx context.Context, args []string) error {
	flags := serve.NewFlags("configpin-versioner", "keeps every content of versioned ConfigMaps, and rolls workloads forward.", examples)
	options := addOptions(flags)
	if err := flags.Read(args); err != nil {
		return err
	}
	if err := options.resolve(flags); err != nil {
		return err
	}
	config, err := flags.Connect()
	if err != nil {
		return err
	}
	reach, err := serve.Reach(config)
	if err != nil {
		return err
	}
	program, err := assemble(config, options)
	if err != nil {
		return err
	}
	running, stop := context.WithCancel(ctx)
	defer stop()
	group, running := errgroup.WithContext(running)
	group.Go(func() error {
		defer stop()
		return program.manager.Start(running)
	})
	group.Go(func() error {
		return serve.Health(running, flags.HealthAddress, func(probe context.Context) error {
			return errors.Join(program.ready(), reach(probe))
		})
	})
	return group.Wait()
}
