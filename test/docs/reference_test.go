package docs

import (
	"fmt"
	"go/ast"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/configpin/configpin/internal/wellknown"
	"github.com/configpin/configpin/test/lab/markdown"
)

const referencePath = "docs/reference.md"

// The columns of tables. The first is what a row is about.
const subject = 0

func reference(t *testing.T) markdown.Document { t.Helper(); return document(t, referencePath) }

func document(t *testing.T, path string) markdown.Document {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, path))
	require.NoError(t, err)
	return markdown.Parse(path, string(text))
}

// rows are those of the tables below a heading, by what is in their first
// column.
func rows(t *testing.T, d markdown.Document, section string) map[string]markdown.Row {
	t.Helper()
	found := map[string]markdown.Row{}
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
func code(row markdown.Row, column int) string {
	if column >= len(row.Cells) {
		return ""
	}
	return strings.Trim(row.Cells[column], "`")
}

// codes are the pieces of code in a cell.
func codes(row markdown.Row, column int) []string {
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
func sameSubjects[V any](t *testing.T, section string, listed map[string]markdown.Row, there map[string]V, where string) {
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
func sameCell(t *testing.T, row markdown.Row, what, listed, there string) {
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
// other keys, and all.
func wellknownConstants(t *testing.T) (written, ours map[string]bool, all []declared) {
	t.Helper()
	written, ours = map[string]bool{}, map[string]bool{}
	for _, c := range constants(t, "internal/wellknown", "") {
		switch {
		case !ast.IsExported(c.name):
			continue
		case strings.Contains(c.value, "/") && (strings.HasPrefix(c.block, "Keys that people write") || strings.Contains(c.block, "in which people")):
			written[c.value] = true
		case strings.Contains(c.value, "/"):
			ours[c.value] = true
		}
		all = append(all, c)
	}
	require.NotEmpty(t, written)
	require.NotEmpty(t, ours)
	return written, ours, all
}

func TestReferenceListsEveryKey(t *testing.T) {
	t.Parallel()
	d := reference(t)
	written, ours, all := wellknownConstants(t)
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
		assert.Contains(t, mentioned.String(), c.value, "%s never mentions `%s` (%s)", referencePath, c.value, c.name)
	}
}

var keyInText = regexp.MustCompile(`(?:[a-z]+\.)*configpin\.io/[a-z-]*`)

// TestDocsNameNoOtherKeys looks at every document, since a key that doesn't
// exist does nothing, silently.
func TestDocsNameNoOtherKeys(t *testing.T) {
	t.Parallel()
	written, ours, _ := wellknownConstants(t)
	known := auditKeys(t)
	maps.Copy(known, written)
	maps.Copy(known, ours)
	for key, places := range named(t, documents(t), keyInText) {
		if !known[strings.TrimSuffix(key, "-")] && !strings.HasPrefix(key, wellknown.ObservedPrefix) {
			t.Errorf("%s: %s isn't in internal/wellknown: remove or correct it", places, key)
		}
	}
}
