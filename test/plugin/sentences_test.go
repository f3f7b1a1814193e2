package plugin

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/configpin/configpin/internal/cli"
)

// saying are the packages whose texts the plugin prints.
var saying = []string{"internal/cli", "internal/inspect"}

// TestEverySentenceIsPrinted: what the plugin can say is in a transcript, in the
// reference, or in a test of what says it; or it is named below, with the reason.
func TestEverySentenceIsPrinted(t *testing.T) {
	t.Parallel()
	seen, unseen := printed(t), map[string]bool{}
	for _, folder := range saying {
		for _, s := range sentences(t, folder, func(name string) bool { return !strings.HasSuffix(name, "_test.go") }) {
			if s.isIn(seen) {
				continue
			}
			unseen[s.text] = true
			assert.Contains(t, unprinted, s.text, "%s: no test prints this", s.at)
		}
	}
	for text := range unprinted {
		assert.True(t, unseen[text], "it needs no exception any more: %s", text)
	}
}

// sentence is a text of a program: an expression of strings, of which what isn't known
// is a hole.
type sentence struct{ text, at string }

const hole = "…"

// words is how many words of a text that is known make a sentence: one is a key, a verb or
// the name of something.
const words = 2

// sentences are the texts of a package's files.
func sentences(t *testing.T, folder string, counts func(name string) bool) []sentence {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "..", filepath.FromSlash(folder), "*.go"))
	require.NoError(t, err)
	require.NotEmpty(t, files, folder)
	var found []sentence
	for _, file := range files {
		if !counts(filepath.Base(file)) {
			continue
		}
		set := token.NewFileSet()
		parsed, err := parser.ParseFile(set, file, nil, 0)
		require.NoError(t, err)
		for at, text := range textsIn(parsed) {
			if text := usualText(text); len(strings.Fields(strings.ReplaceAll(text, hole, " "))) >= words {
				position := set.Position(at)
				found = append(found, sentence{text, folder + "/" + filepath.Base(file) + ":" + strconv.Itoa(position.Line)})
			}
		}
	}
	slices.SortFunc(found, func(a, b sentence) int { return strings.Compare(a.at+a.text, b.at+b.text) })
	return found
}

// textsIn are the texts in a file, by where they are. One that is put together of several
// is one text.
func textsIn(file ast.Node) map[token.Pos]string {
	found := map[token.Pos]string{}
	var visit func(n ast.Node) bool
	visit = func(n ast.Node) bool {
		if _, is := n.(*ast.ImportSpec); is {
			return false
		}
		e, is := n.(ast.Expr)
		if !is {
			return true
		}
		text, holes, is := textOf(e)
		if !is {
			return true
		}
		found[e.Pos()] = text
		for _, h := range holes {
			ast.Inspect(h, visit)
		}
		return false
	}
	ast.Inspect(file, visit)
	return found
}

// textOf is the text that an expression makes, and what fills its holes.
func textOf(e ast.Expr) (text string, holes []ast.Expr, is bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		if e.Kind != token.STRING {
			return "", nil, false
		}
		text, err := strconv.Unquote(e.Value)
		return text, nil, err == nil
	case *ast.ParenExpr:
		return textOf(e.X)
	case *ast.BinaryExpr:
		if e.Op != token.ADD {
			return "", nil, false
		}
		for _, side := range []ast.Expr{e.X, e.Y} {
			part, more, known := textOf(side)
			if !known {
				part, more = hole, []ast.Expr{side}
			}
			text, holes, is = text+part, append(holes, more...), is || known
		}
		return text, holes, is
	}
	return "", nil, false
}

var (
	verb  = regexp.MustCompile(`%(?:\[\d+\])?[-+# 0]*(?:\*|\d+)?(?:\.\d+)?[a-zA-Z]`)
	space = regexp.MustCompile(`\s+`)
)

// usualText is a text with holes for its verbs, in one line, as transcripts show it: how
// lines and columns lie is not what this is about.
func usualText(text string) string {
	text = strings.ReplaceAll(verb.ReplaceAllString(text, hole), "%%", "%")
	return strings.TrimSpace(space.ReplaceAllString(text, " "))
}

// isIn doesn't mind capitals, since headers of tables have no others. room is how much can
// fill a hole.
const room = 400

func (s sentence) isIn(seen []string) bool {
	var parts []string
	for part := range strings.SplitSeq(s.text, hole) {
		parts = append(parts, regexp.QuoteMeta(part))
	}
	pattern := regexp.MustCompile(`(?i)` + strings.Join(parts, `.{0,`+strconv.Itoa(room)+`}?`))
	return slices.ContainsFunc(seen, pattern.MatchString)
}

