package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/tidwall/gjson"
	"gomodules.xyz/jsonpatch/v2"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/cluster/ask"
	"github.com/configpin/configpin/internal/inspect"
	"github.com/configpin/configpin/internal/pin"
	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/wellknown"
	"github.com/configpin/configpin/internal/workload"
)

// pace is how a command goes through many workloads.
type pace struct {
	everywhere bool
	every      time.Duration
	dry        dryRun
	yes        bool
}

func (o *pace) addFlags(command *cobra.Command) {
	command.Flags().BoolVarP(&o.everywhere, "all-namespaces", "A", false, "go through all namespaces")
	command.Flags().DurationVar(&o.every, "every", time.Second, "how long to wait after each workload that rolls out")
	command.Flags().BoolVarP(&o.yes, "yes", "y", false, "don't ask")
	o.dry.addFlag(command)
}

func (o *pace) check() error {
	if o.every < 0 {
		return fmt.Errorf("--every is %s, not 0 or more", o.every)
	}
	return o.dry.check()
}

func (p *program) adopt() *cobra.Command {
	var at pace
	command := &cobra.Command{
		Use:   "adopt (--namespace NAMESPACE | --all-namespaces)",
		Short: "Have every opted-in workload pinned now",
		Long: `Send every opted-in workload of a namespace through admission, one after another: those that
were written before their namespace was opted in, or while configpin was away, are pinned
now, and not when they are written next. A workload that is pinned to what its sources hold
stays as it is. The others roll out once.

Where you may not read the namespace, nobody can tell which workloads it opts in: all are
sent through admission, which knows. Of all namespaces, those that you may not list are left
as they are, and it ends with 2.`,
		Example: examples(`
kubectl label namespace shop configpin.io/enabled=true
%[1]s adopt -n shop
%[1]s adopt -n shop --every 30s
%[1]s adopt --all-namespaces --dry-run=server`),
		Args: noArgs,
		PreRunE: func(*cobra.Command, []string) error {
			if !at.everywhere && ptr.Deref(p.flags.Namespace, "") == "" {
				return errors.New("say which with --namespace, or --all-namespaces: each workload may roll out")
			}
			if err := p.oneOrAll(at.everywhere); err != nil {
				return err
			}
			return at.check()
		},
		RunE: p.run(func(ctx context.Context, s *session, _ []string) error {
			namespace, err := p.place(at.everywhere)
			if err != nil {
				return err
			}
			return s.adopt(ctx, namespace, at)
		}),
	}
	at.addFlags(command)
	return command
}

func (s *session) adopt(ctx context.Context, namespace string, at pace) error {
	all, unlisted, err := s.everyWorkload(ctx, namespace, func(f found) bool {
		why, _ := f.Enabled()
		return why == "" || why == f.NamespaceHidden
	})
	if err != nil {
		return err
	}
	if err := s.goThrough(ctx, all, namespace, at, "pin", s.touchOne); err != nil {
		return err
	}
	return left(unlisted)
}

// left is an error about what could not be listed, and so was left as it is.
func left(unlisted []string) error {
	if len(unlisted) == 0 {
		return nil
	}
	return fmt.Errorf("you may not list %s: what is there is left as it was", strings.Join(unlisted, ", "))
}

