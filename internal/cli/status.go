package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/tidwall/gjson"
	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/inspect"
	"github.com/configpin/configpin/internal/wellknown"
)

func (p *program) status() *cobra.Command {
	var out output
	var everywhere, check, watch bool
	command := &cobra.Command{
		Use:   "status [WORKLOAD...]",
		Short: "Show which content each workload reads, and whether it is the right one",
		Long: `Show, for each source that opted-in workloads refer to, the revision that they are pinned
to, the one that the source holds, and the state of that:

  Current   it is pinned to what the source holds
  Held      it was taken back, and stays there until the source changes, a changed
            template is deployed, or somebody says so (kubectl configpin resume)
  Manual    it is pinned to something else until somebody deploys (configpin.io/rollout)
  Settling  it will be pinned to something else in a moment. If it stays like this,
            configpin isn't running, or something is in its way; or its sources change
            faster than it may roll out, if an Event RolloutsDamped says so
  Kept      it stays pinned, whatever the source holds: it isn't versioned any more, say
  Unpinned  it names the source itself
  Missing   it names a snapshot that isn't there, so new Pods can't start
  Unknown   you may not read what is needed to tell

Without arguments, it shows the opted-in workloads of the namespace, or of all.`,
		Example: examples(`
%[1]s status
%[1]s status deployment/web -n shop -o wide

# All of them, with a summary; ends with 1 if anything isn't as it should be
%[1]s status --all-namespaces --check`),
		Args:              workloadsArg,
		ValidArgsFunction: p.completeWorkloads,
		PreRunE: func(_ *cobra.Command, args []string) error {
			switch {
			case everywhere && len(args) > 0:
				return errors.New("a workload is in one namespace: leave out --all-namespaces")
			case watch && check:
				return errors.New("--watch goes on, and --check ends: give one of them")
			}
			if err := p.oneOrAll(everywhere); err != nil {
				return err
			}
			return out.check()
		},
		RunE: p.run(func(ctx context.Context, s *session, args []string) error {
			namespace, err := p.place(everywhere)
			if err != nil {
				return err
			}
			named, err := workloadArgs(namespace, one(args))
			if err != nil {
				return err
			}
			ok := true
			show := func() (answer, error) {
				report, err := s.statusOf(ctx, namespace, named)
				ok = report.Summary.OK
				return statusAnswer(report, everywhere), err
			}
			if watch {
				return s.watch(ctx, out, s.changes(ctx, namespace, cluster.WorkloadKinds()), show)
			}
			a, err := show()
			if err != nil {
				return err
			}
			if err := out.print(s.Out, a); err != nil {
				return err
			}
			if check && !ok {
				return errNo
			}
			return nil
		}),
	}
	out.addFlags(command)
	command.Flags().BoolVarP(&everywhere, "all-namespaces", "A", false, "look in all namespaces")
	command.Flags().BoolVar(&check, "check", false, "end with 1 if anything is Settling, Missing, Unknown, pinned to what isn't versioned any more, or not pinned without anybody wanting that, or if you may not list all there is")
	command.Flags().BoolVarP(&watch, "watch", "w", false, "go on, and print what changes")
	return command
}

// statusReport is the answer for programs.
type statusReport struct {
	Workloads []workloadStatus `json:"workloads"`
	Summary   summary          `json:"summary"`
}

type workloadStatus struct {
	Kind      string        `json:"kind"`
	Namespace string        `json:"namespace"`
	Name      string        `json:"name"`
	Refs      []inspect.Ref `json:"refs"`

	of cluster.Workload
}

func (w workloadStatus) String() string { return nameOf(w.of) }

type summary struct {
	OK        bool                  `json:"ok"`
	Workloads int                   `json:"workloads"`
	Refs      int                   `json:"refs"`
	States    map[inspect.State]int `json:"states"`

	// Unlisted are kinds of workloads, or namespaces, that may not be listed: there may be
	// more.
	Unlisted []string `json:"unlisted,omitempty"`
}

// order of the states in a summary.
var order = []inspect.State{
	inspect.Current, inspect.Held, inspect.Manual, inspect.Kept, inspect.Unpinned, inspect.Settling, inspect.Missing, inspect.Unknown,
}

// String is the summary in a line.
func (s summary) String() string {
	if s.Workloads == 0 && len(s.Unlisted) > 0 {
		return "No workload that you may list is opted in."
	}
	if s.Workloads == 0 {
		return "No workload is opted in: label one configpin.io/enabled=true."
	}
	line := counted(s.Workloads, "workload")[0]
	if s.Refs > 0 && s.Refs != s.Workloads { // states are those of what each refers to
		line += ", " + counted(s.Refs, "source")[0]
	}
	var parts []string
	for _, state := range order {
		if n := s.States[state]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, state))
		}
	}
	if len(parts) == 0 {
		return line + "."
	}
	return line + ": " + strings.Join(parts, ", ") + "."
}

