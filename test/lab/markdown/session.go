package markdown

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// Session is what a reader types into one shell, in a folder with some files.
type Session struct {
	Name  string
	Steps []Step
}

// Step is a file or a command.
type Step struct {
	Line int

	// File is written with Content, if it is named.
	File, Content string

	// Command is run by a shell, and prints all of Expected.
	Command  string
	Expected []Expectation
}

// Expectation is a text in what a command prints.
type Expectation struct {
	Line int
	Text string
}

// Markers are comments in the line above a block.
const (
	markRun    = "run:"     // and the name of the session that it belongs to
	markNotRun = "not run:" // and why
	markFile   = "file:"    // and the name of the file that the next session finds
)

// expected begins the line below a command with what it prints.
const expected = "# =>"

// shells are other names of blocks of commands. One is enough.
var shells = []string{"bash", "shell", "console", "zsh", "shell-session"}

// Sessions returns the sessions of a document, in the order in which they begin.
// It fails, with a sentence for each mistake, when a block of commands doesn't
// say whether it is run.
func (d Document) Sessions() (sessions []Session, mistakes []string) {
	s := sessionReader{markers: map[int]Comment{}}
	for _, comment := range d.Comments {
		s.markers[comment.Line] = comment
	}
	for _, block := range d.Blocks {
		s.block(block)
	}
	for _, comment := range d.Comments {
		if _, unused := s.markers[comment.Line]; unused && isMarker(comment.Text) {
			s.mistake(comment.Line, "<!-- %s --> isn't in the line above a block", comment.Text)
		}
	}
	for _, step := range s.files {
		s.mistake(step.Line, "%s is written for no session: a block with <!-- run: NAME --> must follow", step.File)
	}
	slices.SortStableFunc(s.mistakes, func(a, b Span) int { return cmp.Compare(a.Line, b.Line) })
	for _, m := range s.mistakes {
		mistakes = append(mistakes, fmt.Sprintf("%s:%d: %s", d.Path, m.Line, m.Text))
	}
	return s.sessions, mistakes
}

func isMarker(text string) bool {
	return slices.ContainsFunc([]string{markRun, markNotRun, markFile}, func(mark string) bool { return strings.HasPrefix(text, mark) })
}

type sessionReader struct {
	markers  map[int]Comment // those that no block was found for yet
	files    []Step          // for the session that follows
	sessions []Session
	mistakes []Span
}

func (s *sessionReader) mistake(line int, format string, args ...any) {
	s.mistakes = append(s.mistakes, Span{Line: line, Text: fmt.Sprintf(format, args...)})
}

func (s *sessionReader) block(block Block) {
	marker := s.markers[block.Line-1].Text
	delete(s.markers, block.Line-1)
	if slices.Contains(shells, block.Language) {
		s.mistake(block.Line, "a block of %s: commands are in blocks of sh", block.Language)
		return
	}
	if name, is := argument(marker, markFile); is {
		s.file(block, name)
		return
	}
	if block.Language != "sh" {
		if isMarker(marker) {
			s.mistake(block.Line, "<!-- %s --> is for blocks of sh", marker)
		}
		return
	}
	if _, is := argument(marker, markNotRun); is {
		return
	}
	name, is := argument(marker, markRun)
	if !is {
		s.mistake(block.Line, "these commands need <!-- run: NAME --> or <!-- not run: REASON --> in the line above")
		return
	}
	steps, mistakes := commands(block)
	s.mistakes = append(s.mistakes, mistakes...)
	session := s.session(name)
	session.Steps = slices.Concat(session.Steps, s.files, steps)
	s.files = nil
}

// argument is what follows a mark. A mark without one doesn't count.
func argument(marker, mark string) (argument string, is bool) {
	argument, is = strings.CutPrefix(marker, mark)
	argument = strings.TrimSpace(argument)
	return argument, is && argument != ""
}

func (s *sessionReader) session(name string) *Session {
	i := slices.IndexFunc(s.sessions, func(session Session) bool { return session.Name == name })
	if i < 0 {
		i = len(s.sessions)
		s.sessions = append(s.sessions, Session{Name: name})
	}
	return &s.sessions[i]
}

func (s *sessionReader) file(block Block, name string) {
	if !filepath.IsLocal(name) {
		s.mistake(block.Line, "%s isn't in the folder of the session", name)
		return
	}
	s.files = append(s.files, Step{Line: block.Line, File: name, Content: strings.Join(block.Lines, "\n") + "\n"})
}

// commands reads a block of commands.
func commands(block Block) (steps []Step, mistakes []Span) {
	continues := false
	for i, line := range block.Lines {
		number := block.Line + 1 + i
		trimmed := strings.TrimSpace(line)
		text, isExpectation := strings.CutPrefix(trimmed, expected)
		switch {
		case continues:
			last := &steps[len(steps)-1]
			last.Command += "\n" + line
		case isExpectation && len(steps) == 0:
			mistakes = append(mistakes, Span{number, "nothing was run that could print this"})
		case isExpectation && strings.TrimSpace(text) == "":
			mistakes = append(mistakes, Span{number, "everything prints nothing: say what it prints"})
		case isExpectation:
			last := &steps[len(steps)-1]
			last.Expected = append(last.Expected, Expectation{Line: number, Text: strings.TrimSpace(text)})
		case trimmed == "", strings.HasPrefix(trimmed, "#"):
		case strings.Contains(line, "<<"):
			mistakes = append(mistakes, Span{number, "a here-document isn't read: show the file, with <!-- file: NAME --> above it"})
		default:
			steps = append(steps, Step{Line: number, Command: line})
		}
		continues = strings.HasSuffix(line, `\`) && (continues || !strings.HasPrefix(trimmed, "#"))
	}
	if continues {
		mistakes = append(mistakes, Span{block.Line + len(block.Lines), "the last command goes on after its block"})
	}
	return steps, mistakes
}

// Reads says whether a command only looks at the cluster, so that it can be run
// again until it prints what is expected.
func Reads(command string) bool {
	if strings.Count(command, "kubectl") != 1 || strings.ContainsAny(command, ">;&") {
		return false
	}
	for _, verb := range []string{"get", "describe", "events", "rollout history", "logs", "diff", "auth can-i"} {
		if strings.HasPrefix(strings.TrimSpace(command)+" ", "kubectl "+verb+" ") {
			return true
		}
	}
	return false
}
