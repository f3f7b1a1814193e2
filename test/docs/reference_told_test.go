package docs_test

import (
	"go/ast"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/configpin/configpin/internal/pin"
	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/wellknown"
	"github.com/configpin/configpin/internal/workload"
	"github.com/configpin/configpin/test/docs"
)

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
	files := parseFolder(t, "internal/pin")
	both := parseFolder(t, "internal/wellknown")
	maps.Copy(both, files)
	values := valuesOf(constants(both))
	warnings, denials := map[string]bool{}, map[string]bool{}
	for _, file := range files {
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
