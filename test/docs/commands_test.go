package docs

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/configpin/configpin/test/lab/markdown"
	"github.com/configpin/configpin/test/lab/terminal"
)

// patience is for a machine that does something else too.
const patience = 90 * time.Second

// interval is the time between two looks.
const interval = 100 * time.Millisecond

// readersDocuments are those whose commands people try: README.md and docs/.
func readersDocuments(t *testing.T) []markdown.Document {
	t.Helper()
	var found []markdown.Document
	for _, d := range documents(t) {
		if d.Path == "README.md" || strings.HasPrefix(d.Path, "docs/") {
			found = append(found, d)
		}
	}
	return found
}

func TestCommandsSayWhetherTheyAreRun(t *testing.T) {
	t.Parallel()
	for _, d := range readersDocuments(t) {
		_, mistakes := d.Sessions()
		for _, mistake := range mistakes {
			t.Error(mistake)
		}
	}
}

// TestCommands types what documents say into a shell, on a real control plane
// with configpin, and expects what they say.
func TestCommands(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a control plane")
	}
	all := map[string][]markdown.Session{}
	for _, d := range readersDocuments(t) {
		if sessions, _ := d.Sessions(); len(sessions) > 0 {
			all[d.Path] = sessions
		}
	}
	require.NotEmpty(t, all, "no document has commands that are run")
	// The sweep has to come sooner than a reader would see it. Of what is installed, the
	// session of docs/secrets.md, the only one with Secrets, deletes the rights on them.
	desk := terminal.Open(t, "--sweep=2s")
	for document, sessions := range all {
		for _, session := range sessions {
			t.Run(document+"/"+session.Name, func(t *testing.T) {
				t.Parallel()
				begin(t, desk, document).follow(session)
			})
		}
	}
}

// shell is where one session is typed in: it has a namespace and a folder.
type shell struct {
	*terminal.Terminal
	t         *testing.T
	document  string
	namespace string
	folder    string
	env       []string
}

func begin(t *testing.T, desk *terminal.Terminal, document string) *shell {
	t.Helper()
	namespace, env := desk.Namespace(t, "docs-")
	folder := t.TempDir()
	checkout, err := filepath.Abs(root)
	require.NoError(t, err)
	require.NoError(t, os.Symlink(filepath.Join(checkout, "manifests"), filepath.Join(folder, "manifests"))) // as in a checkout
	return &shell{
		Terminal:  desk,
		t:         t,
		document:  document,
		namespace: namespace,
		folder:    folder,
		env: append(env,
			"USER=reader", // as whom commands impersonate a group
			"VARIABLES="+filepath.Join(t.TempDir(), "variables")),
	}
}

func (s *shell) follow(session markdown.Session) {
	s.t.Helper()
	for _, step := range session.Steps {
		if step.File != "" {
			file := filepath.Join(s.folder, step.File)
			require.NoError(s.t, os.MkdirAll(filepath.Dir(file), 0o700))
			require.NoError(s.t, os.WriteFile(file, []byte(step.Content), 0o600))
			continue
		}
		s.try(step)
		s.settle(step)
	}
}

// try runs a command, again and again if it only reads, until it prints what is
// expected.
func (s *shell) try(step markdown.Step) {
	s.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		output, complaint := s.run(step)
		if complaint == "" {
			return
		}
		if !markdown.Reads(step.Command) || len(step.Expected) == 0 || time.Now().After(deadline) {
			require.FailNow(s.t, complaint, "%s:%d: %s\nprints:\n%s", s.document, step.Line, step.Command, output)
		}
		s.pause()
	}
}

// A reader types everything into one shell, so each command has the variables of
// those before it.
const (
	remember   = `set -a; if [ -f "$VARIABLES" ]; then . "$VARIABLES"; fi` + "\n"
	remembered = "\n" + `status=$?; export -p >"$VARIABLES"; exit $status`
)

// run returns what a command prints, and what is wrong with it.
func (s *shell) run(step markdown.Step) (output, complaint string) {
	s.t.Helper()
	command := exec.CommandContext(s.t.Context(), "/bin/sh", "-c", remember+step.Command+remembered)
	command.Dir, command.Env = s.folder, s.env
	printed, err := command.CombinedOutput()
	output = string(printed)
	if err != nil {
		return output, fmt.Sprintf("%s:%d: the command fails: %v", s.document, step.Line, err)
	}
	for _, expected := range step.Expected {
		if !strings.Contains(output, expected.Text) {
			return output, fmt.Sprintf("%s:%d: the command doesn't print %q", s.document, expected.Line, expected.Text)
		}
	}
	return output, ""
}

// settle waits until nothing in the namespace will change by itself any more.
func (s *shell) settle(after markdown.Step) {
	s.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		moving := s.moving()
		if len(moving) == 0 {
			return
		}
		if time.Now().After(deadline) {
			require.FailNow(s.t, "the namespace doesn't settle", "%s:%d: %s\nleaves, after %s:\n%s",
				s.document, after.Line, after.Command, patience, strings.Join(moving, "\n"))
		}
		s.pause()
	}
}

func (s *shell) pause() {
	s.t.Helper()
	again := time.NewTimer(interval)
	defer again.Stop()
	select {
	case <-again.C:
	case <-s.t.Context().Done():
		require.FailNow(s.t, "the test ended while waiting")
	}
}
