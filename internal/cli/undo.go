package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/tidwall/gjson"
	"gomodules.xyz/jsonpatch/v2"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/inspect"
	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/wellknown"
	"github.com/configpin/configpin/internal/workload"
)

func (p *program) undo() *cobra.Command {
	var to []string
	var goal goal
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
		Args:              oneRollingArg,
		ValidArgsFunction: p.completeWorkloads,
		PreRunE: func(*cobra.Command, []string) (err error) {
			if goal, err = parseGoal(to); err != nil {
				return err
			}
			return dry.check()
		},
		RunE: p.run(func(ctx context.Context, s *session, args []string) error {
			of, err := p.oneWorkload(args)
			if err != nil {
				return err
			}
			return undoing{session: s, of: of, dry: dry, showSecrets: showSecrets}.undo(ctx, goal)
		}),
	}
	command.Flags().StringArrayVar(&to, "to", nil, "the source and its revision, as in configmap/app=3; or the name of a snapshot in its place")
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

	// guessed says that nobody who asks may read what is needed to tell whether it would be
	// held: then admission is asked by a dry run, before anything is written.
	guessed bool
}

// tries is how often something is tried that others write at the same time: a workload
// that rolls out is written every few moments.
const tries = 5

// goal is what --to says: the source and its revision, or nothing.
type goal struct {
	source   refs.Target
	revision string
}

func parseGoal(all []string) (goal, error) {
	switch len(all) {
	case 0:
		return goal{}, nil
	case 1:
	default:
		return goal{}, fmt.Errorf("--to is given %d times: take one source back, and then the next", len(all))
	}
	to := all[0]
	named, revision, found := strings.Cut(to, "=")
	target, err := sourceArg(named)
	switch {
	case err != nil || !found || revision == "":
		return goal{}, fmt.Errorf("--to is %q, not of the form configmap/NAME=REVISION", to)
	case revision == revisionLive:
		return goal{}, fmt.Errorf("what %s holds now is no older content: see kubectl configpin resume --help", target)
	}
	if err := revisionFlag("to", revision, false); err != nil {
		return goal{}, err
	}
	return goal{target, revision}, nil
}

