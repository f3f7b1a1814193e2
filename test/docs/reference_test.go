package docs_test

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/configpin/configpin/internal/pin"
	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/wellknown"
	"github.com/configpin/configpin/internal/workload"
	"github.com/configpin/configpin/manifests"
	"github.com/configpin/configpin/test/docs"
)

const referencePath = "docs/reference.md"

// The columns of tables. The first is what a row is about.
const subject = 0

func reference(t *testing.T) docs.Document {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, referencePath))
	require.NoError(t, err)
	return docs.Parse(referencePath, string(text))
}

// rows are those of the tables below a heading, by what is in their first
// column.
func rows(t *testing.T, d docs.Document, section string) map[string]docs.Row {
	t.Helper()
	found := map[string]docs.Row{}
	for _, table := range d.Tables {
		if table.Section != section {
			continue
		}
		for _, row := range table.Rows {
			found[code(row, subject)] = row
		}
	}
	require.NotEmpty(t, found, "%s has no table below the heading %q: add it, or correct the name of the section in this test", d.Path, section)
	return found
}

// code is a cell without its backticks.
func code(row docs.Row, column int) string {
	if column >= len(row.Cells) {
		return ""
	}
	return strings.Trim(row.Cells[column], "`")
}

// codes are the pieces of code in a cell.
func codes(row docs.Row, column int) []string {
	var found []string
	for i, part := range strings.Split(row.Cells[column], "`") {
		if i%2 == 1 {
			found = append(found, part)
		}
	}
	return found
}

// sameSubjects compares what a section lists with what there is. where says
// where that was looked for.
func sameSubjects[V any](t *testing.T, section string, listed map[string]docs.Row, there map[string]V, where string) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(there)) {
		if _, found := listed[name]; !found {
			t.Errorf("%s: section %q doesn't list `%s`, which is in %s: add a row", referencePath, section, name, where)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(listed)) {
		if _, found := there[name]; !found {
			t.Errorf("%s:%d: section %q lists `%s`, which isn't in %s: remove the row, or correct it", referencePath, listed[name].Line, section, name, where)
		}
	}
}

// sameCell compares a cell with what there is.
func sameCell(t *testing.T, row docs.Row, what, listed, there string) {
	t.Helper()
	if listed != there {
		t.Errorf("%s:%d: %s of %s: `%s` is written, and it is `%s`: correct the row", referencePath, row.Line, what, row.Cells[subject], listed, there)
	}
}

func set(names ...string) map[string]bool {
	found := map[string]bool{}
	for _, name := range names {
		found[name] = true
	}
	return found
}

// wellknownConstants returns the constants of internal/wellknown: keys that people write,
// other keys, reasons of events, and the rest.
func wellknownConstants(t *testing.T) (written, ours, reasons map[string]bool, all []constant) {
	t.Helper()
	written, ours, reasons = map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, c := range constants(parseFolder(t, "internal/wellknown")) {
		switch {
		case !ast.IsExported(c.name):
			continue
		case strings.HasPrefix(c.name, "Reason"):
			reasons[c.value] = true
		case strings.Contains(c.value, "/") && (strings.HasPrefix(c.block, "Keys that people write") || strings.Contains(c.block, "in which people")):
			written[c.value] = true
		case strings.Contains(c.value, "/"):
			ours[c.value] = true
		}
		all = append(all, c)
	}
	require.NotEmpty(t, written)
	require.NotEmpty(t, ours)
	require.NotEmpty(t, reasons)
	return written, ours, reasons, all
}

func TestReferenceListsEveryKey(t *testing.T) {
	t.Parallel()
	d := reference(t)
	written, ours, _, all := wellknownConstants(t)
	sameSubjects(t, "Keys that you write", rows(t, d, "Keys that you write"), written, "internal/wellknown, as one that people write")

	listed := rows(t, d, "On snapshots")
	maps.Copy(listed, rows(t, d, "On workloads"))
	for key := range listed {
		if written[key] {
			delete(listed, key) // admission writes one of people's keys
		}
	}
	sameSubjects(t, "Keys that configpin writes", listed, ours, "internal/wellknown, as one that configpin writes")

	var mentioned strings.Builder
	for _, span := range d.Code {
		fmt.Fprintln(&mentioned, span.Text)
	}
	for _, c := range all {
		assert.Contains(t, mentioned.String(), c.value, "%s never mentions `%s` (%s in %s)", referencePath, c.value, c.name, c.file)
	}
}

var keyInText = regexp.MustCompile(`(?:[a-z]+\.)*configpin\.io/[a-z-]*`)

