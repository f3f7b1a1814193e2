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
	"github.com/configpin/configpin/internal/inspect"
	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/wellknown"
)

func (p *program) history() *cobra.Command {
	var out output
	var watch bool
	command := &cobra.Command{
		Use:   "history (configmap|secret)/NAME",
		Short: "Show which contents a source had, and what uses them",
		Long: `Show which contents a ConfigMap or Secret had, the oldest first, and what uses them.

A revision is a number that rises with each content that becomes current; a content that
comes back gets a new one, so the highest is current. CHANGED are the keys in which it
differs from the row above: +added ~changed -removed.

USED BY are workloads whose templates name the snapshot, and how many Pods, ReplicaSets and
ControllerRevisions do. Whatever kubectl rollout undo could bring
back is among them. What nothing uses is deleted some time: see configpin's retention.`,
		Example: examples(`
%[1]s history configmap/app
%[1]s history secret db -n shop -o wide

# The names of all snapshots
%[1]s history configmap/app -o name`),
		Args:              oneSourceArg,
		ValidArgsFunction: p.completeSources,
		PreRunE:           func(*cobra.Command, []string) error { return out.check() },
		RunE: p.run(func(ctx context.Context, s *session, args []string) error {
			source, err := p.oneSource(args)
			if err != nil {
				return err
			}
			show := func() (answer, error) {
				revisions, _, err := s.revisions(ctx, source)
				return historyAnswer(source, revisions, time.Now()), err
			}
			if !watch {
				a, err := show()
				if err != nil {
					return err
				}
				return out.print(s.Out, a)
			}
			return s.watch(ctx, out, s.changes(ctx, source.Namespace, s.referenceKinds(ctx)), show)
		}),
	}
	out.addFlags(command)
	command.Flags().BoolVarP(&watch, "watch", "w", false, "go on, and print what changes")
	return command
}

// revisions reads the contents of a source, and what uses them.
func (s *session) revisions(ctx context.Context, source cluster.Key) ([]inspect.Revision, *inspect.Users, error) {
	history, err := s.readHistory(ctx, source)
	if err != nil {
		return nil, nil, err
	}
	revisions := history.Revisions()
	if history.Unversioned() {
		s.note("%s is not versioned, so what it holds is not kept: kubectl annotate -n %s %s %s %s=true",
			source.Target, source.Namespace, source.Kind, source.Name, wellknown.Versioned)
	}
	var names []string
	for _, revision := range revisions {
		if revision.Snapshot != "" {
			names = append(names, revision.Snapshot)
		}
	}
	users, unknown, err := s.users(ctx, source.Namespace, names)
	if err != nil {
		return nil, nil, err
	}
	for i, revision := range revisions {
		if revision.Snapshot != "" {
			revisions[i].UsedBy, revisions[i].UsedByUnknown = users.Of(revision.Snapshot), unknown
		}
	}
	return revisions, users, nil
}

// readHistory reads a source and its snapshots.
func (s *session) readHistory(ctx context.Context, source cluster.Key) (*inspect.History, error) {
	if source.Kind == wellknown.Secret {
		s.readDigestKey(ctx)
	}
	history := &inspect.History{Kind: source.Kind, Source: source.Name}
	live, found, err := s.objects.Find(ctx, source.Namespace, source.Target)
	if err != nil {
		return nil, err
	}
	if _, _, is := snapshot.Verified(live); found && is {
		return nil, fmt.Errorf("%s in namespace %s is a snapshot itself: ask for its source, %s/%s",
			source.Target, source.Namespace, source.Kind, live.Annotations[wellknown.Source])
	}
	if found {
		history.Live(live)
	}
	any := found
	err = s.objects.Labelled(ctx, source, func(o snapshot.Object) {
		any = any || o.Annotations[wellknown.Source] == source.Name
		history.Add(o)
	})
	if err != nil {
		return nil, err
	}
	if !any {
		return nil, fmt.Errorf("there is no %s in namespace %s, and no snapshot of it", source.Target, source.Namespace)
	}
	if !found {
		s.note("%s in namespace %s does not exist any more", source.Target, source.Namespace)
	}
	return history, nil
}