// touchOne sends one workload through admission.
func (s *session) touchOne(ctx context.Context, patches *ask.Patches, of cluster.Workload, dry dryRun) (step, error) {
	f, err := s.read(ctx, of)
	if err != nil {
		return step{}, err
	}
	if why := f.known.Unserved(wellknown.ConfigMap); why != "" {
		return step{said: "left as it is: " + why}, nil
	}
	decision := f.known.Case(f.Request()).Decide()
	unknown := f.Unknown(f.known)
	why, _ := f.Enabled()
	hidden := why != "" && why == f.NamespaceHidden
	if hidden {
		unknown = append(unknown, "namespace "+of.Namespace)
	}
	if len(decision.Patch) == 0 && len(unknown) == 0 {
		return step{said: "as it should be"}, nil
	}
	if dry == dryRunClient {
		said := sentence(decision)
		if len(unknown) > 0 {
			said = "unknown, since you may not read " + strings.Join(unknown, ", ")
		}
		return step{said: said, rolls: slices.ContainsFunc(decision.Outcomes, pin.Outcome.Moves)}, nil
	}
	touched, err := patches.Touch(ctx, of, dry == dryRunServer)
	if err != nil {
		return step{}, err
	}
	if changes := renamed(f.Object, touched.Object); len(changes) > 0 {
		return step{said: strings.Join(changes, ", "), rolls: true}, nil
	}
	if len(decision.Patch) > 0 && maps.Equal(f.Labels, touched.Object.Labels) {
		return step{}, fmt.Errorf("sending it through admission changed nothing: %w", errUnanswered)
	}
	if hidden && touched.Object.Labels[wellknown.Enabled] == "" {
		return step{said: "as it was: its namespace doesn't opt it in, or the webhook did not answer"}, nil
	}
	return step{said: "as it should be"}, nil
}

// errUnanswered says that admission wasn't there.
var errUnanswered = errors.New("is the webhook reachable? see kubectl configpin check")

// renamed says which names in a template became others.
func renamed(before, after workload.Object) []string {
	var changes []string
	now := refs.Walk(after.Template.Spec)
	for i, was := range refs.Walk(before.Template.Spec) {
		if i < len(now) && now[i].Target != was.Target {
			changes = append(changes, fmt.Sprintf("%s -> %s", was.Target, now[i].Target))
		}
	}
	return slices.Compact(changes)
}

// sentence says what a decision does to pins.
func sentence(decision pin.Decision) string {
	var words []string
	for _, o := range decision.Outcomes {
		if o.Moves() {
			words = append(words, fmt.Sprintf("%s/%s -> %s/%s", o.Source.Kind, o.In, o.Source.Kind, inspect.Called(o.Name)))
		}
	}
	if len(words) == 0 {
		return "its labels are put right"
	}
	return strings.Join(words, ", ")
}

func (p *program) unpin() *cobra.Command {
	var at pace
	command := &cobra.Command{
		Use:   "unpin (WORKLOAD... | --all --namespace NAMESPACE | --all-namespaces)",
		Short: "Put the names of sources back, and opt out",
		Long: `Opt workloads out (configpin.io/enabled=false): their templates name ConfigMaps and Secrets
again, as their manifests do, and configpin's keys are taken off. Each rolls out once, and
reads from then on whatever its sources hold. For instance before configpin is uninstalled
for good; running workloads don't need it, since snapshots stay.

It works without configpin running, too, unless you may not read the sources: then admission
has to say what becomes of the pins. A pin whose source is gone is kept, because it is the
only content that is left.`,
		Example: examples(`
%[1]s unpin deployment/web
%[1]s unpin --all -n shop --every 30s
%[1]s unpin --all-namespaces --dry-run=client`),
		Args:              workloadsArg,
		ValidArgsFunction: p.completeWorkloads,
	}
	var all bool
	command.PreRunE = func(_ *cobra.Command, args []string) error {
		if some := len(args) > 0; some == (all || at.everywhere) {
			return errors.New("name workloads, or say --all or --all-namespaces")
		}
		if all && !at.everywhere && ptr.Deref(p.flags.Namespace, "") == "" {
			return errors.New("say of which with --namespace, or --all-namespaces: each workload may roll out")
		}
		if err := p.oneOrAll(at.everywhere); err != nil {
			return err
		}
		return at.check()
	}
	command.RunE = p.run(func(ctx context.Context, s *session, args []string) error {
		namespace, err := p.place(at.everywhere)
		if err != nil {
			return err
		}
		named, err := workloadArgs(namespace, one(args))
		if err != nil {
			return err
		}
		var unlisted []string
		unpin := s.unpinOne
		if len(named) > 0 {
			unpin = s.unpinNamed
		} else {
			named, unlisted, err = s.everyWorkload(ctx, namespace, func(f found) bool { return pinnedSomehow(f.Object) })
			if err != nil {
				return err
			}
		}
		if err := s.goThrough(ctx, named, namespace, at, "unpin", unpin); err != nil {
			return err
		}
		return left(unlisted)
	})
	command.Flags().BoolVar(&all, "all", false, "unpin every workload of the namespace")
	at.addFlags(command)
	return command
}