// TestDocsNameNoOtherKeys looks at every document, since a key that doesn't
// exist does nothing, silently.
func TestDocsNameNoOtherKeys(t *testing.T) {
	t.Parallel()
	written, ours, _, all := wellknownConstants(t)
	known := auditKeys(t)
	maps.Copy(known, written)
	maps.Copy(known, ours)
	observed := valuesOf(all)["ObservedPrefix"]
	for _, d := range documents(t) {
		text, err := os.ReadFile(filepath.Join(root, d.Path))
		require.NoError(t, err)
		for i, line := range strings.Split(string(text), "\n") {
			for _, key := range keyInText.FindAllString(line, -1) {
				if !known[strings.TrimSuffix(key, "-")] && !strings.HasPrefix(key, observed) {
					t.Errorf("%s:%d: %s isn't in internal/wellknown: remove or correct it", d.Path, i+1, key)
				}
			}
		}
	}
}

func TestReferenceListsEveryEvent(t *testing.T) {
	t.Parallel()
	_, _, reasons, all := wellknownConstants(t)
	listed := rows(t, reference(t), "Events")
	sameSubjects(t, "Events", listed, reasons, "internal/wellknown")

	const columnType, columnMessage = 2, 4
	values := valuesOf(all)
	emitted := map[string]bool{}
	for path, file := range parseFolder(t, "internal") {
		eachCall(file, "event", func(call *ast.CallExpr) {
			const typ, reason, note, args = 1, 2, 3, 4 // behind what it is about
			at := slices.IndexFunc(call.Args, func(e ast.Expr) bool { return strings.HasPrefix(nameOf(e), "EventType") }) - typ
			require.Greater(t, at, -typ, "%s: a call of event without a type", path)
			name, said := evaluate(call.Args[at+reason], values)
			if !said {
				return // one of toldOfPins
			}
			format, known := evaluate(call.Args[at+note], values)
			require.True(t, known, "%s: the text of the event %s isn't a literal", path, name)
			emitted[name] = true
			if row, there := listed[name]; there {
				sameCell(t, row, "type", row.Cells[columnType], strings.TrimPrefix(nameOf(call.Args[at+typ]), "EventType"))
				sameCell(t, row, "message", unnamed(code(row, columnMessage)), sentence(format, call.Args[at+args:], values))
			}
		})
	}
	for reason, note := range toldOfPins() {
		emitted[reason] = true
		if row, there := listed[reason]; there {
			sameCell(t, row, "type", row.Cells[columnType], "Normal")
			sameCell(t, row, "message", unnamed(code(row, columnMessage)), note)
		}
	}
	sameSubjects(t, "Events", listed, emitted, "what is emitted in internal/")
}

// toldOfPins are the notes of Events about pins, by reason, with <> for names.
func toldOfPins() map[string]string {
	kind := workload.Lookup("apps", "Deployment")
	app := refs.Target{Kind: wellknown.ConfigMap, Name: "app"}
	names := strings.NewReplacer("app-from", "<>", "app-to", "<>", app.String(), "<>", "the deployment", "the <>")
	notes := map[string]string{}
	for _, reason := range []string{
		wellknown.ReasonPinned, wellknown.ReasonRolledForward, wellknown.ReasonRollbackHeld, wellknown.ReasonHoldReleased, wellknown.ReasonUnpinned,
	} {
		notes[reason] = names.Replace(pin.Tell(kind, []pin.Change{{Source: app, Reason: reason, From: "app-from", To: "app-to"}}))
	}
	return notes
}

func TestReferenceListsEveryDecisionReason(t *testing.T) {
	t.Parallel()
	there := map[string]bool{}
	for _, c := range constants(parseFolder(t, "internal/pin")) {
		if c.typ == "Reason" {
			there[c.value] = true
		}
	}
	require.NotEmpty(t, there)
	sameSubjects(t, "Decision reasons", rows(t, reference(t), "Decision reasons"), there, "internal/pin")
}

