package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/inspect"
	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/wellknown"
)

func (p *program) restore() *cobra.Command {
	var revision string
	var yes, showSecrets bool
	var dry dryRun
	command := &cobra.Command{
		Use:   "restore (configmap|secret)/NAME --revision REVISION",
		Short: "Write an older content back into its source",
		Long: `Have a ConfigMap or Secret hold an older content again. All its workloads roll out to it, as
after any other edit. What changes is printed first, and has to be confirmed.

Nothing but the content is written: labels and annotations stay. If a GitOps tool manages
the source, it writes back what Git says: change it there, or take single workloads back
by kubectl configpin undo.`,
		Example: examples(`
%[1]s restore configmap/app --revision 3
%[1]s restore configmap/app --revision 3 --yes
%[1]s restore secret/db --revision 1 --dry-run=server`),
		Args:              oneSourceArg,
		ValidArgsFunction: p.completeSources,
		RunE: p.run(func(ctx context.Context, s *session, args []string) error {
			if err := dry.check(); err != nil {
				return err
			}
			source, err := p.oneSource(args)
			if err != nil {
				return err
			}
			if revision == "" {
				return fmt.Errorf("say which with --revision: see kubectl configpin history %s", source.Target)
			}
			before, after, err := s.pair(ctx, source, revisionLive, revision)
			if err != nil {
				return err
			}
			if !(contrast{out: s.Out, coloured: p.coloured(), masked: source.Kind == wellknown.Secret && !showSecrets}).print(before, after) {
				return fmt.Errorf("%s holds what it held in %s already", source.Target, after.title)
			}
			return s.restore(ctx, source, before.object, after, dry, yes)
		}),
	}
	command.Flags().StringVar(&revision, "revision", "", "the revision to restore: a number, or the name of a snapshot")
	command.Flags().BoolVarP(&yes, "yes", "y", false, "don't ask")
	command.Flags().BoolVar(&showSecrets, "show-secrets", false, "print the values of Secrets")
	dry.addFlag(command)
	return command
}

func (s *session) restore(ctx context.Context, source cluster.Key, live snapshot.Object, to edition, dry dryRun, yes bool) error {
	done := fmt.Sprintf("%s holds %s again%s", source.Target, to.title, dry.suffix())
	if live.Immutable {
		return fmt.Errorf("%s is immutable: it can't hold anything else", source.Target)
	}
	if live.Type != to.object.Type {
		return fmt.Errorf("%s is of the type %s, and was of the type %s in %s: a Secret can't become another type", source.Target, live.Type, to.object.Type, to.title)
	}
	users, err := s.followers(ctx, source)
	if err != nil {
		return err
	}
	fmt.Fprintln(s.Out, users)
	if manager := managedBy(live); manager != "" {
		s.note("%s is managed by %s, which may write back what it knows", source.Target, manager)
	}
	if dry == dryRunClient {
		fmt.Fprintln(s.Out, done)
		return nil
	}
	if dry == dryRunNone {
		if err := s.confirm(yes, fmt.Sprintf("Have %s hold this again?", source.Target)); err != nil {
			return err
		}
	}
	patches, err := s.patches(false)
	if err != nil {
		return err
	}
	if err := patches.Restore(ctx, live, to.object, dry == dryRunServer); err != nil {
		return err
	}
	fmt.Fprintln(s.Out, done)
	return nil
}

// followers says which workloads would roll out.
func (s *session) followers(ctx context.Context, source cluster.Key) (string, error) {
	everything, err := s.survey(ctx, source.Namespace)
	if err != nil {
		return "", err
	}
	var names []string
	err = everything.workloads(ctx, func(f found) error {
		follows := slices.ContainsFunc(f.Status(f.known), func(r inspect.Ref) bool {
			return r.Target() == source.Target && (r.State == inspect.Current || r.State == inspect.Held || r.State == inspect.Settling)
		})
		if follows && !f.Kind.Frozen {
			names = append(names, lower(f.Kind)+"/"+f.Name)
		}
		return nil
	})
	if err != nil || len(names) == 0 {
		return "No workload follows it.", err
	}
	more := ""
	if len(names) > maxListed {
		names, more = names[:maxListed], fmt.Sprintf(" and %d more", len(names)-maxListed)
	}
	return strings.Join(names, ", ") + more + " will roll out.", nil
}

// maxListed is how many workloads a question names.
const maxListed = 10

// managers are the marks of tools that write sources back
// (argo-cd util/argo, fluxcd pkg/ssa, helm pkg/action).
var managers = []struct{ key, tool string }{
	{"argocd.argoproj.io/tracking-id", "Argo CD"},
	{"kustomize.toolkit.fluxcd.io/name", "Flux"},
	{"helm.toolkit.fluxcd.io/name", "Flux"},
	{"meta.helm.sh/release-name", "helm"},
}

func managedBy(o snapshot.Object) string {
	for _, m := range managers {
		if o.Annotations[m.key] != "" || o.Labels[m.key] != "" {
			return m.tool
		}
	}
	return ""
}
