// Package cli is what the kubectl plugin does: it reads what is in the cluster's
// objects, by the rights of whoever runs it, has it judged (package inspect), and
// prints it. It needs none of our programs to run.
//
// It deliberately concludes nothing from what it may not read: that is said to be
// unknown. Whatever it writes to a workload goes through admission.
package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
)

// Codes with which the program ends.
const (
	codeNo    = 1 // the answer to what was asked is no
	codeError = 2 // there is no answer
)

// errNo is the answer no, which was printed.
var errNo = errors.New("no")

// Run runs the program, and returns the code with which it ends.
func Run(ctx context.Context, streams genericiooptions.IOStreams, version string, args []string) int {
	root := Command(streams, version) //nolint:contextcheck // cobra hands it to what runs
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errNo):
		return codeNo
	}
	fmt.Fprintln(streams.ErrOut, "error:", clean(err.Error()))
	return codeError
}

// program is what all commands share.
type program struct {
	genericiooptions.IOStreams
	flags *genericclioptions.ConfigFlags
	home  string
}

// userAgent names us in the API server's log.
const userAgent = "kubectl-configpin"

// Command is the program.
func Command(streams genericiooptions.IOStreams, version string) *cobra.Command {
	p := &program{IOStreams: streams, flags: genericclioptions.NewConfigFlags(true)}
	p.flags.WithWrapConfigFn(func(config *rest.Config) *rest.Config {
		config.UserAgent = userAgent + "/" + version
		config.QPS = -1 // lists are few and paged; whatever writes paces itself
		config.WarningHandler = &warner{out: streams.ErrOut, said: map[string]bool{}}
		return config
	})
	root := &cobra.Command{
		Use:   "configpin",
		Short: "See, explain and undo what configpin does",
		Long: `See, explain and undo what configpin does.

configpin keeps every content of a ConfigMap or Secret in a snapshot, and has the
workloads that use it name the snapshot, so that a rollback brings back the config
with the template. This program shows what there is, says why, and takes back.

It needs no more than your own rights: what you may not read is said to be unknown.
It ends with 0; with 1 if the answer to what was asked is no (check, --check,
--exit-code); and with 2 if there is no answer, because something went wrong.`,
		Example: examples(`
# Which contents did the ConfigMap have, and what uses them?
%[1]s history configmap/app

# What did the last edit change?
%[1]s diff configmap/app

# Which content does each workload of this namespace read?
%[1]s status

# Take the Deployment back to revision 3 of the ConfigMap, and keep it there
%[1]s undo deployment/web --to configmap/app=3`),
		Annotations: map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl configpin"},
		Version:     version,
		Args: func(command *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			meant := ""
			if alike := command.SuggestionsFor(args[0]); len(alike) > 0 {
				meant = fmt.Sprintf(" do you mean %s?", strings.Join(alike, " or "))
			}
			return fmt.Errorf("there is no command %q:%s see kubectl configpin --help", args[0], meant)
		},
		PersistentPreRunE: p.checkFlags,
		RunE:              func(command *cobra.Command, _ []string) error { return command.Help() },
		SilenceErrors:     true,
		SilenceUsage:      true,
		DisableAutoGenTag: true,

		SuggestionsMinimumDistance: 2, // SuggestionsFor has no default
	}
	root.SetIn(streams.In)
	root.SetOut(streams.Out)
	root.SetErr(streams.ErrOut)
	root.SetVersionTemplate("{{.Version}}\n")
	p.flags.AddFlags(root.PersistentFlags())
	root.PersistentFlags().StringVar(&p.home, homeFlag, "configpin-system", "the namespace in which configpin runs")
	root.AddGroup(&cobra.Group{ID: groupSee, Title: "See:"}, &cobra.Group{ID: groupDo, Title: "Do:"})
	for _, command := range []*cobra.Command{p.history(), p.diff(), p.tree(), p.status(), p.explain(), p.check()} {
		command.GroupID = groupSee
		root.AddCommand(command)
	}
	for _, command := range []*cobra.Command{p.undo(), p.resume(), p.restore(), p.adopt(), p.unpin(), p.purge()} {
		command.GroupID = groupDo
		root.AddCommand(command)
	}
	return root
}

const homeFlag = "configpin-namespace"

const groupSee, groupDo = "see", "do"

// examples are those of a command, with the name of the program filled in.
func examples(text string) string {
	text = strings.ReplaceAll(strings.TrimSpace(text), "%[1]s", "kubectl configpin")
	return "  " + strings.ReplaceAll(text, "\n", "\n  ")
}

// checkFlags checks the flags of all commands.
func (p *program) checkFlags(*cobra.Command, []string) error {
	for flag, name := range map[string]string{"namespace": ptr.Deref(p.flags.Namespace, ""), homeFlag: p.home} {
		if wrong := validation.IsDNS1123Label(name); name != "" && len(wrong) > 0 {
			return fmt.Errorf("--%s is %q: no namespace is called that", flag, name)
		}
	}
	return nil
}

// oneOrAll checks that somebody says of one namespace or of all, and not both.
func (p *program) oneOrAll(everywhere bool) error {
	if everywhere && ptr.Deref(p.flags.Namespace, "") != "" {
		return errors.New("--all-namespaces and --namespace exclude each other: give one of them")
	}
	return nil
}

// place is where the command shall look: the namespace of its flags, of its context, or
// all of them.
func (p *program) place(everywhere bool) (namespace string, err error) {
	if everywhere {
		return metav1.NamespaceAll, nil
	}
	namespace, _, err = p.flags.ToRawKubeConfigLoader().Namespace()
	return namespace, err
}
