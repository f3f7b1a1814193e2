package docs_test

import (
	"fmt"
	"go/ast"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// flagInHelp is a flag as the package flag prints it: its name, and in the next
// line its meaning, and its default unless that is zero.
var flagInHelp = regexp.MustCompile(`(?m)^ {2}-(\S+).*\n\s+\t?(.*)$`)

var defaultInHelp = regexp.MustCompile(`\(default (\S+)\)$`)

func TestReferenceListsEveryFlag(t *testing.T) {
	t.Parallel()
	d := reference(t)
	folder := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-o", folder+"/", "./cmd/webhook", "./cmd/versioner")
	build.Dir = root
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	const columnDefault = 1
	for _, program := range []string{"webhook", "versioner"} {
		help, err := exec.CommandContext(t.Context(), filepath.Join(folder, program), "--help").CombinedOutput()
		require.NoError(t, err, "%s", help)
		there := map[string]string{}
		for _, m := range flagInHelp.FindAllStringSubmatch(string(help), -1) {
			name := "--" + m[1]
			if len(m[1]) == 1 {
				name = "-" + m[1]
			}
			there[name] = ""
			if value := defaultInHelp.FindStringSubmatch(m[2]); value != nil {
				there[name] = strings.Trim(value[1], `"`)
			}
		}
		section := "Flags of the " + program
		listed := rows(t, d, section)
		sameSubjects(t, section, listed, there, program+" --help")
		for name, row := range listed {
			value := code(row, columnDefault)
			if slices.Contains([]string{`""`, "0", "0s", "false"}, value) {
				value = "" // help doesn't tell a zero
			}
			sameCell(t, row, "default", value, there[name])
		}
	}
}

// metric is a metric as it is registered.
type metric struct {
	typ    string
	labels []string
}

func TestReferenceListsEveryMetric(t *testing.T) {
	t.Parallel()
	files := parseFolder(t, "internal")
	there := map[string]metric{}
	for _, file := range files {
		ast.Inspect(file, func(node ast.Node) bool {
			if call, ok := node.(*ast.CallExpr); ok {
				if name, m, is := metricOf(call); is {
					there[name] = m
				}
			}
			return true
		})
	}
	require.NotEmpty(t, there)
	d := reference(t)
	listed := rows(t, d, "Metrics")
	sameSubjects(t, "Metrics", listed, there, "internal/")
	const columnType, columnLabels, columnMeaning = 1, 2, 4
	for name, row := range listed {
		sameCell(t, row, "type", row.Cells[columnType], there[name].typ)
		sameCell(t, row, "labels", strings.Join(codes(row, columnLabels), ", "), strings.Join(there[name].labels, ", "))
	}
	var results []string
	for _, c := range constants(parseFolder(t, "internal/rollout")) {
		if strings.HasPrefix(c.name, "result") {
			results = append(results, c.value)
		}
	}
	row := listed["configpin_touches_total"]
	assert.ElementsMatch(t, results, codes(row, columnMeaning), "%s:%d: the results aren't those of internal/rollout", referencePath, row.Line)
}

// metricOf reads prometheus.NewCounterVec(prometheus.CounterOpts{…}, []string{…})
// and the like.
func metricOf(call *ast.CallExpr) (name string, m metric, is bool) {
	function, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || nameOf(function.X) != "prometheus" || !strings.HasPrefix(function.Sel.Name, "New") || len(call.Args) == 0 {
		return "", m, false
	}
	m.typ = strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(function.Sel.Name, "New"), "Vec"))
	options, ok := call.Args[0].(*ast.CompositeLit)
	if !ok {
		return "", m, false
	}
	for _, element := range options.Elts {
		if pair, ok := element.(*ast.KeyValueExpr); ok && nameOf(pair.Key) == "Name" {
			name, _ = evaluate(pair.Value, nil)
		}
	}
	if len(call.Args) > 1 {
		if labels, ok := call.Args[1].(*ast.CompositeLit); ok {
			for _, label := range labels.Elts {
				text, _ := evaluate(label, nil)
				m.labels = append(m.labels, text)
			}
		}
	}
	return name, m, name != ""
}

func TestReferenceListsEveryPathAndStatus(t *testing.T) {
	t.Parallel()
	d := reference(t)
	admission := parseFolder(t, "internal/admission")
	paths := map[string]bool{}
	for _, c := range constants(admission) {
		if strings.HasPrefix(c.name, "Path") {
			paths[c.value] = true
		}
	}
	for _, method := range []string{"Handle", "HandleFunc"} {
		for _, file := range parseFolder(t, "internal/serve") {
			eachCall(file, method, func(call *ast.CallExpr) {
				if path, known := evaluate(call.Args[0], nil); known {
					paths[path] = true
				}
			})
		}
	}
	sameSubjects(t, "HTTP", rows(t, d, "HTTP"), paths, "internal/admission and internal/serve")

	statuses := map[string]bool{}
	names := map[string]string{}
	for status := 100; status < 600; status++ {
		names["Status"+strings.ReplaceAll(http.StatusText(status), " ", "")] = fmt.Sprint(status)
	}
	ast.Inspect(admission["internal/admission/handler.go"], func(node ast.Node) bool {
		selector, ok := node.(*ast.SelectorExpr)
		if ok && nameOf(selector.X) == "http" && names[selector.Sel.Name] != "" && selector.Sel.Name != "Status" {
			statuses[names[selector.Sel.Name]] = true
		}
		return true
	})
	sameSubjects(t, "Status codes of a review", rows(t, d, "Status codes of a review"), statuses, "internal/admission/handler.go")
}

func TestReferenceListsEveryExitCode(t *testing.T) {
	t.Parallel()
	there := set("0")
	for _, c := range constants(parseFolder(t, "internal/serve")) {
		if strings.HasPrefix(c.name, "exit") && c.file == "internal/serve/serve.go" {
			there[c.value] = true
		}
	}
	sameSubjects(t, "Exit codes", rows(t, reference(t), "Exit codes"), there, "internal/serve/serve.go")
}
