package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/tidwall/gjson"
	"gomodules.xyz/jsonpatch/v2"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/inspect"
	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/wellknown"
	"github.com/configpin/configpin/internal/workload"
)

func (p *program) undo() *cobra.Command {
	var to string
	var dry dryRun
	var showSecrets bool
	command := &cobra.Command{
		Use:   "undo WORKLOAD [--to SOURCE=REVISION]",
		Short: "Take one source of a workload back to an older content, and keep it there",
		Long: `Pin one source of a workload to an older snapshot. The rest of the template stays as it
is, and other workloads aren't concerned. Its Pods are replaced by some that read the older
content; what changes for them is printed first.

It is held there, across syncs, restarts and applies that change nothing, until the source
changes, a changed template is deployed, or somebody runs kubectl configpin resume.

Without --to, it goes back to the revision before the one that it is pinned to, if it
refers to a single source. To take image and config back together, kubectl rollout undo is
all that is needed.`,
		Example: examples(`
%[1]s undo deployment/web
%[1]s undo deployment/web --to configmap/app=3
%[1]s undo statefulset/db --to secret/db=1 --dry-run=server`),
		Args:              oneWorkloadArg,
		ValidArgsFunction: p.completeWorkloads,
		RunE: p.run(func(ctx context.Context, s *session, args []string) error {
			if err := dry.check(); err != nil {
				return err
			}
			of, err := p.oneWorkload(args)
			if err != nil {
				return err
			}
			return undoing{session: s, of: of, dry: dry, showSecrets: showSecrets}.undo(ctx, to)
		}),
	}
	command.Flags().StringVar(&to, "to", "", "the source and its revision, as in configmap/app=3; or the name of a snapshot in its place")
	command.Flags().BoolVar(&showSecrets, "show-secrets", false, "print the values of Secrets")
	dry.addFlag(command)
	return command
}

// undoing takes a workload back.
type undoing struct {
	*session
	of          cluster.Workload
	dry         dryRun
	showSecrets bool
}

// tries is how often something is tried that others write at the same time: a workload
// that rolls out is written every few moments.
const tries = 5

func (u undoing) undo(ctx context.Context, to string) error {
	if u.of.Kind.Frozen {
		return fmt.Errorf("the template of %s can't change: create another one", nameOf(u.of))
	}
	f, err := u.read(ctx, u.of)
	if err != nil {
		return err
	}
	if why, _ := f.Enabled(); why != "" {
		return fmt.Errorf("nothing would hold %s at an older revision: %s (kubectl label --overwrite %s %s=true)", nameOf(u.of), why, nameOf(u.of), wellknown.Enabled)
	}
	ref, wanted, err := choose(f.Status(f.known), nameOf(u.of), to)
	if err != nil {
		return err
	}
	if why := f.known.Unserved(ref.Target().Kind); why != "" {
		return fmt.Errorf("nothing would hold %s at an older revision of %s: %s", nameOf(u.of), ref.Source, why)
	}
	before, after, err := u.editions(ctx, ref, wanted)
	if err != nil {
		return err
	}
	if after.object.Name == ref.Pinned {
		return fmt.Errorf("%s is pinned to %s of %s already", nameOf(u.of), after.title, ref.Source)
	}
	masked := ref.Target().Kind == wellknown.Secret && !u.showSecrets
	if !(contrast{out: u.Out, coloured: u.coloured(), masked: masked}).print(before, after) {
		fmt.Fprintln(u.Out, "The contents are the same.")
	}
	for try := 1; ; try++ {
		err := u.pin(ctx, f, ref, after)
		if !apierrors.IsConflict(err) || try == tries {
			return err
		}
		if f, err = u.read(ctx, u.of); err != nil {
			return err
		}
	}
}

// choose finds the source that shall go back. wanted is empty where nobody says whereto.
func choose(all []inspect.Ref, workload, to string) (ref inspect.Ref, wanted string, err error) {
	named, revision, found := strings.Cut(to, "=")
	target, err := sourceArg(named)
	if to != "" && (err != nil || !found || revision == "") {
		return ref, "", fmt.Errorf("--to is %q, not of the form configmap/NAME=REVISION", to)
	}
	all = slices.DeleteFunc(slices.Clone(all), func(r inspect.Ref) bool { return r.Pinned == "" && r.State != inspect.Settling })
	var sources []string
	for _, r := range all {
		sources = append(sources, r.Source)
	}
	if revision == revisionLive {
		return ref, "", fmt.Errorf("what %s holds now is no older content: see kubectl configpin resume --help", target)
	}
	if len(all) == 0 {
		return ref, "", fmt.Errorf("%s is pinned to nothing: see kubectl configpin status %s", workload, workload)
	}
	if to == "" {
		if len(all) > 1 {
			return ref, "", fmt.Errorf("%s is pinned to snapshots of %s: say which shall go back, as in --to %s=1", workload, strings.Join(sources, ", "), all[0].Source)
		}
		return all[0], "", nil
	}
	at := slices.IndexFunc(all, func(r inspect.Ref) bool { return r.Target() == target })
	if at < 0 {
		return ref, "", fmt.Errorf("%s is not pinned to any snapshot of %s, but to some of %s", workload, target, strings.Join(sources, ", "))
	}
	return all[at], revision, nil
}