func TestReferenceListsEveryWarningAndDenial(t *testing.T) {
	t.Parallel()
	d := reference(t)
	_, _, _, all := wellknownConstants(t)
	values := valuesOf(all)
	warnings, denials := map[string]bool{}, map[string]bool{}
	for _, file := range parseFolder(t, "internal/pin") {
		eachCall(file, "warn", func(call *ast.CallExpr) {
			if format, known := evaluate(call.Args[0], values); known {
				warnings[sentence(format, call.Args[1:], values)] = true
			}
		})
		if denial := function(file, "denial"); denial != nil {
			eachCall(denial, "Sprintf", func(call *ast.CallExpr) {
				format, known := evaluate(call.Args[0], values)
				require.True(t, known, "a denial isn't a literal")
				denials[sentence(format, call.Args[1:], values)] = true
			})
		}
	}
	require.NotEmpty(t, warnings)
	require.NotEmpty(t, denials)
	unnamedRows := func(section string) map[string]docs.Row {
		listed := map[string]docs.Row{}
		for text, row := range rows(t, d, section) {
			listed[unnamed(text)] = row
		}
		return listed
	}
	sameSubjects(t, "Warnings", unnamedRows("Warnings"), warnings, "internal/pin (<> is any placeholder)")
	sameSubjects(t, "Denials", unnamedRows("Denials"), denials, "internal/pin (<> is any placeholder)")
}

func TestReferenceListsEveryAuditAnnotation(t *testing.T) {
	t.Parallel()
	sameSubjects(t, "Audit annotation", rows(t, reference(t), "Audit annotation"), auditKeys(t), "internal/admission and the names of webhooks in manifests")
}

// auditKeys are the keys of audit annotations: the API server puts the name of
// the webhook before ours.
func auditKeys(t *testing.T) map[string]bool {
	t.Helper()
	keys := map[string]bool{}
	annotations := function(parseFolder(t, "internal/admission")["internal/admission/admission.go"], "auditAnnotations")
	require.NotNil(t, annotations)
	ast.Inspect(annotations, func(node ast.Node) bool {
		if pair, ok := node.(*ast.KeyValueExpr); ok {
			key, known := evaluate(pair.Key, nil)
			require.True(t, known, "the key of an audit annotation isn't a literal")
			for _, webhook := range webhooks(t) {
				keys[webhook["name"].(string)+"/"+key] = true
			}
		}
		return true
	})
	require.NotEmpty(t, keys)
	return keys
}

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

func objects(t *testing.T, components ...manifests.Component) []*unstructured.Unstructured {
	t.Helper()
	found, err := manifests.Objects(components...)
	require.NoError(t, err)
	return found
}

// webhooks are the entries of every webhook configuration.
func webhooks(t *testing.T) []map[string]any {
	t.Helper()
	var found []map[string]any
	for _, object := range objects(t) {
		entries, _, err := unstructured.NestedSlice(object.Object, "webhooks")
		require.NoError(t, err)
		for _, entry := range entries {
			found = append(found, entry.(map[string]any))
		}
	}
	require.NotEmpty(t, found)
	return found
}

func TestReferenceListsWhatIsInstalled(t *testing.T) {
	t.Parallel()
	d := reference(t)
	there := map[string]string{}
	for _, object := range objects(t) {
		there[object.GetKind()+" "+object.GetName()] = object.GetNamespace()
	}
	listed := rows(t, d, "What is installed")
	sameSubjects(t, "What is installed", listed, there, "manifests")
	const columnNamespace = 1
	for name, row := range listed {
		sameCell(t, row, "namespace", code(row, columnNamespace), there[name])
	}

	webhookRows, settings := map[string]docs.Row{}, map[string]docs.Row{}
	for name, row := range rows(t, d, "Webhooks") {
		if strings.Contains(name, ".") {
			webhookRows[name] = row
		} else {
			settings[name] = row
		}
	}
	names := map[string]bool{}
	for _, webhook := range webhooks(t) {
		names[webhook["name"].(string)] = true
		for setting, row := range settings {
			sameCell(t, row, "value", code(row, 1), fmt.Sprint(webhook[setting]))
		}
	}
	sameSubjects(t, "Webhooks", webhookRows, names, "manifests")
}

// right is a row of the RBAC tables.
type right struct{ resource, group, in string }

func TestReferenceListsEveryRight(t *testing.T) {
	t.Parallel()
	d := reference(t)
	for _, program := range []string{"webhook", "versioner"} {
		section := "Of the " + program
		there := map[right][]string{}
		for _, object := range objects(t, manifests.Secrets, manifests.DigestKey) {
			if strings.HasPrefix(object.GetName(), "configpin-"+program) && (object.GetKind() == "ClusterRole" || object.GetKind() == "Role") {
				addRights(t, object, there)
			}
		}
		require.NotEmpty(t, there)
		for _, table := range d.Tables {
			if table.Section != section {
				continue
			}
			for _, row := range table.Rows {
				r := right{code(row, 0), code(row, 1), code(row, 2)}
				if assert.Contains(t, there, r, "%s:%d: %s has no right to that in manifests: remove the row", referencePath, row.Line, program) {
					sameCell(t, row, "verbs", strings.Join(codes(row, 3), ", "), strings.Join(there[r], ", "))
				}
				delete(there, r)
			}
		}
		for r, verbs := range there {
			t.Errorf("%s: section %q doesn't list %v on %+v, which is in manifests: add a row", referencePath, section, verbs, r)
		}
	}
}

