// Gitops does to a cluster what Argo CD and Flux do, one command for each of their decisions.
//
// It is a program, in a module of its own, because the libraries of Argo CD and Flux want other versions of Kubernetes'
// libraries than configpin, and hundreds of modules more. It deliberately has no opinion: each setting is the one that
// the controller passes by default, and says where that is.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"
)

const usage = `Does to a cluster what Argo CD and Flux do.

Usage:
  gitops argo-diff    what Argo CD calls OutOfSync
  gitops argo-sync    apply as Argo CD syncs
  gitops flux-diff    what Flux calls drift
  gitops flux-apply   apply as Flux reconciles
  gitops version      the versions of the libraries of Argo CD and Flux

Exit code: 0 when there is no difference or all is applied, 1 when a diff finds a difference, 2 for an error.
gitops COMMAND --help lists the flags of a command.

Example:
  gitops argo-sync --namespace=shop --filename=shop.yaml && gitops argo-diff --namespace=shop --filename=shop.yaml
`

// command is what the first argument names.
type command struct {
	name, help string
	run        func(ctx context.Context, t target, out io.Writer) error
	// flags adds what only this command knows.
	flags func(*flag.FlagSet)
}

func commands() []command {
	argo, flux := &argo{}, &flux{}
	return []command{
		{name: "argo-diff", help: argoDiffHelp, run: argo.diff, flags: argo.diffFlags},
		{name: "argo-sync", help: argoSyncHelp, run: argo.sync, flags: argo.syncFlags},
		{name: "flux-diff", help: fluxDiffHelp, run: flux.diff, flags: flux.flags},
		{name: "flux-apply", help: fluxApplyHelp, run: flux.apply, flags: flux.flags},
	}
}

// errDifferent says that a diff has found, and printed, a difference.
var errDifferent = errors.New("different")

func main() { os.Exit(execute(os.Args[1:], os.Stdout, os.Stderr)) }

// execute runs the command until it is done or interrupted.
func execute(args []string, stdout, stderr io.Writer) (exitCode int) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	klog.SetLogger(logr.Discard()) // what the libraries have to say is in what they return
	ctrllog.SetLogger(logr.Discard())
	switch err := run(ctx, args, stdout); {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return 0
	case errors.Is(err, errDifferent):
		return 1
	default:
		fmt.Fprintln(stderr, "gitops:", err)
		return 2
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	if len(args) == 0 {
		return errors.New("a command is needed; --help lists them")
	}
	switch args[0] {
	case "help", "-h", "-help", "--help":
		_, err := io.WriteString(out, usage)
		return err
	case "version":
		return version(out)
	}
	all := commands()
	i := slices.IndexFunc(all, func(c command) bool { return c.name == args[0] })
	if i < 0 {
		return fmt.Errorf("no command %q; --help lists them", args[0])
	}
	return all[i].execute(ctx, args[1:], out)
}

func (c command) execute(ctx context.Context, args []string, out io.Writer) error {
	var t target
	flags := flag.NewFlagSet(c.name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	timeout := flags.Duration("timeout", time.Minute, "how long all of it may take")
	t.flags(flags)
	c.flags(flags)
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(out, "%s\nFlags:\n", c.help)
		flags.SetOutput(out)
		flags.PrintDefaults()
		return err
	}
	if err != nil {
		return fmt.Errorf("%w; gitops %s --help lists the flags", err, c.name)
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("%q is no flag; gitops %s --help lists them", flags.Arg(0), c.name)
	}
	ctx, cancel := context.WithTimeout(ctx, *timeout)
	defer cancel()
	return c.run(ctx, t, out)
}

// list is a flag that can be given several times.
type list []string

func (l *list) String() string { return strings.Join(*l, " ") }

func (l *list) Set(value string) error {
	*l = append(*l, value)
	return nil
}

// version prints the libraries that decide, and those of Kubernetes that they share.
func version(out io.Writer) error {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return errors.New("reading the versions: this binary doesn't say what it was built of")
	}
	for _, module := range info.Deps {
		if module.Replace != nil {
			module = module.Replace
		}
		switch module.Path {
		case "github.com/argoproj/argo-cd/v3", "github.com/argoproj/argo-cd/gitops-engine",
			"github.com/fluxcd/kustomize-controller/api", "github.com/fluxcd/pkg/ssa", "k8s.io/client-go":
			fmt.Fprintln(out, module.Path, module.Version)
		}
	}
	return nil
}
