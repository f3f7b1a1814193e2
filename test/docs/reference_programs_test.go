package docs

import (
	"go/types"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestReferenceListsEveryValueOfALabel compares what metrics say of themselves with
// the constants that they are counted by.
func TestReferenceListsEveryValueOfALabel(t *testing.T) {
	t.Parallel()
	const columnMeaning = 4
	listed := rows(t, reference(t), "Metrics")
	for metric, of := range map[string][2]string{
		"configpin_touches_total":                   {"internal/rollout", "result"},
		"configpin_gc_aborted_total":                {"internal/gc", "reason"},
		"configpin_events_dropped_total":            {"internal/serve", "dropped"},
		"configpin_certificate_reload_errors_total": {"internal/serve", "file"},
	} {
		var values []string
		for _, c := range constants(t, of[0], of[1]) {
			values = append(values, c.value)
		}
		said := slices.DeleteFunc(codes(listed[metric], columnMeaning), func(code string) bool { return strings.HasPrefix(code, "--") })
		assert.ElementsMatch(t, values, said, "what %s says that it counts by, and the constants of %s", metric, of[0])
	}
}

func TestReferenceListsEveryPathAndStatus(t *testing.T) {
	t.Parallel()
	d := reference(t)
	paths := map[string]bool{}
	for _, c := range constants(t, "internal/admission", "Path") {
		paths[c.value] = true
	}
	for _, c := range calls(t, "internal/serve", "Handle(Func)?") {
		if path, known := c.value(c.Args[0]); known {
			paths[path] = true
		}
	}
	sameSubjects(t, "HTTP", rows(t, d, "HTTP"), paths, "internal/admission and internal/serve")

	statuses := map[string]bool{}
	for _, p := range packagesIn(t, "internal/admission") {
		for name, object := range p.TypesInfo.Uses {
			c, is := object.(*types.Const)
			if is && c.Pkg() != nil && c.Pkg().Path() == "net/http" && strings.HasPrefix(c.Name(), "Status") && filepath.Base(p.Fset.Position(name.Pos()).Filename) == "handler.go" {
				statuses[c.Val().String()] = true
			}
		}
	}
	sameSubjects(t, "Status codes of a review", rows(t, d, "Status codes of a review"), statuses, "internal/admission/handler.go")
}
