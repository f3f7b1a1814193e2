package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/inspect"
)

func (p *program) explain() *cobra.Command {
	var out output
	command := &cobra.Command{
		Use:   "explain WORKLOAD",
		Short: "Say what would become of a workload, and why",
		Long: `Say what would become of each source of a workload when its manifest is applied once more,
when a changed one is, when kubectl restarts it, and when a source changes; and why. It is
decided as admission would decide it; nothing is written, and admission isn't asked.`,
		Example: examples(`
%[1]s explain deployment/web
%[1]s explain statefulset/db -o yaml`),
		Args:              oneWorkloadArg,
		ValidArgsFunction: p.completeWorkloads,
		PreRunE:           func(*cobra.Command, []string) error { return out.check() },
		RunE: p.run(func(ctx context.Context, s *session, args []string) error {
			of, err := p.oneWorkload(args)
			if err != nil {
				return err
			}
			return s.explain(ctx, of, out)
		}),
	}
	out.addFlags(command)
	return command
}

// explainReport is the answer for programs.
type explainReport struct {
	workloadStatus
	Prospects []inspect.Prospect `json:"prospects"`
}

func (s *session) explain(ctx context.Context, of cluster.Workload, out output) error {
	f, err := s.read(ctx, of)
	if err != nil {
		return err
	}
	holds := holds{session: s, namespace: of.Namespace}
	report := explainReport{holds.status(ctx, f), f.Prospects(f.known)}
	switch out.format {
	case formatTable, formatWide:
		teller{s.Out, s.coloured()}.tell(report)
		return nil
	default:
		return out.print(s.Out, answer{report: report, names: []string{report.String()}})
	}
}

// occasions are what may happen, in words.
var occasions = map[inspect.Occasion]string{
	inspect.Apply:   "If its manifest is applied once more, as it is",
	inspect.Deploy:  "If a manifest with a changed template is applied",
	inspect.Restart: "If it is restarted (kubectl rollout restart)",
	inspect.Edit:    "If %s changes",
	inspect.Resume:  "If its holds are given up (kubectl configpin resume)",
	inspect.OptIn:   "If it is opted in (kubectl label --overwrite %s configpin.io/enabled=true)",
}

// teller prints an explanation.
type teller struct {
	out      io.Writer
	coloured bool
}

func (t teller) line(format string, values ...any) {
	fmt.Fprintln(t.out, clean(fmt.Sprintf(format, values...)))
}

func (t teller) title(text string) { fmt.Fprintln(t.out, paint(t.coloured, bold, clean(text))) }

func (t teller) tell(report explainReport) {
	t.title(report.String() + " in namespace " + report.Namespace)
	for _, ref := range report.Refs {
		names := "names the source itself"
		if ref.Pinned != "" {
			names = "names " + ref.Pinned
		}
		t.line("  %s: %s. %s", ref.Source, names, state(ref))
	}
	for _, prospect := range report.Prospects {
		title := occasions[prospect.Occasion]
		switch prospect.Occasion {
		case inspect.Edit:
			title = fmt.Sprintf(title, prospect.Edited)
		case inspect.OptIn:
			title = fmt.Sprintf(title, report.workloadStatus)
		}
		t.line("")
		t.title(title + ":")
		t.prospect(report.Kind, prospect)
	}
}

func (t teller) prospect(kind string, p inspect.Prospect) {
	if p.Denied != "" {
		t.line("  it is refused: %s", p.Denied)
		return
	}
	for _, r := range p.Results {
		t.line("  %s: %s (%s: %s)", r.Source, becomes(r), r.Reason, inspect.Because[r.Reason])
	}
	for _, source := range p.Unknown {
		t.line("  %s: unknown, since you may not read it", source)
	}
	switch {
	case !p.Rolls && len(p.Unknown) > 0:
		t.line("  Whether its Pods are replaced is unknown, too.")
	case !p.Rolls && len(p.Results) == 0:
		t.line("  Nothing changes.")
	case !p.Rolls:
		t.line("  Its Pods stay.")
	case kind == "CronJob":
		t.line("  Its next Job has that.")
	default:
		t.line("  Its Pods are replaced.")
	}
}

func becomes(r inspect.Result) string {
	switch {
	case r.New:
		return "moves from " + r.From + " to a new snapshot"
	case r.From == r.To:
		return "stays at " + r.To
	default:
		return "moves from " + r.From + " to " + r.To
	}
}
