package cli

import (
	"bytes"
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

What isn't text is compared by size and SHA-256. Of text, what leaves no ink is shown by its
number, as in <U+00A0>: blanks at the end of a line, returns, no-break and zero-width
spaces, byte order marks, and what changes the direction of writing. A text that looks like
such a number begins with <U+003C>. Values of a Secret are masked, unless you say
--show-secrets.

A key that moved between data and binaryData is a difference, and so is another type of a
Secret, shown as (type): either is another content, although Pods may read the same.`,
		Example: examples(`
# What did the last edit change?
%[1]s diff configmap/app

# What would go back to how it was in revision 3?
%[1]s diff configmap/app --from live --to 3

# Fail if somebody changed it since revision 3
%[1]s diff configmap/app --from 3 --exit-code`),
		Args:              oneSourceArg,
		ValidArgsFunction: p.completeSources,
		PreRunE: func(*cobra.Command, []string) error {
			if from != "" {
				if err := revisionFlag("from", from, true); err != nil {
					return err
				}
			}
			return revisionFlag("to", to, true)
		},
		RunE: p.run(func(ctx context.Context, s *session, args []string) error {
			source, err := p.oneSource(args)
			if err != nil {
				return err
			}
			history, err := s.readHistory(ctx, source)
			if err != nil {
				return err
			}
			before, after, err := s.pair(ctx, source, history, from, to)
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
func (s *session) pair(ctx context.Context, source cluster.Key, history *inspect.History, from, to string) (before, after edition, err error) {
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
	object, found, err := s.objects.Find(ctx, source.Namespace, target)
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
		was, is := change.Key, change.Key
		if change.Moved {
			was, is = was+" in "+change.Was, is+" in "+change.Is
		}
		fmt.Fprintln(c.out, paint(c.coloured, bold, clean(fmt.Sprintf("--- %s %s (%s)", before.source, was, before.title))))
		fmt.Fprintln(c.out, paint(c.coloured, bold, clean(fmt.Sprintf("+++ %s %s (%s)", after.source, is, after.title))))
		for line := range strings.Lines(c.text(change)) {
			fmt.Fprintln(c.out, c.paint(strings.TrimSuffix(line, "\n")))
		}
	}
	return len(changes) > 0
}

// text is a unified diff of one key, without its title.
func (c contrast) text(change inspect.Change) string {
	show := func(value []byte, hidden string) string {
		switch {
		case value == nil:
			return ""
		case c.masked && change.Key != inspect.TypeKey:
			return "*** " + hidden + "\n"
		case change.Binary:
			return fmt.Sprintf("%d bytes, sha256:%x\n", len(value), sha256.Sum256(value))
		default:
			return string(value)
		}
	}
	switch {
	case change.Moved && bytes.Equal(change.From, change.To):
		return " (the same value)\n"
	case len(change.From) == 0 && len(change.To) == 0: // one of them is there, and empty
		sign := "+"
		if change.To == nil {
			sign = "-"
		}
		return sign + "(empty)\n"
	}
	from, to := show(change.From, "(before)"), show(change.To, "(after)")
	if unended(from) && unended(to) { // nearly all values of a line are: it's no difference
		from, to = ended(from), ended(to)
	}
	_, text, _ := strings.Cut(udiff.Unified("", "", from, to), "\n+++ \n")
	return text
}

// unended says whether a text has no end of its last line, or no line at all.
func unended(text string) bool { return text == "" || !strings.HasSuffix(text, "\n") }

func ended(text string) string {
	if text == "" {
		return ""
	}
	return text + "\n"
}

// paint is a line of a diff: a sign, and what of the text is on the line.
func (c contrast) paint(line string) string {
	if line == "" {
		return line
	}
	sign, text := line[:1], visible(line[1:])
	switch sign {
	case "@":
		return paint(c.coloured, cyan, line)
	case "-":
		return paint(c.coloured, red, sign+text)
	case "+":
		return paint(c.coloured, green, sign+text)
	default:
		return sign + text
	}
}
