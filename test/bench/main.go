// Command bench measures what configpin costs, beside a floor: the least that
// anybody could do for the same effect. Both are measured in one run and by
// turns, so that what else the machine does hits both, and the ratio says more
// than either.
//
// It deliberately judges no machine: it exits with 0 also when a budget is
// exceeded, and says so in its table.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/configpin/configpin/test/lab/controlplane"
)

const usage = `bench: measures configpin against its budgets, each beside its floor.

Usage:
  go run ./test/bench [flags]

Flags:
%s
Examples:
  go run ./test/bench                                    # everything: half an hour
  go run ./test/bench --only digest,handler              # what needs no cluster: seconds
  go run ./test/bench --only repin --workloads 200 --rounds 5
  go run ./test/bench --only gc --snapshots 2000 --namespaces 20 --referring 400
  go run ./test/bench --only status --namespaces 20 --referring 1000

Environment:
  CONFIGPIN_FLAGS_WEBHOOK     flags to add to the webhook's, separated by spaces
  CONFIGPIN_FLAGS_VERSIONER   flags to add to the versioner's, separated by spaces

The table goes to the standard output, and how far it is to the standard error.
`

// Exit codes.
const (
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130
)

func main() { os.Exit(execute(os.Args[1:], os.Stdout, os.Stderr)) }

func execute(args []string, stdout, stderr io.Writer) (exitCode int) {
	o, err := parse(args, stdout)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintf(stderr, "bench: %v; see --help\n", err)
		return exitUsage
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C doesn't wait for the cleaning up
	quietly()
	switch err := run(ctx, o, stdout, stderr); {
	case err == nil:
		return 0
	case ctx.Err() != nil:
		fmt.Fprintln(stderr, "bench: interrupted")
		return exitInterrupted
	default:
		fmt.Fprintln(stderr, "bench: failed:", err)
		return exitFailed
	}
}

// quietly logs as the programs do by default, to nobody: what isn't said costs
// here what it costs there.
func quietly() {
	log := logr.FromSlogHandler(slog.NewTextHandler(io.Discard, nil))
	logf.SetLogger(log)
	klog.SetLogger(log)
}

// options are the flags.
type options struct {
	only      []string
	reviews   int
	writes    int
	workloads int
	rounds    int
	changes   int

	snapshots, namespaces, referring int
}

func parse(args []string, stdout io.Writer) (options, error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.Usage = func() {} // else wrong flags would be answered with all of it
	o := options{only: names()}
	flags.Func("only", "what to measure, separated by commas, out of `"+strings.Join(names(), ",")+"` (default: all)", func(value string) error {
		o.only = strings.Split(value, ",")
		for _, name := range o.only {
			if !slices.Contains(names(), name) {
				return fmt.Errorf("%q is none of %s", name, strings.Join(names(), ", "))
			}
		}
		return nil
	})
	flags.IntVar(&o.reviews, "reviews", 2000, "how many reviews the handler answers, of each kind")
	flags.IntVar(&o.writes, "writes", 300, "how many times a Deployment is written, and created, in each way")
	flags.IntVar(&o.workloads, "workloads", 1000, "how many workloads are re-pinned")
	flags.IntVar(&o.rounds, "rounds", 3, "how many times they are")
	flags.IntVar(&o.changes, "changes", 100, "how many times a source changes")
	flags.IntVar(&o.snapshots, "snapshots", 50000, "how many snapshots the garbage collector looks at")
	flags.IntVar(&o.namespaces, "namespaces", 500, "how many namespaces they are in")
	flags.IntVar(&o.referring, "referring", 10000, "how many workloads name them, and how many copies of templates")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			var text strings.Builder
			flags.SetOutput(&text)
			flags.PrintDefaults()
			fmt.Fprintf(stdout, usage, text.String())
		}
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	for name, value := range map[string]int{
		"reviews": o.reviews, "writes": o.writes, "workloads": o.workloads, "rounds": o.rounds, "changes": o.changes,
		"snapshots": o.snapshots, "namespaces": o.namespaces, "referring": o.referring,
	} {
		if value < 1 {
			return o, fmt.Errorf("--%s is %d, not 1 or more", name, value)
		}
	}
	return o, nil
}

// measurements are what can be asked for, in the order in which they run.
var measurements = []struct {
	name    string
	measure func(*bench, context.Context) ([]row, error)
}{
	{"digest", (*bench).digest},
	{"handler", (*bench).handler},
	{"write", (*bench).write},
	{"snapshot", (*bench).snapshot},
	{"repin", (*bench).repin},
	{"gc", (*bench).gc},
	{"status", (*bench).status},
}

func names() []string {
	var all []string
	for _, m := range measurements {
		all = append(all, m.name)
	}
	return all
}

// bench is one run.
type bench struct {
	options
	progress io.Writer
	dir      string // of the cluster
	started  *lab   // nil until something needs it
}

func run(ctx context.Context, o options, stdout, stderr io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "configpin-bench")
	if err != nil {
		return fmt.Errorf("making a folder for the cluster: %w", err)
	}
	b := &bench{options: o, progress: stderr, dir: dir}
	defer func() {
		_, endErr := controlplane.Remove(context.WithoutCancel(ctx), dir, stderr)
		err = errors.Join(err, endErr)
	}()
	var rows []row
	for _, m := range measurements {
		if !slices.Contains(o.only, m.name) {
			continue
		}
		measured, err := m.measure(b, ctx)
		if err != nil {
			return fmt.Errorf("measuring %s: %w", m.name, err)
		}
		rows = append(rows, measured...)
	}
	return report(stdout, rows)
}

// say tells the person who waits how far it is.
func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(b.progress, format+"\n", args...)
}