// editions reads what the workload reads of a source, and what it shall read.
func (u undoing) editions(ctx context.Context, ref inspect.Ref, wanted string) (before, after edition, err error) {
	source := cluster.Key{Namespace: u.of.Namespace, Target: ref.Target()}
	history, err := u.readHistory(ctx, source)
	if err != nil {
		return before, after, err
	}
	revisions := slices.DeleteFunc(history.Revisions(), func(r inspect.Revision) bool { return r.Snapshot == "" })
	reads := ref.Pinned
	if reads == "" {
		reads = source.Name
	}
	at := slices.IndexFunc(revisions, func(r inspect.Revision) bool { return r.Snapshot == ref.Pinned })
	if wanted == "" {
		if at <= 0 {
			return before, after, fmt.Errorf("nothing is kept of %s from before %s: see kubectl configpin history %s", ref.Source, reads, ref.Source)
		}
		wanted = revisions[at-1].Snapshot
	}
	to, err := find(revisions, source.Target, wanted)
	if err != nil {
		return before, after, err
	}
	if after, err = u.edition(ctx, source, revisions, to, ""); err != nil {
		return before, after, err
	}
	if at >= 0 {
		before, err = u.edition(ctx, source, revisions, at, "")
		return before, after, err
	}
	object, _, err := u.objects.Read(ctx, source.Namespace, refs.Target{Kind: source.Kind, Name: reads}) // nothing, if it is gone
	return edition{object, source.Target, reads}, after, err
}

// pin names the snapshot in the template.
func (u undoing) pin(ctx context.Context, f found, ref inspect.Ref, to edition) error {
	done := fmt.Sprintf("%s pinned to %s of %s (%s)%s", nameOf(u.of), to.title, ref.Source, to.object.Name, u.dry.suffix())
	if u.dry == dryRunClient {
		if prospect := f.Taken(ref.Target(), to.object.Name, f.known); prospect.Denied != "" {
			return errors.New(prospect.Denied)
		}
		fmt.Fprintln(u.Out, done)
		return nil
	}
	var operations []jsonpatch.Operation
	for _, pointer := range f.Pointers(ref.Target(), f.known) {
		operations = append(operations, jsonpatch.NewOperation("replace", pointer, to.object.Name))
	}
	patches, err := u.patches(false)
	if err != nil {
		return err
	}
	touched, err := patches.Apply(ctx, u.of, gjson.Get(f.raw, "metadata.resourceVersion").Str, operations, u.dry == dryRunServer)
	if err != nil {
		return err
	}
	if !names(touched.Object, refs.Target{Kind: ref.Target().Kind, Name: to.object.Name}) {
		return fmt.Errorf("%s does not name %s: something changed it back on the way", nameOf(u.of), to.object.Name)
	}
	if pins := touched.Object.Template.Annotations[wellknown.Pins]; !strings.Contains(","+pins+",", ref.Source+"="+to.object.Name+",") {
		u.note("the webhook did not answer: the annotation %s of %s is put right later", wellknown.Pins, nameOf(u.of))
	}
	f.Object = touched.Object
	for _, now := range f.Status(f.known) {
		if now.Target() == ref.Target() && now.State == inspect.Settling {
			return fmt.Errorf("%s is pinned to %s of %s, but not held there: %s changed a moment ago, and is about to roll out. Undo once more when that is over: kubectl configpin status %s",
				nameOf(u.of), to.title, ref.Source, ref.Source, nameOf(u.of))
		}
	}
	fmt.Fprintln(u.Out, done)
	return nil
}

// names says whether a template names something.
func names(object workload.Object, target refs.Target) bool {
	return slices.ContainsFunc(refs.Walk(object.Template.Spec), func(r refs.Ref) bool { return r.Target == target })
}

func (p *program) resume() *cobra.Command {
	var dry dryRun
	command := &cobra.Command{
		Use:   "resume WORKLOAD",
		Short: "Give up the holds of a workload",
		Long: `Pin a workload to what all its sources hold now: the opposite of undo. Its Pods are
replaced.`,
		Example: examples(`
%[1]s resume deployment/web
%[1]s resume deployment/web --dry-run=server`),
		Args:              oneWorkloadArg,
		ValidArgsFunction: p.completeWorkloads,
		RunE: p.run(func(ctx context.Context, s *session, args []string) error {
			if err := dry.check(); err != nil {
				return err
			}
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
	if of.Kind.Frozen {
		return fmt.Errorf("the template of %s can't change: create another one", nameOf(of))
	}
	f, err := s.read(ctx, of)
	if err != nil {
		return err
	}
	var moves []string
	promised := map[string]string{}
	for _, ref := range f.Status(f.known) {
		if (ref.State == inspect.Held || ref.State == inspect.Manual || ref.State == inspect.Missing) && ref.Live != ref.Pinned {
			moves = append(moves, fmt.Sprintf("%s from %s to %s", ref.Source, ref.Pinned, orNone(ref.Live)))
			promised[ref.Source] = ref.Pinned
		}
	}
	if len(moves) == 0 {
		return fmt.Errorf("%s is not held at anything: see kubectl configpin status %s", nameOf(of), nameOf(of))
	}
	done := fmt.Sprintf("%s resumed: %s%s", nameOf(of), strings.Join(moves, ", "), dry.suffix())
	if dry == dryRunClient {
		fmt.Fprintln(s.Out, done)
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
	f.Object = touched.Object
	for _, now := range f.Status(f.known) {
		if was, held := promised[now.Source]; held && now.Pinned == was {
			return fmt.Errorf("%s still names %s: %s", nameOf(of), was, state(now))
		}
	}
	fmt.Fprintln(s.Out, done)
	return nil
}
