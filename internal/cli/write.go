package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"
	"k8s.io/client-go/rest"

	"github.com/configpin/configpin/internal/cluster/ask"
)

// fieldManager is the name that what people write by this program carries in
// managedFields.
const fieldManager = "kubectl-configpin"

// dryRun is how far a command that writes shall go.
type dryRun string

// The values of --dry-run.
const (
	dryRunNone   dryRun = "none"
	dryRunClient dryRun = "client"
	dryRunServer dryRun = "server"
)

var dryRuns = []string{string(dryRunNone), string(dryRunServer), string(dryRunClient)}

func (d *dryRun) addFlag(command *cobra.Command) {
	command.Flags().StringVar((*string)(d), "dry-run", string(dryRunNone),
		`"client": say what would be written; "server": have the API server, and admission, say what would come of it; "none": write`)
	_ = command.RegisterFlagCompletionFunc("dry-run", cobra.FixedCompletions(dryRuns, cobra.ShellCompDirectiveNoFileComp)) // there is such a flag
}

func (d *dryRun) check() error {
	if !slices.Contains(dryRuns, string(*d)) {
		return fmt.Errorf("--dry-run is %q, not one of %s", *d, strings.Join(dryRuns, ", "))
	}
	return nil
}

// suffix marks what was not written.
func (d dryRun) suffix() string {
	if d == dryRunNone {
		return ""
	}
	return " (" + string(d) + " dry run)"
}

// patches writes workloads as this program. What admission says of a write is printed, as
// kubectl does, where nobody else says it.
func (s *session) patches(quiet bool) (*ask.Patches, error) {
	config := rest.CopyConfig(s.config)
	if quiet {
		config.WarningHandler = rest.NoWarnings{}
	}
	return ask.NewPatches(config, fieldManager)
}

var errNotConfirmed = errors.New("nothing was changed")

// confirm asks whoever runs the program. Where nobody can answer, --yes has to say it.
func (s *session) confirm(ctx context.Context, yes bool, question string) error {
	if yes {
		return nil
	}
	if in, ok := s.In.(*os.File); ok && !term.IsTerminal(int(in.Fd())) {
		return errors.New("nobody is there to be asked whether to go on: say --yes")
	}
	fmt.Fprintf(s.ErrOut, "%s [y/N] ", clean(question))
	said := make(chan string, 1)
	go func() {
		answer, _ := bufio.NewReader(s.In).ReadString('\n') // without one, the answer is no
		said <- strings.ToLower(strings.TrimSpace(answer))
	}()
	select {
	case <-ctx.Done():
		return errNotConfirmed
	case answer := <-said:
		if answer != "y" && answer != "yes" {
			return errNotConfirmed
		}
		return nil
	}
}
