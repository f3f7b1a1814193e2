// Package serve is what both programs have in common as programs: they read
// flags, log, tell whether they are well, and stop when they are told to. It
// knows nothing of what they do.
package serve

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
	logf "sigs.k8s.io/controller-runtime/pkg/log"
)

// Exit codes of a program.
const (
	exitDone   = 0 // It was told to stop by SIGTERM or SIGINT, or asked for `--help` or `--version`.
	exitFailed = 1 // Anything went wrong: an address is in use, nothing says how to reach the API server, a leader lost its lease.
	exitUsage  = 2 // The flags are wrong.
)

// errUsage marks errors about how the program was called.
var errUsage = errors.New("see --help")

// Version is what the program was released as. Builds of a release set it, by -ldflags.
var Version = "unreleased"

// Between is what is put between a program and the API server. Nothing is, but in builds that
// fail on purpose.
var Between = func(*rest.Config) {}

// Main runs a program until it is done or told to stop, and returns its exit
// code: 2 for wrong flags, 1 for any other error. Either is told in one line.
func Main(run func(ctx context.Context, args []string) error) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:])
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return exitDone
	case errors.Is(err, errUsage):
		fmt.Fprintln(os.Stderr, err)
		return exitUsage
	default:
		fmt.Fprintln(os.Stderr, "stopped:", err)
		return exitFailed
	}
}

// Flags are those that both programs have.
type Flags struct {
	*flag.FlagSet
	Kubeconfig    string
	HealthAddress string

	// HashAnnotations are keys of annotations of templates that are hashes of config,
	// of which one that ends in a * stands for all that begin so.
	HashAnnotations []string

	scope     scopeFlags
	logLevel  int
	logFormat string
	version   bool
	help      func(out io.Writer)
}

// NewFlags returns the flags of a program. About says in a sentence what it is
// for, and examples is shown below the flags. What a flag says of itself is a line; a
// comment above it is for docs/reference.md, which is made of both.
func NewFlags(program, about, examples string) *Flags {
	f := &Flags{FlagSet: flag.NewFlagSet(program, flag.ContinueOnError)}
	f.SetOutput(io.Discard)
	f.Usage = func() {} // a wrong flag is told in one line
	f.help = func(out io.Writer) {
		fmt.Fprintf(out, "%s: %s\n\nFlags:\n", program, about)
		f.SetOutput(out)
		f.PrintDefaults()
		fmt.Fprintf(out, "\nExamples:\n%s", examples)
	}
	f.StringVar(&f.Kubeconfig, "kubeconfig", "", "`file` that says how to reach the API server (default: as a Pod does)")
	f.StringVar(&f.HealthAddress, "health-address", ":8081", "`address` that serves /healthz, /readyz and /metrics, in plain HTTP")
	f.scope.add(f)
	// See [gitops.md](gitops.md#a-hash-of-the-config-in-the-template). Both programs need the same.
	f.Func("hash-annotations", "further annotations of Pod templates, beside checksum/*, that are hashes of config and don't make another template of one: `keys`, separated by commas, of which one that ends in a * stands for all that begin so", listOf(&f.HashAnnotations, hashAnnotation))
	f.IntVar(&f.logLevel, "v", 0, "log `level`: 0 for what changed in the cluster, 1 for every decision as well")
	f.StringVar(&f.logFormat, "log-format", "text", "log `format`: text or json")
	f.BoolVar(&f.version, "version", false, "say which release this is, and end")
	return f
}

// Read reads the arguments, and sets up logging. Where they ask for help or the version, that
// is printed, and the error is flag.ErrHelp.
func (f *Flags) Read(args []string) error {
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			f.help(os.Stdout)
			return err
		}
		return f.Wrong("%v", err)
	}
	if f.NArg() > 0 {
		return f.Wrong("unexpected argument %q", f.Arg(0))
	}
	if f.version {
		fmt.Fprintf(os.Stdout, "%s %s (%s, %s/%s)\n", f.Name(), Version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
		return flag.ErrHelp
	}
	options := &slog.HandlerOptions{Level: slog.Level(-f.logLevel)}
	var handler slog.Handler
	switch f.logFormat {
	case "text":
		handler = slog.NewTextHandler(os.Stderr, options)
	case "json":
		handler = slog.NewJSONHandler(os.Stderr, options)
	default:
		return f.Wrong("--log-format is %q, not text or json", f.logFormat)
	}
	log := logr.FromSlogHandler(handler)
	logf.SetLogger(log)
	klog.SetLogger(log)
	return nil
}

// Wrong is an error about how the program was called.
func (f *Flags) Wrong(format string, args ...any) error {
	return fmt.Errorf("%s: %s; %w", f.Name(), strings.TrimSpace(fmt.Sprintf(format, args...)), errUsage)
}

// Connect returns how to reach the API server. It doesn't limit the rate of
// requests: that is what API priority and fairness is for, and a limit here
// would make people wait for admission.
func (f *Flags) Connect() (*rest.Config, error) {
	config, err := f.find()
	if err != nil {
		return nil, fmt.Errorf("finding the API server: %w", err)
	}
	config.QPS = -1
	config.UserAgent = f.Name()
	config.WarningHandler = rest.NoWarnings{} // the warnings are ours, and are for people
	config.ContentType = "application/vnd.kubernetes.protobuf"
	config.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	Between(config)
	return config, nil
}

func (f *Flags) find() (*rest.Config, error) {
	if f.Kubeconfig != "" {
		return clientcmd.BuildConfigFromFlags("", f.Kubeconfig)
	}
	config, err := rest.InClusterConfig()
	if errors.Is(err, rest.ErrNotInCluster) {
		return nil, errors.New("this is no Pod: say where with --kubeconfig")
	}
	return config, err
}
