package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/cluster/ask"
	"github.com/configpin/configpin/internal/inspect"
	"github.com/configpin/configpin/internal/pin"
	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/wellknown"
	"github.com/configpin/configpin/internal/workload"
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
by kubectl configpin undo.

A source that was deleted is created again, for which you need the right to create it:
with that content, versioned, and with the change-cause of the snapshot. What else its
labels and annotations said, nobody has kept.`,
		Example: examples(`
%[1]s restore configmap/app --revision 3
%[1]s restore configmap/app --revision 3 --yes
%[1]s restore secret/db --revision 1 --dry-run=server`),
		Args:              oneSourceArg,
		ValidArgsFunction: p.completeSources,
		PreRunE: func(_ *cobra.Command, args []string) error {
			if revision == "" {
				return fmt.Errorf("say which with --revision: see kubectl configpin history %s", one(args)[0])
			}
			if err := revisionFlag("revision", revision, false); err != nil {
				return err
			}
			return dry.check()
		},
		RunE: p.run(func(ctx context.Context, s *session, args []string) error {
			source, err := p.oneSource(args)
			if err != nil {
				return err
			}
			history, err := s.readHistory(ctx, source)
			if err != nil {
				return err
			}
			shown := contrast{out: s.Out, coloured: p.coloured(), masked: source.Kind == wellknown.Secret && !showSecrets}
			if history.Gone() {
				return s.recreate(ctx, source, history, revision, shown, dry, yes)
			}
			before, after, err := s.pair(ctx, source, history, revisionLive, revision)
			if err != nil {
				return err
			}
			if !shown.print(before, after) {
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
	users, err := s.followers(ctx, source, to.object.Name)
	if err != nil {
		return err
	}
	s.say("%s", users)
	if manager := managedBy(live); manager != "" {
		s.note("%s is managed by %s, which may write back what it knows", source.Target, manager)
	}
	question := fmt.Sprintf("Have %s hold this again?", source.Target)
	return s.writeSource(ctx, source, dry, yes, question, done, func(patches *ask.Patches) error {
		return patches.Restore(ctx, live, to.object, dry == dryRunServer)
	})
}

// writeSource has a source written, once whoever runs the program agrees.
func (s *session) writeSource(ctx context.Context, source cluster.Key, dry dryRun, yes bool, question, done string, write func(*ask.Patches) error) error {
	if dry == dryRunClient {
		s.say("%s", done)
		return nil
	}
	if dry == dryRunNone {
		if err := s.confirm(ctx, yes, question); err != nil {
			return err
		}
	}
	patches, err := s.patches(source.Kind == wellknown.Secret) // who warns of a Secret may quote it
	if err != nil {
		return err
	}
	if err := write(patches); err != nil {
		return err
	}
	s.say("%s", done)
	return nil
}

// recreate creates a source that was deleted, as it was in a revision.
func (s *session) recreate(ctx context.Context, source cluster.Key, history *inspect.History, revision string, shown contrast, dry dryRun, yes bool) error {
	revisions := history.Revisions()
	at, err := find(revisions, source.Target, revision)
	if err != nil {
		return err
	}
	to, err := s.edition(ctx, source, revisions, at, revision)
	if err != nil {
		return err
	}
	if !shown.print(edition{snapshot.Object{Type: to.object.Type}, source.Target, "deleted"}, to) {
		s.say("It held nothing in %s.", to.title)
	}
	users, err := s.followers(ctx, source, to.object.Name)
	if err != nil {
		return err
	}
	s.say("%s", users)
	s.note("what else the labels and annotations of %s said is not kept: it gets %s=true", source.Target, wellknown.Versioned)
	question := fmt.Sprintf("Create %s with this?", source.Target)
	done := fmt.Sprintf("%s created, and holds %s again%s", source.Target, to.title, dry.suffix())
	return s.writeSource(ctx, source, dry, yes, question, done, func(patches *ask.Patches) error {
		return patches.Create(ctx, snapshot.Restored(to.object, source.Name), dry == dryRunServer)
	})
}

// followers says which workloads would roll out to a snapshot of a source, and which would
// read what is in it without.
func (s *session) followers(ctx context.Context, source cluster.Key, snapshot string) (string, error) {
	var follow, there, stay, read, unlisted []string
	for _, kind := range workload.Kinds {
		for element, err := range s.reader.Workloads(ctx, kind, source.Namespace, cluster.Selector{}) {
			if apierrors.IsForbidden(err) {
				unlisted = append(unlisted, kind.Resource)
				break
			}
			if err != nil {
				return "", err
			}
			object, err := kind.Read(string(element))
			if err != nil || object.Copied() {
				continue
			}
			name := lower(kind) + "/" + strings.Clone(object.Name)
			switch at, pinned := pin.ParsePins(object.Template.Annotations[wellknown.Pins])[source.Target]; {
			case pinned && at == snapshot:
				there = append(there, name)
			case pinned && (kind.Frozen || pin.Manual(object)):
				stay = append(stay, name)
			case pinned:
				follow = append(follow, name)
			case names(object, source.Target):
				read = append(read, name)
			}
		}
	}
	var said []string
	add := func(names []string, what string) {
		if len(names) > 0 {
			said = append(said, some(names)+" "+what)
		}
	}
	add(follow, "will roll out.")
	add(there, "will stay, pinned to it already.")
	add(stay, "will stay at another revision, until somebody deploys.")
	add(read, "will read it without, since nothing pins that.")
	if len(said) == 0 {
		said = append(said, "No workload is pinned to it, or reads it.")
	}
	if len(unlisted) > 0 {
		said = append(said, "There may be others: you may not list "+strings.Join(unlisted, ", ")+".")
	}
	return strings.Join(said, " "), nil
}

// some are names in a sentence, the first of many.
func some(names []string) string {
	if len(names) > maxListed {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:maxListed], ", "), len(names)-maxListed)
	}
	return strings.Join(names, ", ")
}

// maxListed is how many workloads a sentence names.
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
