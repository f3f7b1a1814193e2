package cli

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/aymanbagabas/go-udiff"
	"github.com/spf13/cobra"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/inspect"
	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/wellknown"
)

// revisionLive is what the source holds now, as a revision.
const revisionLive = "live"

func (p *program) diff() *cobra.Command {
	var from, to string
	var showSecrets, exitCode bool
	command := &cobra.Command{
		Use:   "diff (configmap|secret)/NAME",
		Short: "Compare two contents of a source",
		Long: `Compare two contents of a ConfigMap or Secret, key by key, as a unified diff. Without
--from and --to, that is what it holds now, and the revision before that.

What isn't text is compared by size and SHA-256. Values of a Secret are masked, unless
you say --show-secrets.`,
		Example: examples(`
# What did the last edit change?
%[1]s diff configmap/app

# What would go back to how it was in revision 3?
%[1]s diff configmap/app --from live --to 3

# Fail if somebody changed it since revision 3
%[1]s diff configmap/app --from 3 --exit-code`),
		Args:              oneSourceArg,
		ValidArgsFunction: p.completeSources,
		RunE: p.run(func(ctx context.Context, s *session, args []string) error {
			source, err := p.oneSource(args)
			if err != nil {
				return err
			}
			before, after, err := s.pair(ctx, source, from, to)
			if err != nil {
				return err
			}
			differ := contrast{out: s.Out, coloured: p.coloured(), masked: source.Kind == wellknown.Secret && !showSecrets}.print(before, after)
			if differ && exitCode {
				return errNo
			}
			return nil
		}),
	}
	command.Flags().StringVar(&from, "from", "", `the revision to compare: a number, the name of a snapshot, or "live" (default: the one before --to)`)
	command.Flags().StringVar(&to, "to", revisionLive, `the revision to compare it with: a number, the name of a snapshot, or "live"`)
	command.Flags().BoolVar(&showSecrets, "show-secrets", false, "print the values of Secrets")
	command.Flags().BoolVar(&exitCode, "exit-code", false, "end with 1 if there is a difference")
	return command
}

// edition is one content of a source, and what people call it.
type edition struct {
	object snapshot.Object
	source refs.Target
	title  string // as in "revision 3"
}

// pair reads two contents of a source.
func (s *session) pair(ctx context.Context, source cluster.Key, from, to string) (before, after edition, err error) {
	history, err := s.readHistory(ctx, source)
	if err != nil {
		return before, after, err
	}
	revisions := history.Revisions()
	if len(revisions) == 0 {
		return before, after, fmt.Errorf("nothing is kept of %s in namespace %s: annotate it %s=true", source.Target, source.Namespace, wellknown.Versioned)
	}
	at, err := find(revisions, source.Target, to)
	if err != nil {
		return before, after, err
	}
	if from == "" {
		if at == 0 {
			return before, after, fmt.Errorf("nothing is kept of %s from before %s: name what to compare with --from", source.Target, called(revisions, at, to))
		}
		from = revisions[at-1].Snapshot
	}
	was, err := find(revisions, source.Target, from)
	if err != nil {
		return before, after, err
	}
	if before, err = s.edition(ctx, source, revisions, was, from); err != nil {
		return before, after, err
	}
	after, err = s.edition(ctx, source, revisions, at, to)
	return before, after, err
}

// find returns the index of the revision that somebody calls so.
func find(revisions []inspect.Revision, source refs.Target, name string) (int, error) {
	number, err := strconv.Atoi(name)
	isNumber := err == nil
	matches := func(r inspect.Revision) bool {
		switch {
		case name == revisionLive:
			return r.Current
		case isNumber:
			return r.Number == number && number > 0
		default:
			return r.Snapshot == name && name != ""
		}
	}
	at := slices.IndexFunc(revisions, matches)
	switch {
	case at >= 0 && isNumber && slices.ContainsFunc(revisions[at+1:], matches):
		return 0, fmt.Errorf("%s has several snapshots of revision %d: name one of them (kubectl configpin history %s)", source, number, source)
	case at >= 0:
		return at, nil
	case name == revisionLive:
		return 0, fmt.Errorf("%s holds nothing that is versioned: it does not exist, or is not annotated %s=true", source, wellknown.Versioned)
	default:
		return 0, fmt.Errorf("%s has no revision %q: it has %s (kubectl configpin history %s)", source, name, numbers(revisions), source)
	}
}

