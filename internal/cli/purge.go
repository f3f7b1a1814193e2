package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/retention"
	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/wellknown"
)

func (p *program) purge() *cobra.Command {
	var revision string
	var yes bool
	grace := retention.MinGrace
	command := &cobra.Command{
		Use:   "purge (configmap|secret)/NAME --revision REVISION",
		Short: "Delete a snapshot that nothing uses, now",
		Long: `Delete one snapshot, instead of waiting until configpin does: a leaked Secret, say. It is
refused if the source holds it, or if anything names it: a workload, a Pod, or a revision
that kubectl rollout undo could bring back. Those are named.

Between an answer of admission and the moment at which a workload is stored, nobody can see
that it names a snapshot. So the snapshot is marked first, and deleted after --grace, if
nothing has come to use it.

The policy configpin-snapshots refuses this to those who aren't in the group
configpin:admins: see the example.`,
		Example: examples(`
%[1]s purge secret/db --revision 3 --as="$USER" --as-group=configpin:admins --as-group=system:masters`),
		Args:              oneSourceArg,
		ValidArgsFunction: p.completeSources,
		RunE: p.run(func(ctx context.Context, s *session, args []string) error {
			source, err := p.oneSource(args)
			if err != nil {
				return err
			}
			if revision == "" {
				return fmt.Errorf("say which with --revision: see kubectl configpin history %s", source.Target)
			}
			if grace < 0 {
				return fmt.Errorf("--grace is %s, not 0 or more", grace)
			}
			return purging{s, source, grace}.purge(ctx, revision, yes)
		}),
	}
	command.Flags().StringVar(&revision, "revision", "", "the revision to delete: a number, or the name of a snapshot")
	command.Flags().BoolVarP(&yes, "yes", "y", false, "don't ask")
	command.Flags().DurationVar(&grace, "grace", grace, "how long to wait for writes under way; less than the default may delete what a rollback is about to name")
	return command
}

// purging deletes a snapshot.
type purging struct {
	*session
	source cluster.Key
	grace  time.Duration
}

func (p purging) purge(ctx context.Context, wanted string, yes bool) error {
	history, err := p.readHistory(ctx, p.source)
	if err != nil {
		return err
	}
	revisions := history.Revisions()
	at, err := find(revisions, p.source.Target, wanted)
	if err != nil {
		return err
	}
	title := called(revisions, at, wanted)
	if revisions[at].Current {
		return fmt.Errorf("%s of %s is what it holds now: change it first, or the snapshot is made again", title, p.source.Target)
	}
	target := refs.Target{Kind: p.source.Kind, Name: revisions[at].Snapshot}
	if err := p.unused(ctx, target); err != nil {
		return err
	}
	if err := p.confirm(yes, fmt.Sprintf("Delete %s, %s of %s? Nothing can bring it back.", target, title, p.source.Target)); err != nil {
		return err
	}
	object, err := p.mark(ctx, target)
	if err != nil {
		return p.protected(err, target)
	}
	if p.grace > 0 {
		fmt.Fprintf(p.ErrOut, "Waiting %s for writes under way...\n", p.grace)
	}
	select {
	case <-ctx.Done():
		return fmt.Errorf("%s is marked, and not deleted: configpin deletes it or takes the mark off", target)
	case <-time.After(p.grace):
	}
	if err := p.unused(ctx, target); err != nil {
		return err
	}
	if err := p.objects.Remove(ctx, object); err != nil {
		if apierrors.IsConflict(err) {
			return fmt.Errorf("%s was written while we waited, most likely because something is about to use it: see kubectl configpin history %s", target, p.source.Target)
		}
		return p.protected(err, target)
	}
	fmt.Fprintf(p.Out, "%s deleted: %s of %s\n", target, title, p.source.Target)
	return nil
}

// unused returns what uses a snapshot, as an error.
func (p purging) unused(ctx context.Context, target refs.Target) error {
	if why := p.readSettings(ctx).why; why != "" {
		p.note("other kinds than those of Kubernetes are taken not to name snapshots: %s", why)
	}
	users, unknown, err := p.users(ctx, p.source.Namespace, []string{target.Name})
	if err != nil {
		return err
	}
	var names []string
	for _, user := range users.Of(target.Name) {
		names = append(names, user.Short())
	}
	switch {
	case len(names) > 0:
		return fmt.Errorf("%s is used by %s: see kubectl configpin tree %s", target, strings.Join(names, ", "), p.source.Target)
	case len(unknown) > 0:
		return fmt.Errorf("nobody can tell whether %s is used: you may not list %s in namespace %s", target, strings.Join(unknown, ", "), p.source.Namespace)
	default:
		return nil
	}
}

// mark marks a snapshot as the garbage collector does: whoever pins it takes the mark off,
// and so keeps it from being deleted.
func (p purging) mark(ctx context.Context, target refs.Target) (snapshot.Object, error) {
	object, found, err := p.objects.Read(ctx, p.source.Namespace, target)
	if err != nil {
		return snapshot.Object{}, err
	}
	if !found {
		return snapshot.Object{}, fmt.Errorf("%s in namespace %s is gone already", target, p.source.Namespace)
	}
	return p.objects.Annotate(ctx, object, map[string]any{wellknown.UnusedSince: time.Now().UTC().Format(time.RFC3339)})
}

// protected adds, to a refusal, what to do.
func (p purging) protected(err error, target refs.Target) error {
	if apierrors.IsForbidden(err) || apierrors.IsInvalid(err) {
		return errors.Join(err, fmt.Errorf("%s is protected by the policy configpin-snapshots: add --as=\"$USER\" --as-group=configpin:admins --as-group=system:masters, if you may", target))
	}
	return err
}
