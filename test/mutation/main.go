// Command mutation asks the unit tests what they would miss. It changes the
// program in one small place after another, runs the tests of every package that
// depends on the change, and tells which changes nobody noticed.
//
// All changes of a package are compiled in at once, each behind a condition that
// an environment variable makes true, so that a change costs no build but one run
// of the tests. They are handed to the compiler as an overlay: the tree isn't
// written. What is reached by no test is told without running any.
//
// A changed condition is true, or false, or has lost an operand, or compares up to
// the other side of its bound; negating it isn't tried, since whoever notices
// neither constant wouldn't notice that. Rows of tables and cases of switches
// change places with their neighbours, because an order of rules is most of what
// this project decides. Calls for their effect, and fields of literals, are left
// out.
//
// It deliberately judges by unit tests alone. What a real API server has to say is
// said below test/, in minutes, and isn't asked once per change.
//
// gremlins, the maintained tool for Go, changes tokens: it knows no operands, rows
// or fields, and builds once per change.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"syscall"
)

const usage = `mutation: changes the program in small places, and tells which changes no unit test notices.

Usage:
  go run ./test/mutation [flags] [packages]

Without packages it changes those that decide: %s.

Flags:
%s
Examples:
  go run ./test/mutation                                              # all changes of what decides: minutes
  go run ./test/mutation --match 'becomes false' ./internal/pin       # some of one package's
  go run ./test/mutation --sample 60 ./internal/cluster ./internal/gc # some, evenly spread
  go run ./test/mutation --list ./internal/hashing                    # only say what would be changed

What survives goes to the standard output, and how far it is to the standard error.
Changes that nobody can notice are listed in test/mutation/equivalent.txt, with the
reason. It exits with 1 where something else survives, and where the list says more
than is true.
`

// Exit codes.
const (
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130
)

// deciding are the packages that are pure and decide something.
var deciding = []string{"./internal/pin", "./internal/news", "./internal/snapshot", "./internal/retention", "./internal/inspect"}

func main() { os.Exit(execute(os.Args[1:], os.Stdout, os.Stderr)) }

func execute(args []string, stdout, stderr io.Writer) (exitCode int) {
	o, err := parse(args, stdout)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintf(stderr, "mutation: %v; see --help\n", err)
		return exitUsage
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	switch err := run(ctx, o, stdout, stderr); {
	case err == nil:
		return 0
	case ctx.Err() != nil:
		fmt.Fprintln(stderr, "mutation: interrupted")
		return exitInterrupted
	default:
		fmt.Fprintln(stderr, "mutation:", err)
		return exitFailed
	}
}

// options are the flags, and what follows them.
type options struct {
	packages []string
	tests    string
	known    string
	match    *regexp.Regexp
	sample   int
	list     bool
}

// whole says whether all changes of the packages are tried: only then it can be
// told what doesn't survive any more.
func (o options) whole() bool { return o.match == nil && o.sample == 0 }

func parse(args []string, stdout io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("mutation", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.Usage = func() {} // else wrong flags would be answered with all of it
	flags.StringVar(&o.tests, "tests", "./internal/...", "the packages whose tests are asked where they depend on what is changed, separated by commas")
	flags.StringVar(&o.known, "known", "test/mutation/equivalent.txt", "the `file` with the changes that nobody can notice")
	flags.IntVar(&o.sample, "sample", 0, "try only so `many` changes, evenly spread over the packages (default: all)")
	flags.BoolVar(&o.list, "list", false, "say what would be changed, and change nothing")
	flags.Func("match", "try only changes whose description matches this `regexp`", func(value string) (err error) {
		o.match, err = regexp.Compile(value)
		return err
	})
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		var defaults strings.Builder
		flags.SetOutput(&defaults)
		flags.PrintDefaults()
		fmt.Fprintf(stdout, usage, strings.Join(deciding, ", "), defaults.String())
		return o, err
	case err != nil:
		return o, err
	case o.sample < 0:
		return o, errors.New("--sample is negative")
	}
	if o.packages = flags.Args(); len(o.packages) == 0 {
		o.packages = deciding
	}
	return o, nil
}

func run(ctx context.Context, o options, stdout, stderr io.Writer) error {
	root, err := moduleRoot(ctx)
	if err != nil {
		return err
	}
	packages, err := load(ctx, root, o.packages)
	if err != nil {
		return err
	}
	choose(packages, o)
	if o.list {
		for _, p := range packages {
			for _, m := range p.chosen {
				fmt.Fprintln(stdout, m.located())
			}
		}
		return nil
	}
	list, err := readKnown(root, o.known)
	if err != nil {
		return err
	}
	suites, err := suitesOf(ctx, root, o.tests)
	if err != nil {
		return err
	}
	verdict := verdict{list: list}
	for _, p := range packages {
		t := trial{root: root, subject: p, stdout: stdout, stderr: stderr}
		if err := t.run(ctx, suites, &verdict); err != nil {
			return fmt.Errorf("trying the changes of %s: %w", p.name, err)
		}
	}
	return verdict.tell(stdout, packages, o.whole())
}

// choose leaves of the mutants of packages those that are asked for.
func choose(packages []*subject, o options) {
	total := 0
	for _, p := range packages {
		for _, m := range p.mutants {
			if o.match == nil || o.match.MatchString(m.String()) {
				p.chosen = append(p.chosen, m)
				total++
			}
		}
	}
	if o.sample == 0 || o.sample >= total {
		return
	}
	at := 0
	for _, p := range packages {
		var some []mutant
		for _, m := range p.chosen {
			if (at+1)*o.sample/total > at*o.sample/total {
				some = append(some, m)
			}
			at++
		}
		p.chosen = some
	}
}