func addRights(t *testing.T, object *unstructured.Unstructured, into map[right][]string) {
	t.Helper()
	var role rbacv1.ClusterRole // a Role has the same rules
	require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &role))
	in := object.GetNamespace()
	if in == "" {
		in = "all namespaces"
	}
	for _, rule := range role.Rules {
		for _, group := range rule.APIGroups {
			if group == "" {
				group = "core"
			}
			for _, resource := range rule.Resources {
				into[right{resource, group, in}] = append(into[right{resource, group, in}], rule.Verbs...)
			}
		}
	}
}

// TestReferenceListsEveryRef asks the walk itself, about every field of the API
// that could name a ConfigMap or a Secret.
func TestReferenceListsEveryRef(t *testing.T) {
	t.Parallel()
	d := reference(t)
	pinned, left := map[string]string{}, map[string]bool{}
	for path, spec := range nameFields(reflect.TypeFor[corev1.PodSpec](), "", func(inner any) any { return inner }) {
		raw, err := json.Marshal(spec)
		require.NoError(t, err)
		found := refs.Walk(string(raw))
		path = strings.NewReplacer("initContainers", "containers", "ephemeralContainers", "containers").Replace(path)
		if len(found) == 1 {
			pinned[path] = found[0].Kind.KubernetesKind()
		} else if sourceInPath.MatchString(path) {
			left[path] = true
		}
	}
	listed := rows(t, d, "Fields that count")
	sameSubjects(t, "Fields that count", listed, pinned, "what internal/refs finds")
	for path, row := range listed {
		sameCell(t, row, "names a", row.Cells[1], pinned[path])
	}
	sameSubjects(t, "Fields that are left as they are", rows(t, d, "Fields that are left as they are"), left, "k8s.io/api")
}

// sourceInPath matches fields that name a ConfigMap or Secret.
var sourceInPath = regexp.MustCompile(`(?i)(configMap|secret)\w*(\[\])?(\.name|\.secretName)?$`)

// nameFields returns every field called name or secretName, by its path, with an
// object in which it alone is set.
func nameFields(in reflect.Type, path string, wrap func(inner any) any) map[string]any {
	found := map[string]any{}
	switch in.Kind() {
	case reflect.Pointer:
		return nameFields(in.Elem(), path, wrap)
	case reflect.Slice:
		return nameFields(in.Elem(), path+"[]", func(inner any) any { return wrap([]any{inner}) })
	case reflect.String:
		if strings.HasSuffix(path, ".name") || strings.HasSuffix(path, ".secretName") {
			found[path] = wrap("x")
		}
	case reflect.Struct:
		if in == reflect.TypeFor[metav1.ObjectMeta]() {
			return nil // of an ephemeral volume's claim
		}
		for field := range in.Fields() {
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if name == "" {
				maps.Copy(found, nameFields(field.Type, path, wrap))
				continue
			}
			maps.Copy(found, nameFields(field.Type, strings.TrimPrefix(path+"."+name, "."), func(inner any) any { return wrap(map[string]any{name: inner}) }))
		}
	}
	return found
}

var celLiteral = regexp.MustCompile(`'([^']*)'`)

// TestReferenceListsWhatPoliciesSay compares what is between the placeholders with
// the literals of the expressions that make the messages.
func TestReferenceListsWhatPoliciesSay(t *testing.T) {
	t.Parallel()
	d := reference(t)
	listed := strings.Join(slices.Collect(maps.Keys(rows(t, d, "Refused by policies"))), "\n")
	var said strings.Builder
	for _, object := range objects(t) {
		if object.GetKind() != "ValidatingAdmissionPolicy" {
			continue
		}
		validations, _, err := unstructured.NestedSlice(object.Object, "spec", "validations")
		require.NoError(t, err)
		for _, validation := range validations {
			for _, literal := range celLiteral.FindAllStringSubmatch(validation.(map[string]any)["messageExpression"].(string), -1) {
				said.WriteString(literal[1])
				assert.Contains(t, listed, literal[1], "%s: section %q lacks what %s says", referencePath, "Refused by policies", object.GetName())
			}
		}
	}
	for text, row := range rows(t, d, "Refused by policies") {
		for fragment := range strings.SplitSeq(unnamed(text), "<>") {
			assert.Contains(t, said.String(), fragment, "%s:%d", referencePath, row.Line)
		}
	}
}
