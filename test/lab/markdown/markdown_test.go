package markdown_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/configpin/configpin/test/lab/markdown"
)

const sample = "# A *page*, of `code`\n" +
	"\n" +
	"See [there](other.md#part \"title\"), [over\n" +
	"two lines](two.md), `[not](a link)`, and ``a ` tick``.\n" +
	"One ` tick is no code.\n" +
	"\n" +
	"<!-- run: first -->\n" +
	"```sh\n" +
	"kubectl get pods  # [not](a link) `nor code`\n" +
	"| not | a table |\n" +
	"```\n" +
	"\n" +
	"## Part\n" +
	"\n" +
	"| key | meaning |\n" +
	"| --- | :-: |\n" +
	"| `a` | first |\n" +
	"| `b` | |\n" +
	"\n" +
	"## Part\n" +
	"\n" +
	"- in a list:\n" +
	"  ```yaml\n" +
	"  a:\n" +
	"    b: 1\n" +
	"  ```\n" +
	"\n" +
	"[ref]: three.md\n"

func TestParse(t *testing.T) {
	t.Parallel()
	assert.Equal(t, markdown.Document{
		Path: "sample.md",
		Headings: []markdown.Heading{
			{1, "A *page*, of `code`", "a-page-of-code"},
			{13, "Part", "part"},
			{20, "Part", "part-1"},
		},
		Blocks: []markdown.Block{
			{"A *page*, of `code`", 8, "sh", []string{"kubectl get pods  # [not](a link) `nor code`", "| not | a table |"}},
			{"Part", 23, "yaml", []string{"a:", "  b: 1"}},
		},
		Comments: []markdown.Comment{{7, "run: first"}},
		Tables: []markdown.Table{{"Part", []markdown.Row{
			{17, []string{"`a`", "first"}},
			{18, []string{"`b`", ""}},
		}}},
		Links: []markdown.Span{{3, "other.md#part"}, {4, "two.md"}, {28, "three.md"}},
		Code:  []markdown.Span{{1, "code"}, {4, "[not](a link)"}, {4, "a ` tick"}, {17, "a"}, {18, "b"}},
	}, markdown.Parse("sample.md", sample))
}

