package docs

import (
	"go/ast"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/configpin/configpin/internal/news"
	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/wellknown"
	"github.com/configpin/configpin/internal/workload"
	"github.com/configpin/configpin/test/lab/markdown"
)

func TestReferenceListsEveryEvent(t *testing.T) {
	t.Parallel()
	emitted := toldOfPins() // type and message, by reason
	for _, c := range calls(t, "internal", "event") {
		const typ, reason, note = 1, 2, 3                // behind what it is about
		if name, said := c.value(c.Args[reason]); said { // or it is one of toldOfPins
			eventType, _ := c.value(c.Args[typ])
			message, known := c.sentence(note)
			require.True(t, known, "%s: the text of the event %s isn't a literal", c.p.PkgPath, name)
			emitted[name] = [2]string{eventType, message}
		}
	}
	listed := rows(t, reference(t), "Events")
	sameSubjects(t, "Events", listed, emitted, "what is emitted in internal/")
	const columnType, columnMessage = 2, 4
	for reason, row := range listed {
		sameCell(t, row, "type", row.Cells[columnType], emitted[reason][0])
		sameCell(t, row, "message", unnamed(code(row, columnMessage)), emitted[reason][1])
	}
}

// toldOfPins are the types and notes of Events about pins, by reason, with <> for names.
func toldOfPins() map[string][2]string {
	kind := workload.Lookup("apps", "Deployment")
	app := refs.Target{Kind: wellknown.ConfigMap, Name: "app"}
	names := strings.NewReplacer("app-from", "<>", "app-to", "<>", app.String(), "<>", "the deployment", "the <>")
	notes := map[string][2]string{}
	for _, reason := range []string{
		wellknown.ReasonPinned, wellknown.ReasonRolledForward, wellknown.ReasonRollbackHeld, wellknown.ReasonHoldReleased, wellknown.ReasonUnpinned,
	} {
		notes[reason] = [2]string{"Normal", names.Replace(news.Tell(kind, []news.Change{{Source: app, Reason: reason, From: "app-from", To: "app-to"}}))}
	}
	return notes
}

func TestReferenceListsEveryWarningAndDenial(t *testing.T) {
	t.Parallel()
	d := reference(t)
	warnings, denials := map[string]bool{}, map[string]bool{}
	for _, c := range calls(t, "internal/pin", "warn") {
		if warning, known := c.sentence(0); known {
			warnings[warning] = true
		}
	}
	for _, c := range calls(t, "internal/pin", "Sprintf") {
		if c.in == "denial" {
			denial, known := c.sentence(0)
			require.True(t, known, "a denial isn't a literal")
			denials[denial] = true
		}
	}
	require.NotEmpty(t, warnings)
	require.NotEmpty(t, denials)
	unnamedRows := func(section string) map[string]markdown.Row {
		listed := map[string]markdown.Row{}
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
	admission := packagesIn(t, "internal/admission")[0]
	inspect(admission, func(in string, node ast.Node) {
		if pair, is := node.(*ast.KeyValueExpr); is && in == "auditAnnotations" {
			key, known := call{p: admission}.value(pair.Key)
			require.True(t, known, "the key of an audit annotation isn't a literal")
			for _, webhook := range webhooks(t) {
				keys[webhook["name"].(string)+"/"+key] = true
			}
		}
	})
	require.NotEmpty(t, keys)
	return keys
}
