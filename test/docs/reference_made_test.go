package docs

import (
	"flag"
	"fmt"
	"go/ast"
	"go/types"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "make the tables of docs/reference.md that are made from the code")

// made are the tables that are made from the code, by what the comment above each
// says.
var made = map[string]func(*testing.T) table{
	"internal/wellknown/reasons.go": constantTable("internal/wellknown", "Reason",
		`^Reason\w+ \((.+); (\w+)\): (.+) Says (\x60.+\x60)\.$`, "reason", "on", "type", "when", "message"),
	"internal/pin/rules.go": constantTable("internal/pin", "Reason",
		`^Reason\w+: (.+) So the template names (.+)\.$`, "reason", "rule", "so the template names"),
	"internal/serve/serve.go": constantTable("internal/serve", "exit", `^(.+)$`, "code", "when"),
	"cmd/webhook":             flagTable("cmd/webhook"),
	"cmd/versioner":           flagTable("cmd/versioner"),
	"internal/*/metrics.go":   metricTable,
}

// table is a table in Markdown, of which the first row is the heading.
type table [][]string

func (rows table) String() string {
	var text strings.Builder
	for i, row := range rows {
		fmt.Fprintf(&text, "| %s |\n", strings.ReplaceAll(strings.Join(row, " | "), "|  |", "| |"))
		if i == 0 {
			fmt.Fprintf(&text, "|%s\n", strings.Repeat(" --- |", len(row)))
		}
	}
	return text.String()
}

var madeTable = regexp.MustCompile(`(?s)(<!-- made by make generate from (\S+) -->\n)(.*?)(<!-- end -->)`)

func TestReferenceIsMadeFromTheCode(t *testing.T) {
	t.Parallel()
	path := filepath.Join(root, referencePath)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	var from []string
	fresh := madeTable.ReplaceAllStringFunc(string(text), func(block string) string {
		m := madeTable.FindStringSubmatch(block)
		from = append(from, m[2])
		require.Contains(t, made, m[2], referencePath)
		rows := made[m[2]](t).String()
		if !*update {
			assert.Equal(t, strings.Split(rows, "\n"), strings.Split(m[3], "\n"), "%s isn't what comes of %s: run `make generate`", referencePath, m[2])
		}
		return m[1] + rows + m[4]
	})
	assert.ElementsMatch(t, slices.Collect(maps.Keys(made)), from, "%s: each table is made once", referencePath)
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(fresh), 0o644))
	}
}

// constantTable has a row for each constant: its value, and what form finds in the comment on it.
func constantTable(folder, prefix, form string, heading ...string) func(*testing.T) table {
	return func(t *testing.T) table {
		t.Helper()
		rows := table{heading}
		for _, c := range constants(t, folder, prefix) {
			cells := regexp.MustCompile(form).FindStringSubmatch(told(c.doc))
			require.NotNil(t, cells, "the comment on %s isn't of the form %s", c.name, form)
			cells[0] = inCode(c.value)
			rows = append(rows, cells)
		}
		return rows
	}
}

// codeInHelp is what programs say without backticks, and is code.
var codeInHelp = regexp.MustCompile(`(?:--|/)[a-z][a-z-]*|[a-z][\w-]*[/.][a-z*][\w/*]*|configpin-[a-z-]+|\*`)

// flagTable is of a program's flags, in the order of the code: what --help says, and what the
// comment above adds.
func flagTable(program string) func(*testing.T) table {
	return func(t *testing.T) table {
		t.Helper()
		rows := table{{"flag", "default", "meaning"}}
		for _, c := range append(calls(t, program, ".*"), calls(t, "internal/serve", ".*")...) {
			method, is := c.of.(*types.Func)
			if !is || !strings.HasPrefix(method.FullName(), "(*flag.FlagSet).") || !strings.Contains(method.String(), "usage string") {
				continue
			}
			args := map[string]string{}
			for i, argument := range c.Args {
				parameter := method.Signature().Params().At(i).Name()
				value, known := c.value(argument)
				require.True(t, known || !slices.Contains([]string{"name", "value", "usage"}, parameter), "%s of a flag isn't a constant: %s", parameter, c.comment())
				args[parameter] = value
			}
			if args["value"] == "" {
				args["value"] = `""`
			}
			dashes := "--"[:min(len(args["name"]), 2)]
			usage := codeInHelp.ReplaceAllString(strings.ReplaceAll(args["usage"], "`", ""), "`$0`")
			rows = append(rows, []string{inCode(dashes + args["name"]), inCode(args["value"]), told(usage + ". " + c.comment())})
		}
		return rows
	}
}

// countedBy are the programs that count. In serve, it is by the word for what is counted.
var countedBy = map[string]string{
	"admission": "webhook", "gc": "versioner", "rollout": "versioner",
	"serve/certificate": "webhook", "serve/events": "versioner",
}

// metricTable has what /metrics says, and what the comment above adds.
func metricTable(t *testing.T) table {
	t.Helper()
	rows := table{}
	for _, c := range calls(t, "internal", "New.*") {
		if !strings.HasSuffix(c.of.Pkg().Path(), "/prometheus") {
			continue
		}
		fields := map[string]string{}
		for _, element := range c.Args[0].(*ast.CompositeLit).Elts {
			field := element.(*ast.KeyValueExpr)
			fields[field.Key.(*ast.Ident).Name], _ = c.value(field.Value)
		}
		var labels []string
		for _, list := range c.Args[1:] {
			for _, label := range list.(*ast.CompositeLit).Elts {
				value, _ := c.value(label)
				labels = append(labels, inCode(value))
			}
		}
		counted := c.p.Name
		if counted == "serve" {
			counted += "/" + strings.Split(fields["Name"], "_")[1]
		}
		require.Contains(t, countedBy, counted, fields["Name"])
		kind := strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(c.of.Name(), "New"), "Vec"))
		help := codeInHelp.ReplaceAllString(fields["Help"], "`$0`")
		rows = append(rows, []string{inCode(fields["Name"]), kind, strings.Join(labels, ", "), countedBy[counted], told(help + " " + c.comment())})
	}
	slices.SortStableFunc(rows, func(a, b []string) int { return strings.Compare(b[3], a[3]) }) // the webhook's first
	return slices.Insert(rows, 0, []string{"name", "type", "labels", "of", "meaning"})
}

// inCode is a text between backticks.
func inCode(text string) string { return "`" + text + "`" }

// told is what the code says, in one line, beginning as a sentence does.
func told(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	return strings.ToUpper(text[:1]) + text[1:]
}
