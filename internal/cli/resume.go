package cli

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/inspect"
	"github.com/configpin/configpin/internal/wellknown"
)

func (p *program) resume() *cobra.Command {
	var dry dryRun
	command := &cobra.Command{
		Use:   "resume WORKLOAD",
		Short: "Give up the holds of a workload",
		Long: `Pin a workload to what all its sources hold now: the opposite of undo. Its Pods are
replaced.

Of sources that you may not read, nobody can tell whether the workload is held: it is said
so, and the holds are given up all the same, since admission knows.`,
		Example: examples(`
%[1]s resume deployment/web
%[1]s resume deployment/web --dry-run=server`),
		Args:              oneRollingArg,
		ValidArgsFunction: p.completeWorkloads,
		PreRunE:           func(*cobra.Command, []string) error { return dry.check() },
		RunE: p.run(func(ctx context.Context, s *session, args []string) error {
			of, err := p.oneWorkload(args)
			if err != nil {
				return err
			}
			return s.resume(ctx, of, dry)
		}),
	}
	dry.addFlag(command)
	return command
}

func (s *session) resume(ctx context.Context, of cluster.Workload, dry dryRun) error {
	f, err := s.read(ctx, of)
	if err != nil {
		return err
	}
	moves, unknown := f.Resumed(f.known), f.Unknown(f.known)
	why, _ := f.Enabled()
	hidden := why != "" && why == f.NamespaceHidden
	switch {
	case hidden:
		s.note("%s", why)
	case why != "":
		return fmt.Errorf("%s is not held at anything: %s", nameOf(of), why)
	case len(moves) == 0 && len(unknown) == 0:
		return fmt.Errorf("%s is not held at anything: see kubectl configpin status %s", nameOf(of), nameOf(of))
	}
	if len(unknown) > 0 {
		s.note("you may not read %s, so nobody can tell whether %s is held there", strings.Join(unknown, ", "), nameOf(of))
	}
	if dry == dryRunClient {
		s.say("%s resumed: %s%s", nameOf(of), orNone(strings.Join(told(moves, unknown), ", ")), dry.suffix())
		return nil
	}
	patches, err := s.patches(false)
	if err != nil {
		return err
	}
	touched, err := patches.Label(ctx, of, map[string]any{wellknown.Resume: wellknown.True}, dry == dryRunServer)
	switch {
	case err != nil:
		return err
	case touched.Object.Labels[wellknown.Resume] != "" && dry == dryRunServer:
		return fmt.Errorf("the webhook did not answer: %s would carry the label %s, and resume when it is written next", nameOf(of), wellknown.Resume)
	case touched.Object.Labels[wellknown.Resume] != "":
		return fmt.Errorf("the webhook did not answer: %s carries the label %s now, and resumes when it is written next; to take that back, kubectl label -n %s %s %s-",
			nameOf(of), wellknown.Resume, of.Namespace, nameOf(of), wellknown.Resume)
	}
	was := named(f)
	f.Object = touched.Object
	is := named(f)
	var done []string
	for _, now := range f.Status(f.known) {
		at := slices.IndexFunc(moves, func(r inspect.Result) bool { return r.Source == now.Source })
		switch {
		case was[now.Source] != is[now.Source]:
			done = append(done, fmt.Sprintf("%s from %s to %s", now.Source, orNone(was[now.Source]), is[now.Source]))
		case at >= 0 && moves[at].From != moves[at].To:
			return fmt.Errorf("%s still names %s: %s", nameOf(of), moves[at].From, state(now))
		case at >= 0:
			done = append(done, told(moves[at:at+1], nil)...)
		}
	}
	if len(done) == 0 {
		s.say("%s resumed, and nothing changed: it was not held, or what its sources hold can't be pinned%s", nameOf(of), dry.suffix())
		return nil
	}
	s.say("%s resumed: %s%s", nameOf(of), strings.Join(done, ", "), dry.suffix())
	return nil
}

// told are moves in words, and what nobody can tell.
func told(moves []inspect.Result, unknown []string) []string {
	var words []string
	for _, move := range moves {
		switch {
		case move.From == move.To:
			words = append(words, fmt.Sprintf("%s stays at %s, and is not held there", move.Source, move.From))
		case move.New:
			words = append(words, fmt.Sprintf("%s from %s to a new snapshot", move.Source, move.From))
		default:
			words = append(words, fmt.Sprintf("%s from %s to %s", move.Source, move.From, move.To))
		}
	}
	for _, source := range unknown {
		words = append(words, source+" unknown")
	}
	return words
}

// named is what a workload names, by source.
func named(f found) map[string]string {
	names := map[string]string{}
	for _, ref := range f.Status(f.known) {
		names[ref.Source] = cmp.Or(ref.Pinned, ref.Target().Name)
	}
	return names
}