// statusOf reads the status of some workloads, or of all that are opted in.
func (s *session) statusOf(ctx context.Context, namespace string, named []cluster.Workload) (statusReport, error) {
	report := statusReport{Workloads: []workloadStatus{}, Summary: summary{OK: true, States: map[inspect.State]int{}}}
	holds := holds{session: s, namespace: namespace}
	if len(named) > 0 {
		for _, of := range named {
			f, err := s.read(ctx, of)
			if err != nil {
				return report, err
			}
			report.Workloads = append(report.Workloads, holds.status(ctx, f))
		}
	} else {
		everything, err := s.survey(ctx, namespace)
		if err != nil {
			return report, err
		}
		var suspects []int
		err = everything.workloads(ctx, func(f found) error {
			if why, meant := f.Enabled(); why != "" && meant && f.Template.Annotations[wellknown.Pins] == "" {
				return nil // somebody opted it out
			}
			status := holds.status(ctx, f)
			if slices.ContainsFunc(status.Refs, inspect.Ref.Passing) {
				suspects = append(suspects, len(report.Workloads))
			}
			report.Workloads = append(report.Workloads, status)
			return nil
		})
		if err != nil {
			return report, err
		}
		if report.Workloads, err = s.again(ctx, &holds, report.Workloads, suspects); err != nil {
			return report, err
		}
		if report.Summary.Unlisted = everything.unlisted; len(everything.unlisted) > 0 {
			report.Summary.OK = false
		}
	}
	slices.SortFunc(report.Workloads, func(a, b workloadStatus) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
	})
	report.Summary.Workloads = len(report.Workloads)
	for _, w := range report.Workloads {
		for _, ref := range w.Refs {
			report.Summary.Refs++
			report.Summary.States[ref.State]++
			report.Summary.OK = report.Summary.OK && ref.OK
		}
	}
	if why := s.readSettings(ctx).uncalled; why != "" && report.Summary.States[inspect.Settling] > 0 {
		s.note("what is Settling may be in a namespace that the webhook isn't called for: its configuration can't be read (%s)", why)
	}
	return report, nil
}

// maxAgain is how many workloads are looked at once more. So many at a time are no matter
// of the moment.
const maxAgain = 100

// again looks once more at workloads whose state may be one of the moment: what they name,
// or what their sources hold, may be newer than what was listed before them. It returns
// those that are there still.
func (s *session) again(ctx context.Context, holds *holds, all []workloadStatus, suspects []int) ([]workloadStatus, error) {
	if len(suspects) == 0 || len(suspects) > maxAgain {
		return all, nil
	}
	for _, at := range suspects {
		if slices.ContainsFunc(all[at].Refs, func(r inspect.Ref) bool { return r.Target().Kind == wellknown.Secret }) {
			s.readDigestKey(ctx) // before any are read side by side
		}
	}
	read := make([]found, len(suspects))
	failed := make([]error, len(suspects))
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(readers)
	for i, at := range suspects {
		group.Go(func() error {
			read[i], failed[i] = s.read(groupCtx, all[at].of)
			if apierrors.IsNotFound(failed[i]) || apierrors.IsForbidden(failed[i]) {
				return nil
			}
			return failed[i]
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	for i, at := range slices.Backward(suspects) { // so that those before stay where they are
		switch {
		case failed[i] == nil:
			all[at] = holds.status(ctx, read[i])
		case apierrors.IsNotFound(failed[i]):
			all = slices.Delete(all, at, at+1)
		}
	}
	return all, nil
}

// holds tells since when workloads are held, and when they were damped. Events are read when
// the first one is, or may be.
type holds struct {
	*session
	namespace string
	told      map[string]map[string]time.Time
	damped    map[string]inspect.Damping
}

func (h *holds) status(ctx context.Context, f found) workloadStatus {
	of := cluster.Workload{Kind: f.Kind, Namespace: strings.Clone(f.Namespace), Name: strings.Clone(f.Name)}
	status := workloadStatus{f.Kind.Kind, of.Namespace, of.Name, f.Status(f.known), of}
	if slices.ContainsFunc(status.Refs, func(r inspect.Ref) bool { return r.State == inspect.Held }) {
		if h.told == nil {
			h.told = h.readHolds(ctx, h.namespace)
		}
		inspect.Since(status.Refs, h.told[gjson.Get(f.raw, "metadata.uid").Str])
	}
	if slices.ContainsFunc(status.Refs, func(r inspect.Ref) bool { return r.State == inspect.Settling }) {
		if h.damped == nil {
			h.damped = h.readDamped(ctx, h.namespace)
		}
		inspect.Damped(status.Refs, h.damped[gjson.Get(f.raw, "metadata.uid").Str], time.Now())
	}
	return status
}

func statusAnswer(report statusReport, everywhere bool) answer {
	a := answer{report: report, after: []string{report.Summary.String()}}
	if everywhere {
		a.table.columns = append(a.table.columns, column{name: "Namespace"})
	}
	a.table.columns = append(a.table.columns, column{name: "Workload"}, column{name: "Source"}, column{name: "Pinned"}, column{name: "Live"}, column{name: "State"},
		column{name: "Pinned to", wide: true}, column{name: "Live is", wide: true})
	for _, w := range report.Workloads {
		a.names = append(a.names, w.String())
		refs := w.Refs
		if len(refs) == 0 {
			refs = []inspect.Ref{{Source: none, State: "No refs"}}
		}
		for _, ref := range refs {
			var row []string
			if everywhere {
				row = append(row, w.Namespace)
			}
			a.table.rows = append(a.table.rows, append(row, w.String(), ref.Source, number(ref.PinnedRevision), number(ref.LiveRevision), state(ref),
				orNone(ref.Pinned), orNone(ref.Live)))
		}
	}
	return a
}

// state is a state in words.
func state(ref inspect.Ref) string {
	text := string(ref.State)
	if !ref.HeldSince.IsZero() {
		text += " since " + ref.HeldSince.UTC().Format("2006-01-02T15:04Z")
	}
	if ref.Reason != "" {
		text += ": " + ref.Reason
	}
	if !ref.DampedAt.IsZero() {
		text += fmt.Sprintf("; %s at %s, since its sources change faster than it may roll out", wellknown.ReasonDamped, ref.DampedAt.UTC().Format(time.RFC3339))
	}
	return text
}