// pinnedSomehow says whether a workload carries anything of ours that unpinning takes off.
func pinnedSomehow(o workload.Object) bool {
	return o.Template.Annotations[wellknown.Pins] != "" || o.Labels[wellknown.Enabled] == wellknown.True
}

// unpinNamed opts a workload out that somebody named: if there is none, that is a mistake.
func (s *session) unpinNamed(ctx context.Context, patches *ask.Patches, of cluster.Workload, dry dryRun) (step, error) {
	done, err := s.unpinOne(ctx, patches, of, dry)
	if apierrors.IsNotFound(err) {
		err = errors.New(err.Error())
	}
	return done, err
}

// unpinOne opts one workload out. What others write at the same time is no reason to fail.
func (s *session) unpinOne(ctx context.Context, patches *ask.Patches, of cluster.Workload, dry dryRun) (done step, err error) {
	if of.Kind.Frozen {
		return step{said: "left as it is: the template of a Job can't change"}, nil
	}
	for range tries {
		if done, err = s.unpinOnce(ctx, patches, of, dry); !apierrors.IsConflict(err) {
			break
		}
	}
	return done, err
}

// unpinOnce opts a workload out, and writes at once what admission would make of that: so
// it makes no difference whether admission is there, or is called for the namespace: whether
// a source is there to be read does.
func (s *session) unpinOnce(ctx context.Context, patches *ask.Patches, of cluster.Workload, dry dryRun) (step, error) {
	f, err := s.readWith(ctx, of, &inspect.Index{OwnKey: !s.sharedKey})
	if err != nil {
		return step{}, err
	}
	out := f.Object
	out.Labels = map[string]string{}
	maps.Copy(out.Labels, f.Labels)
	out.Labels[wellknown.Enabled] = wellknown.False
	request := pin.Request{New: out, Old: &f.Object}
	if err := s.learn(ctx, of.Namespace, request, f.known); err != nil {
		return step{}, err
	}
	if unknown := f.Unknown(f.known); len(unknown) > 0 {
		return s.unpinUnseen(ctx, patches, f, unknown, dry)
	}
	decision := f.known.Case(request).Decide()
	operations := []jsonpatch.Operation{jsonpatch.NewOperation("add", "/metadata/labels/"+strings.ReplaceAll(wellknown.Enabled, "/", "~1"), wellknown.False)}
	if !f.HasLabels {
		operations = []jsonpatch.Operation{jsonpatch.NewOperation("add", "/metadata/labels", map[string]string{wellknown.Enabled: wellknown.False})}
	}
	operations = append(operations, decision.Patch...)
	done := step{said: "opted out", rolls: len(decision.Patch) > 0}
	if len(decision.Warnings) > 0 {
		done.said += "; " + strings.Join(decision.Warnings, "; ")
	}
	if dry == dryRunClient {
		return done, nil
	}
	_, err = patches.Apply(ctx, of, gjson.Get(f.raw, "metadata.resourceVersion").Str, operations, dry == dryRunServer)
	return done, err
}

