package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/xlab/treeprint"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/inspect"
	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/workload"
)

func (p *program) tree() *cobra.Command {
	var out output
	command := &cobra.Command{
		Use:   "tree (configmap|secret)/NAME",
		Short: "Show a source, its snapshots, and all that names them",
		Long: `Show a ConfigMap or Secret with its snapshots, and below each what names it: workloads,
their ReplicaSets and ControllerRevisions, which kubectl rollout undo could bring back, and
Pods. What names the source itself, and so reads whatever it holds, is below the source.`,
		Example: examples(`
%[1]s tree configmap/app
%[1]s tree secret/db -n shop -o yaml`),
		Args:              oneSourceArg,
		ValidArgsFunction: p.completeSources,
		PreRunE:           func(*cobra.Command, []string) error { return out.check() },
		RunE: p.run(func(ctx context.Context, s *session, args []string) error {
			source, err := p.oneSource(args)
			if err != nil {
				return err
			}
			report, err := s.treeOf(ctx, source)
			if err != nil {
				return err
			}
			switch out.format {
			case formatTable, formatWide:
				fmt.Fprint(s.Out, report.draw(time.Now()))
				return nil
			default:
				return out.print(s.Out, answer{report: report, names: report.names()})
			}
		}),
	}
	out.addFlags(command)
	return command
}

// treeReport is the answer for programs.
type treeReport struct {
	Source    string `json:"source"`
	Namespace string `json:"namespace"`

	// Unpinned are workloads that name the source itself.
	Unpinned []string `json:"unpinned,omitempty"`

	Snapshots []snapshotTree `json:"snapshots"`
}

type snapshotTree struct {
	inspect.Revision
	Branches []inspect.Branch `json:"branches,omitempty"`
}

func (s *session) treeOf(ctx context.Context, source cluster.Key) (treeReport, error) {
	report := treeReport{Source: source.Target.String(), Namespace: source.Namespace, Snapshots: []snapshotTree{}}
	revisions, users, err := s.revisions(ctx, source)
	if err != nil {
		return report, err
	}
	for _, revision := range revisions {
		revision.UsedBy = nil // they are the branches
		report.Snapshots = append(report.Snapshots, snapshotTree{revision, users.Tree(revision.Snapshot)})
	}
	report.Unpinned, err = s.unpinned(ctx, source)
	return report, err
}

// unpinned are the workloads that name a source itself.
func (s *session) unpinned(ctx context.Context, source cluster.Key) (names []string, err error) {
	for _, kind := range workload.Kinds {
		for element, err := range s.reader.Workloads(ctx, kind, source.Namespace, cluster.Selector{}) {
			if apierrors.IsForbidden(err) {
				break // that was said already
			}
			if err != nil {
				return nil, err
			}
			object, err := kind.Read(string(element))
			if err != nil || object.Copied() {
				continue
			}
			if slices.ContainsFunc(refs.Walk(object.Template.Spec), func(r refs.Ref) bool { return r.Target == source.Target }) {
				names = append(names, lower(kind)+"/"+object.Name)
			}
		}
	}
	return names, nil
}

func (r treeReport) names() []string {
	kind, _, _ := strings.Cut(r.Source, "/")
	var names []string
	for _, s := range r.Snapshots {
		if s.Snapshot != "" {
			names = append(names, kind+"/"+s.Snapshot)
		}
	}
	return names
}

func (r treeReport) draw(now time.Time) string {
	root := treeprint.NewWithRoot(r.Source)
	for _, name := range r.Unpinned {
		root.AddNode(name + " (not pinned)")
	}
	for _, s := range r.Snapshots {
		title := fmt.Sprintf("%s %s", number(s.Number), s.Snapshot)
		if s.Snapshot == "" {
			title = "- <not kept yet>"
		}
		words := []string{}
		if !s.Created.IsZero() {
			words = append(words, age(s.Created, now))
		}
		if s.Current {
			words = append(words, "current")
		}
		if len(words) > 0 {
			title += " (" + strings.Join(words, ", ") + ")"
		}
		grow(root.AddBranch(title), s.Branches, true)
	}
	return clean(root.String())
}

// grow adds branches. Whose controller isn't above it, because that names something else,
// says whose it is.
func grow(tree treeprint.Tree, branches []inspect.Branch, first bool) {
	for _, b := range branches {
		title := b.Short()
		switch {
		case b.Phase != "":
			title += " (" + b.Phase + ")"
		case first && b.Owner != "":
			title += " (of " + b.Owner + ")"
		}
		if len(b.Branches) == 0 {
			tree.AddNode(title)
			continue
		}
		grow(tree.AddBranch(title), b.Branches, false)
	}
}