// users reads what names some snapshots. unknown are the kinds that may not be listed, or
// that nobody knows of.
func (s *session) users(ctx context.Context, namespace string, snapshots []string) (users *inspect.Users, unknown []string, err error) {
	users = inspect.NewUsers(snapshots)
	for _, kind := range s.referenceKinds(ctx) {
		for element, err := range s.reader.Every(ctx, kind, namespace, cluster.Selector{}) {
			if apierrors.IsForbidden(err) {
				unknown = append(unknown, kind.GroupResource().String())
				break
			}
			if apierrors.IsNotFound(err) { // somebody configured a kind that isn't there, or not in this version
				unknown = append(unknown, kind.GroupResource().String())
				break
			}
			if err != nil {
				return nil, nil, err
			}
			users.Add(kind.GroupResource().String(), element)
		}
	}
	if len(unknown) > 0 {
		s.note("%s in namespace %s can't be listed: there may be more that uses a snapshot", strings.Join(unknown, ", "), namespace)
	}
	if why := s.readSettings(ctx).unknownKinds; why != "" {
		unknown = append(unknown, "other kinds")
		s.note("whether other kinds are configured that can name a snapshot is unknown: %s", why)
	}
	return users, unknown, nil
}

func (s *session) referenceKinds(ctx context.Context) []schema.GroupVersionResource {
	return append(s.readSettings(ctx).kinds, cluster.ReferenceKinds...)
}

// historyReport is the answer for programs.
type historyReport struct {
	Source    string             `json:"source"`
	Namespace string             `json:"namespace"`
	Revisions []inspect.Revision `json:"revisions"`
}

func historyAnswer(source cluster.Key, revisions []inspect.Revision, now time.Time) answer {
	if revisions == nil {
		revisions = []inspect.Revision{}
	}
	a := answer{
		report: historyReport{source.Target.String(), source.Namespace, revisions},
		table: table{columns: []column{
			{name: "Revision"},
			{name: "Snapshot"},
			{name: "Age", moves: true},
			{name: "Current"},
			{name: "Used by"},
			{name: "Changed"},
			{name: "Change-cause"},
			{name: "Bytes", wide: true},
			{name: "Unused since", wide: true},
			{name: "Digest", wide: true},
		}},
	}
	for _, revision := range revisions {
		current := ""
		if revision.Current {
			current = "*"
		}
		name := revision.Snapshot
		if name == "" {
			name = "<not kept yet>"
		} else {
			a.names = append(a.names, string(source.Kind)+"/"+name)
		}
		a.table.rows = append(a.table.rows, []string{
			number(revision.Number), name, age(revision.Created, now), current, usedBy(revision), orNone(revision.Keys.String()),
			orNone(revision.ChangeCause), fmt.Sprint(revision.Bytes), orNone(revision.UnusedSince), orNone(revision.Digest),
		})
	}
	return a
}

// maxNamed is how many workloads a line names.
const maxNamed = 3

// usedBy is a line about what uses a snapshot: workloads by name, and the others by
// number.
func usedBy(revision inspect.Revision) string {
	var words []string
	workloads, pods := 0, 0
	past := map[string]int{}
	for _, user := range revision.UsedBy {
		switch user.Role() {
		case inspect.Workload:
			if workloads++; workloads <= maxNamed {
				words = append(words, user.Short())
			}
		case inspect.Pod:
			pods++
		case inspect.Past:
			past[user.Resource]++
		}
	}
	if workloads > maxNamed {
		words = append(words, fmt.Sprintf("%d more", workloads-maxNamed))
	}
	words = append(words, counted(pods, "Pod")...)
	words = append(words, counted(past["replicasets.apps"], "ReplicaSet")...)
	words = append(words, counted(past["controllerrevisions.apps"], "ControllerRevision")...)
	if len(revision.UsedByUnknown) > 0 {
		words = append(words, "?")
	}
	return orNone(strings.Join(words, ", "))
}

func counted(number int, what string) []string {
	switch number {
	case 0:
		return nil
	case 1:
		return []string{"1 " + what}
	default:
		return []string{fmt.Sprintf("%d %ss", number, what)}
	}
}