func (u undoing) undo(ctx context.Context, to goal) error {
	f, err := u.read(ctx, u.of)
	if err != nil {
		return err
	}
	switch why, _ := f.Enabled(); {
	case why != "" && why == f.NamespaceHidden:
		u.guessed = true
		u.note("%s: admission does", why)
	case why != "":
		return fmt.Errorf("nothing would hold %s at an older revision: %s (kubectl label --overwrite %s %s=true)", nameOf(u.of), why, nameOf(u.of), wellknown.Enabled)
	}
	ref, err := choose(f.Status(f.known), nameOf(u.of), to)
	if err != nil {
		return err
	}
	if why := f.known.Unserved(ref.Target().Kind); why != "" {
		return fmt.Errorf("nothing would hold %s at an older revision of %s: %s", nameOf(u.of), ref.Source, why)
	}
	before, after, err := u.editions(ctx, ref, to.revision)
	hidden := apierrors.IsForbidden(err)
	if hidden {
		u.guessed = true
		after, err = u.unseen(ref, to.revision, err)
	}
	if err != nil {
		return err
	}
	if after.object.Name == ref.Pinned {
		return fmt.Errorf("%s is pinned to %s of %s already", nameOf(u.of), after.title, ref.Source)
	}
	masked := ref.Target().Kind == wellknown.Secret && !u.showSecrets
	if !hidden && !(contrast{out: u.Out, coloured: u.coloured(), masked: masked}).print(before, after) {
		u.say("The contents are the same.")
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

// unseen is a snapshot that somebody names who may not read it. Admission may, and refuses
// what isn't there.
func (u undoing) unseen(ref inspect.Ref, wanted string, err error) (edition, error) {
	if _, isNumber := strconv.Atoi(wanted); wanted == "" || isNumber == nil {
		return edition{}, fmt.Errorf("you may not read %s and its snapshots, so nobody can tell which one that is: name it, as in --to %s=SNAPSHOT (%w)", ref.Source, ref.Source, cause(err))
	}
	u.note("you may not read %s and its snapshots: what changes is not shown", ref.Source)
	return edition{object: snapshot.Object{Kind: ref.Target().Kind, Namespace: u.of.Namespace, Name: wanted}, source: ref.Target(), title: "a snapshot"}, nil
}

// choose finds the source that shall go back.
func choose(all []inspect.Ref, workload string, to goal) (inspect.Ref, error) {
	all = slices.DeleteFunc(slices.Clone(all), func(r inspect.Ref) bool {
		return r.Pinned == "" && r.State != inspect.Settling && r.State != inspect.Unknown
	})
	var sources []string
	for _, r := range all {
		sources = append(sources, r.Source)
	}
	if len(all) == 0 {
		return inspect.Ref{}, fmt.Errorf("%s is pinned to nothing: see kubectl configpin status %s", workload, workload)
	}
	if to.revision == "" {
		if len(all) > 1 {
			return inspect.Ref{}, fmt.Errorf("%s is pinned to snapshots of %s: say which shall go back, as in --to %s=1", workload, strings.Join(sources, ", "), all[0].Source)
		}
		return all[0], nil
	}
	at := slices.IndexFunc(all, func(r inspect.Ref) bool { return r.Target() == to.source })
	if at < 0 {
		return inspect.Ref{}, fmt.Errorf("%s is not pinned to any snapshot of %s, but to some of %s", workload, to.source, strings.Join(sources, ", "))
	}
	return all[at], nil
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
	object, _, err := u.objects.Find(ctx, source.Namespace, refs.Target{Kind: source.Kind, Name: reads}) // nothing, if it is gone
	return edition{object, source.Target, reads}, after, err
}

// pin names the snapshot in the template.
func (u undoing) pin(ctx context.Context, f found, ref inspect.Ref, to edition) error {
	done := fmt.Sprintf("%s pinned to %s of %s (%s)%s", nameOf(u.of), to.title, ref.Source, to.object.Name, u.dry.suffix())
	if u.dry == dryRunClient {
		if prospect := f.Taken(ref.Target(), to.object.Name, f.known); prospect.Denied != "" {
			return errors.New(prospect.Denied)
		}
		u.say("%s", done)
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
	if u.guessed {
		if err := u.ask(ctx, f, ref, to, operations); err != nil {
			return err
		}
	}
	touched, err := patches.Apply(ctx, u.of, gjson.Get(f.raw, "metadata.resourceVersion").Str, operations, u.dry == dryRunServer)
	if err != nil {
		return err
	}
	if !names(touched.Object, refs.Target{Kind: ref.Target().Kind, Name: to.object.Name}) {
		return fmt.Errorf("%s does not name %s: something changed it back on the way", nameOf(u.of), to.object.Name)
	}
	if !pins(touched.Object, ref, to) {
		u.note("the webhook did not answer: the annotation %s of %s is put right later", wellknown.Pins, nameOf(u.of))
	}
	f.Object = touched.Object
	for _, now := range f.Status(f.known) {
		if now.Target() == ref.Target() && now.State == inspect.Settling {
			return fmt.Errorf("%s is pinned to %s of %s, but not held there: %s changed a moment ago, and is about to roll out. Undo once more when that is over: kubectl configpin status %s",
				nameOf(u.of), to.title, ref.Source, ref.Source, nameOf(u.of))
		}
	}
	u.say("%s", done)
	return nil
}

// ask has admission say, by a dry run, whether it takes what is to be pinned for a snapshot
// of the source: otherwise the template would name something else, or nothing.
func (u undoing) ask(ctx context.Context, f found, ref inspect.Ref, to edition, operations []jsonpatch.Operation) error {
	patches, err := u.patches(true)
	if err != nil {
		return err
	}
	tried, err := patches.Apply(ctx, u.of, gjson.Get(f.raw, "metadata.resourceVersion").Str, operations, true)
	if err != nil {
		return err
	}
	if !pins(tried.Object, ref, to) {
		return fmt.Errorf("nothing would hold %s at %s of %s: admission doesn't take that for a snapshot of it, or doesn't serve the workload, or did not answer", nameOf(u.of), to.object.Name, ref.Source)
	}
	return nil
}

// pins says whether admission calls a source pinned to a snapshot.
func pins(object workload.Object, ref inspect.Ref, to edition) bool {
	return strings.Contains(","+object.Template.Annotations[wellknown.Pins]+",", ","+ref.Source+"="+to.object.Name+",")
}

// names says whether a template names something.
func names(object workload.Object, target refs.Target) bool {
	return slices.ContainsFunc(refs.Walk(object.Template.Spec), func(r refs.Ref) bool { return r.Target == target })
}