// numbers are those of all revisions.
func numbers(revisions []inspect.Revision) string {
	var words []string
	for _, r := range revisions {
		if r.Number > 0 {
			words = append(words, fmt.Sprint(r.Number))
		}
	}
	if len(words) == 0 {
		return "none with a number"
	}
	return strings.Join(words, ", ")
}

func called(revisions []inspect.Revision, at int, asked string) string {
	switch r := revisions[at]; {
	case asked == revisionLive:
		return "what it holds now"
	case r.Number > 0:
		return fmt.Sprintf("revision %d", r.Number)
	default:
		return r.Snapshot
	}
}

func (s *session) edition(ctx context.Context, source cluster.Key, revisions []inspect.Revision, at int, asked string) (edition, error) {
	target := refs.Target{Kind: source.Kind, Name: revisions[at].Snapshot}
	if asked == revisionLive || target.Name == "" {
		target = source.Target
	}
	object, found, err := s.objects.Read(ctx, source.Namespace, target)
	if err != nil {
		return edition{}, err
	}
	if !found {
		return edition{}, fmt.Errorf("%s in namespace %s was deleted a moment ago: try again", target, source.Namespace)
	}
	return edition{object, source.Target, called(revisions, at, asked)}, nil
}

// contrast prints how contents differ.
type contrast struct {
	out      io.Writer
	coloured bool
	masked   bool
}

// print prints the differences, and says whether there are any.
func (c contrast) print(before, after edition) bool {
	changes := inspect.Changes(before.object, after.object)
	for _, change := range changes {
		labels := [2]string{
			fmt.Sprintf("%s %s (%s)", before.source, change.Key, before.title),
			fmt.Sprintf("%s %s (%s)", after.source, change.Key, after.title),
		}
		for line := range strings.Lines(c.text(labels, change)) {
			line, ended := strings.CutSuffix(strings.TrimSuffix(line, "\n"), "\r")
			if ended {
				line += "^M" // as others show it; or lines that differ by that alone look the same
			}
			fmt.Fprintln(c.out, c.paint(line))
		}
	}
	return len(changes) > 0
}

// text is a unified diff of one key.
func (c contrast) text(labels [2]string, change inspect.Change) string {
	show := func(value []byte, hidden string) string {
		switch {
		case value == nil:
			return ""
		case c.masked:
			return "*** " + hidden + "\n"
		case change.Binary:
			return fmt.Sprintf("%d bytes, sha256:%x\n", len(value), sha256.Sum256(value))
		default:
			return string(value)
		}
	}
	if len(change.From) == 0 && len(change.To) == 0 { // one of them is there, and empty
		sign := "+"
		if change.To == nil {
			sign = "-"
		}
		return fmt.Sprintf("--- %s\n+++ %s\n%s(empty)\n", labels[0], labels[1], sign)
	}
	from, to := show(change.From, "(before)"), show(change.To, "(after)")
	if unended(from) && unended(to) { // nearly all values of a line are: it's no difference
		from, to = ended(from), ended(to)
	}
	return udiff.Unified(labels[0], labels[1], from, to)
}

// unended says whether a text has no end of its last line, or no line at all.
func unended(text string) bool { return text == "" || !strings.HasSuffix(text, "\n") }

func ended(text string) string {
	if text == "" {
		return ""
	}
	return text + "\n"
}

func (c contrast) paint(line string) string {
	switch {
	case strings.HasPrefix(line, "---"), strings.HasPrefix(line, "+++"):
		return paint(c.coloured, bold, line)
	case strings.HasPrefix(line, "@@"):
		return paint(c.coloured, cyan, line)
	case strings.HasPrefix(line, "-"):
		return paint(c.coloured, red, line)
	case strings.HasPrefix(line, "+"):
		return paint(c.coloured, green, line)
	default:
		return line
	}
}
