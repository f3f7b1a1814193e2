package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/retention"
	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/wellknown"
)

func (p *program) purge() *cobra.Command {
	var revision, kinds string
	var said []schema.GroupVersionResource
	var yes bool
	grace := retention.MinGrace
	var command *cobra.Command
	command = &cobra.Command{
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
		PreRunE: func(_ *cobra.Command, args []string) (err error) {
			if revision == "" {
				return fmt.Errorf("say which with --revision: see kubectl configpin history %s", one(args)[0])
			}
			if grace < 0 {
				return fmt.Errorf("--grace is %s, not 0 or more", grace)
			}
			if said, err = parseKinds(kinds); err != nil {
				return err
			}
			return revisionFlag("revision", revision, false)
		},
		RunE: p.run(func(ctx context.Context, s *session, args []string) error {
			source, err := p.oneSource(args)
			if err != nil {
				return err
			}
			p := purging{s, source, grace}
			if err := p.knowKinds(ctx, said, command.Flags().Changed(referenceKinds)); err != nil {
				return err
			}
			return p.purge(ctx, revision, yes)
		}),
	}
	command.Flags().StringVar(&revision, "revision", "", "the revision to delete: a number, or the name of a snapshot")
	command.Flags().BoolVarP(&yes, "yes", "y", false, "don't ask")
	command.Flags().StringVar(&kinds, referenceKinds, "", "further kinds that can name a snapshot, as in argoproj.io/v1alpha1/rollouts, separated by commas (default: as the versioner's --gc-reference-kinds says)")
	command.Flags().DurationVar(&grace, "grace", grace, "how long to wait for writes under way; less than the default may delete what a rollback is about to name")
	return command
}

const referenceKinds = "reference-kinds"

// purging deletes a snapshot.
type purging struct {
	*session
	source cluster.Key
	grace  time.Duration
}

// knowKinds makes sure of the kinds that can name a snapshot. Where nobody says which those
// are, nobody can tell that nothing does.
func (p purging) knowKinds(ctx context.Context, said []schema.GroupVersionResource, isSaid bool) error {
	known := p.readSettings(ctx)
	switch {
	case !isSaid && known.unknownKinds != "":
		return fmt.Errorf("nobody can tell which kinds may name a snapshot: %s; or say it with --%s, empty if there are no others than Kubernetes' own", known.unknownKinds, referenceKinds)
	case !isSaid:
		return nil
	}
	p.settings.kinds, p.settings.unknownKinds = said, ""
	return nil
}

// parseKinds reads kinds as the flag has them.
func parseKinds(text string) (kinds []schema.GroupVersionResource, err error) {
	for text := range strings.SplitSeq(text, ",") {
		if text == "" {
			continue
		}
		kind, err := cluster.ParseKind(text)
		if err != nil {
			return nil, fmt.Errorf("--%s: %w", referenceKinds, err)
		}
		kinds = append(kinds, kind)
	}
	return kinds, nil
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
	if err := p.confirm(ctx, yes, fmt.Sprintf("Delete %s, %s of %s? Nothing can bring it back.", target, title, p.source.Target)); err != nil {
		return err
	}
	for range tries {
		err = p.remove(ctx, target)
		if !apierrors.IsConflict(err) {
			break
		}
		fmt.Fprintf(p.ErrOut, "Somebody wrote %s meanwhile: it, or the collector, took the mark off. Looking again...\n", target)
		if err := p.unused(ctx, target); err != nil {
			return err
		}
	}
	if err != nil {
		return err
	}
	p.say("%s deleted: %s of %s", target, title, p.source.Target)
	return nil
}

// remove deletes a snapshot, unless somebody comes to use it.
func (p purging) remove(ctx context.Context, target refs.Target) error {
	object, err := p.mark(ctx, target)
	if err != nil {
		return p.protected(err, target)
	}
	if p.grace > 0 {
		fmt.Fprintf(p.ErrOut, "Waiting %s for writes under way...\n", p.grace)
	}
	select {
	case <-ctx.Done():
		return fmt.Errorf("%s is marked, and not deleted: configpin deletes it, or takes the mark off", target)
	case <-time.After(p.grace):
	}
	if err := p.unused(ctx, target); err != nil {
		return err
	}
	return p.protected(p.objects.Remove(ctx, object), target)
}

// unused returns what uses a snapshot, as an error.
func (p purging) unused(ctx context.Context, target refs.Target) error {
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
		return fmt.Errorf("nobody can tell whether %s is used: %s in namespace %s can't be listed", target, strings.Join(unknown, ", "), p.source.Namespace)
	default:
		return nil
	}
}

// mark marks a snapshot as the garbage collector does: whoever pins it takes the mark off,
// and so keeps it from being deleted.
func (p purging) mark(ctx context.Context, target refs.Target) (snapshot.Object, error) {
	object, found, err := p.objects.Find(ctx, p.source.Namespace, target)
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
		return fmt.Errorf("%w\n%s may be protected by the policy configpin-snapshots: add --as=\"$USER\" --as-group=configpin:admins --as-group=system:masters, if you may", err, target)
	}
	return err
}