// printed is what tests expect.
func printed(t *testing.T) []string {
	t.Helper()
	seen := []string{usualText(Reference())}
	streams, _, _, _ := genericiooptions.NewTestIOStreams()
	for _, command := range commandsOf(cli.Command(streams, "development")) {
		seen = append(seen, usualText(command.Long)) // as the reference has it, which a test compares
	}
	transcripts, err := filepath.Glob(filepath.Join("testdata", "*.txt"))
	require.NoError(t, err)
	require.NotEmpty(t, transcripts)
	for _, file := range transcripts {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		seen = append(seen, space.ReplaceAllString(string(text), " "))
	}
	for _, folder := range append([]string{"test/plugin"}, saying...) {
		isTest := func(name string) bool { return strings.HasSuffix(name, "_test.go") && name != "sentences_test.go" }
		for _, s := range sentences(t, folder, isTest) {
			seen = append(seen, s.text)
		}
	}
	return seen
}

func TestTextsOfAProgram(t *testing.T) {
	t.Parallel()
	const program = `package a
import "some/thing else"
const a = "one text" + " of two"
var b = "from " + f("to what", 1) + fmt.Sprintf("of %-10s in %[2]q,\n  100%%", x, y) + "!"
`
	file, err := parser.ParseFile(token.NewFileSet(), "a.go", program, 0)
	require.NoError(t, err)
	var got []string
	for _, text := range textsIn(file) {
		got = append(got, usualText(text))
	}
	assert.ElementsMatch(t, []string{"one text of two", "from " + hole + hole + "!", "to what", "of " + hole + " in " + hole + ", 100%"}, got)
}

func TestSentenceIsIn(t *testing.T) {
	t.Parallel()
	s := sentence{text: hole + " is pinned to " + hole + ", and why?"}
	assert.True(t, s.isIn([]string{"other", "it is pinned to app-1 (here), and why?"}))
	assert.False(t, s.isIn([]string{"it is pinned to app-1", ", and why?"}), "these are two")
	assert.False(t, s.isIn([]string{"it is pinned to app-1, and whyx"}))
}

// Why no test prints something.
const (
	noSentence = "it is read by programs alone"
	race       = "somebody else has to write between two requests of the plugin"
	asked      = "it is asked on a terminal; TestGoingThroughMany asks in the same way"
	refused    = "the API server stores nothing of which this could be said"
)

// unprinted are the texts that no test prints, and why.
var unprinted = map[string]string{
	"list watch get create patch delete":              noSentence,
	"get create patch":                                noSentence,
	"deployments statefulsets daemonsets":             noSentence,
	"list watch patch":                                noSentence,
	"replicasets controllerrevisions":                 noSentence,
	"pods podtemplates replicationcontrollers":        noSentence,
	"create patch":                                    noSentence,
	"list watch":                                      noSentence,
	"get create update":                               noSentence,
	`spec.template.spec.containers.#(name=="…").args`: noSentence,
	`{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"generateName": "configpin-check-", "labels": {"configpin.io/enabled": "true"}}, ` +
		`"spec": {"replicas": 0, "selector": {"matchLabels": {"app": "configpin-check"}}, "template": {"metadata": {"labels": {"app": "configpin-check"}}, ` +
		`"spec": {"securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}}, "containers": [{"name": "check", "image": "nonesuch", ` +
		`"securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}}, "envFrom": [{"configMapRef": {"name": "…"}}]}]}}}}`: noSentence,

	`[{"apiGroups": ["*"], "resources": ["*"], "operations": ["*"]}]`: noSentence,
	`(^|.)\s*["']…["']`:                   noSentence,
	`(startsWith|contains)\(\s*["']…["']`: noSentence,

	"reading a selector: …": refused,

	"Delete …, … of …? Nothing can bring it back.": asked,
	"Have … hold this again?":                      asked,
	"Create … with this?":                          asked,

	"… in namespace … was deleted a moment ago: try again":                                  race,
	"… in namespace … is gone already":                                                      race,
	"Somebody wrote … meanwhile: it, or the collector, took the mark off. Looking again...": race,
	"… does not name …: something changed it back on the way":                               race,
	"… is pinned to … of …, but not held there: … changed a moment ago, and is about to roll out. " +
		"Undo once more when that is over: kubectl configpin status …": race,
	"… still names …: …": race,

	"The contents are the same.": "it is said of two names of one content, which only a lost key or a taken name makes",
	"… is marked, and not deleted: configpin deletes it, or takes the mark off": "it is said to who interrupts the plugin",
	"what changes of … is seen late, because it can't be watched (…)":           "it is said while the plugin goes on and on",
}