// unpinUnseen opts a workload out whose sources nobody may read who asks: whether its Pods
// could start without its pins, admission has to say.
func (s *session) unpinUnseen(ctx context.Context, patches *ask.Patches, f found, unknown []string, dry dryRun) (step, error) {
	hidden := fmt.Sprintf("you may not read %s, so it is for admission to say what becomes of its pins", strings.Join(unknown, ", "))
	if dry == dryRunClient {
		return step{said: "opted out; " + hidden}, nil
	}
	of := cluster.Workload{Kind: f.Kind, Namespace: f.Namespace, Name: f.Name}
	touched, err := patches.Label(ctx, of, map[string]any{wellknown.Enabled: wellknown.False}, dry == dryRunServer)
	if err != nil {
		return step{}, err
	}
	if touched.Object.Template.Annotations[wellknown.Pins] != "" {
		return step{}, fmt.Errorf("it is opted out, and stays pinned: %w; who may read %s can unpin it without", errUnanswered, strings.Join(unknown, ", "))
	}
	done := step{said: "opted out; " + hidden, rolls: len(renamed(f.Object, touched.Object)) > 0}
	if len(touched.Warnings) > 0 {
		done.said += "; " + strings.Join(touched.Warnings, "; ")
	}
	return done, nil
}

// everyWorkload are the opted-in workloads whose template can change and that somebody
// wants. unlisted is what may not be listed: there may be more.
func (s *session) everyWorkload(ctx context.Context, namespace string, wanted func(found) bool) (all []cluster.Workload, unlisted []string, err error) {
	everything := newSurvey(ctx, s, namespace)
	if err := everything.readNamespaces(ctx); err != nil {
		return nil, nil, err
	}
	everything.guess()
	err = everything.workloads(ctx, func(f found) error {
		if !f.Kind.Frozen && wanted(f) {
			all = append(all, cluster.Workload{Kind: f.Kind, Namespace: strings.Clone(f.Namespace), Name: strings.Clone(f.Name)})
		}
		return nil
	})
	return all, everything.unlisted, err
}

// step is what became of one workload.
type step struct {
	said  string
	rolls bool
}

// maxFailures is how many workloads in a row may fail until nobody waits for the others
// to.
const maxFailures = 5

// goThrough does something to one workload after another, of a namespace or of all, and
// says how far it is.
func (s *session) goThrough(ctx context.Context, all []cluster.Workload, namespace string, at pace, verb string,
	do func(context.Context, *ask.Patches, cluster.Workload, dryRun) (step, error),
) error {
	if len(all) == 0 {
		s.say("There is no workload to %s.", verb)
		return nil
	}
	if at.dry == dryRunNone && len(all) > 1 {
		where := "all namespaces"
		if namespace != metav1.NamespaceAll {
			where = "namespace " + namespace
		}
		question := fmt.Sprintf("%s %d workloads of %s, on %s? Those that change roll out, one every %s at most.", strings.ToUpper(verb[:1])+verb[1:], len(all), where, s.config.Host, at.every)
		if err := s.confirm(ctx, at.yes, question); err != nil {
			return err
		}
	}
	patches, err := s.patches(true)
	if err != nil {
		return err
	}
	rolled, failed, inARow := 0, 0, 0
	for i, of := range all {
		name := of.Namespace + "/" + nameOf(of)
		progress := fmt.Sprintf("[%*d/%d] ", len(fmt.Sprint(len(all))), i+1, len(all))
		done, err := do(ctx, patches, of, at.dry)
		if apierrors.IsNotFound(err) {
			s.say("%s%s: gone", progress, name)
			continue
		}
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			fmt.Fprintln(s.ErrOut, clean(fmt.Sprintf("%s%s: error: %v", progress, name, err)))
			if failed, inARow = failed+1, inARow+1; inARow == maxFailures {
				return fmt.Errorf("%d workloads in a row failed; %d of %d are done", inARow, i+1-failed, len(all))
			}
			continue
		}
		inARow = 0
		s.say("%s%s: %s%s", progress, name, done.said, at.dry.suffix())
		if !done.rolls {
			continue
		}
		if rolled++; at.dry != dryRunNone || i == len(all)-1 {
			continue
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(at.every):
		}
	}
	roll := "are rolling out"
	if at.dry != dryRunNone {
		roll = "would roll out"
	}
	s.say("%d of %d workloads %s%s.", rolled, len(all), roll, at.dry.suffix())
	if failed > 0 {
		return fmt.Errorf("%d of %d workloads failed", failed, len(all))
	}
	return nil
}