func TestSessions(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		text     string
		sessions []markdown.Session
		mistakes []string
	}{
		"commands, what they print, and comments": {
			text: "<!-- run: a -->\n```sh\n# say hello\nkubectl get pods # all\n\n# => web\n# => Running\necho hello\n```\n",
			sessions: []markdown.Session{{"a", []markdown.Step{
				{Line: 4, Command: "kubectl get pods # all", Expected: []markdown.Expectation{{6, "web"}, {7, "Running"}}},
				{Line: 8, Command: "echo hello"},
			}}},
		},
		"a command that goes on": {
			text:     "<!-- run: a -->\n```sh\nkubectl get \\\n  # pods \\\n  pods\n# => web\n```\n",
			sessions: []markdown.Session{{"a", []markdown.Step{{Line: 3, Command: "kubectl get \\\n  # pods \\\n  pods", Expected: []markdown.Expectation{{6, "web"}}}}}},
		},
		"blocks of one name are one session": {
			text: "<!-- run: a -->\n```sh\none\n```\n<!-- run: b -->\n```sh\ntwo\n```\n<!-- run: a -->\n```sh\nthree\n```\n",
			sessions: []markdown.Session{
				{"a", []markdown.Step{{Line: 3, Command: "one"}, {Line: 11, Command: "three"}}},
				{"b", []markdown.Step{{Line: 7, Command: "two"}}},
			},
		},
		"a file is there before the session goes on": {
			text: "<!-- file: web.yaml -->\n```yaml\na: 1\n```\ntext\n<!-- run: a -->\n```sh\none\n```\n",
			sessions: []markdown.Session{{"a", []markdown.Step{
				{Line: 2, File: "web.yaml", Content: "a: 1\n"},
				{Line: 8, Command: "one"},
			}}},
		},
		"what isn't run says why": {
			text: "<!-- not run: it takes an hour -->\n```sh\nmake\n```\n",
		},
		"other languages need no marker": {
			text: "```yaml\na: 1\n```\n```\nplain\n```\n",
		},
		"a marker is missing": {
			text:     "# Title\n\n```sh\nmake\n```\n",
			mistakes: []string{"doc.md:3: these commands need <!-- run: NAME --> or <!-- not run: REASON --> in the line above"},
		},
		"a marker says nothing": {
			text:     "<!-- not run: -->\n```sh\nmake\n```\n",
			mistakes: []string{"doc.md:2: these commands need <!-- run: NAME --> or <!-- not run: REASON --> in the line above"},
		},
		"a marker is too far away": {
			text: "<!-- run: a -->\n\n```sh\nmake\n```\n",
			mistakes: []string{
				"doc.md:1: <!-- run: a --> isn't in the line above a block",
				"doc.md:3: these commands need <!-- run: NAME --> or <!-- not run: REASON --> in the line above",
			},
		},
		"a marker is on another block": {
			text:     "<!-- run: a -->\n```yaml\na: 1\n```\n",
			mistakes: []string{"doc.md:2: <!-- run: a --> is for blocks of sh"},
		},
		"commands under another name": {
			text:     "<!-- run: a -->\n```bash\nmake\n```\n",
			mistakes: []string{"doc.md:2: a block of bash: commands are in blocks of sh"},
		},
		"nothing was run": {
			text:     "<!-- run: a -->\n```sh\n# => web\n```\n",
			sessions: []markdown.Session{{Name: "a"}},
			mistakes: []string{"doc.md:3: nothing was run that could print this"},
		},
		"nothing is expected": {
			text:     "<!-- run: a -->\n```sh\nmake\n# =>\n```\n",
			sessions: []markdown.Session{{"a", []markdown.Step{{Line: 3, Command: "make"}}}},
			mistakes: []string{"doc.md:4: everything prints nothing: say what it prints"},
		},
		"a command without an end": {
			text:     "<!-- run: a -->\n```sh\nmake \\\n```\n",
			sessions: []markdown.Session{{"a", []markdown.Step{{Line: 3, Command: "make \\"}}}},
			mistakes: []string{"doc.md:3: the last command goes on after its block"},
		},
		"a here-document": {
			text:     "<!-- run: a -->\n```sh\ncat <<END\n```\n",
			sessions: []markdown.Session{{Name: "a"}},
			mistakes: []string{"doc.md:3: a here-document isn't read: show the file, with <!-- file: NAME --> above it"},
		},
		"a file for nobody": {
			text:     "<!-- file: web.yaml -->\n```yaml\na: 1\n```\n",
			mistakes: []string{"doc.md:2: web.yaml is written for no session: a block with <!-- run: NAME --> must follow"},
		},
		"a file elsewhere": {
			text:     "<!-- file: ../web.yaml -->\n```yaml\na: 1\n```\n",
			mistakes: []string{"doc.md:2: ../web.yaml isn't in the folder of the session"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sessions, mistakes := markdown.Parse("doc.md", row.text).Sessions()
			assert.Equal(t, row.mistakes, mistakes)
			require.Len(t, sessions, len(row.sessions))
			for i, want := range row.sessions {
				assert.Equal(t, want.Name, sessions[i].Name)
				assert.ElementsMatch(t, want.Steps, sessions[i].Steps)
			}
		})
	}
}

func TestReads(t *testing.T) {
	t.Parallel()
	for command, want := range map[string]bool{
		"kubectl get pods":                            true,
		"kubectl events":                              true,
		"kubectl get pods -o yaml | grep image":       true,
		"kubectl rollout history deployment/web":      true,
		"kubectl auth can-i get secrets || true":      true,
		"kubectl rollout undo deployment/web":         false,
		"kubectl get cm -o yaml | kubectl apply -f -": false,
		"kubectl get cm -o yaml > cm.yaml":            false,
		"kubectl get pods && touch a":                 false,
		"kubectl getter":                              false,
		"make":                                        false,
	} {
		assert.Equal(t, want, markdown.Reads(command), command)
	}
}
