package docs

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/configpin/configpin/test/lab/markdown"
)

// documents are all Markdown files of the checkout.
func documents(t *testing.T) []markdown.Document {
	t.Helper()
	var found []markdown.Document
	err := filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && file != root && (strings.HasPrefix(entry.Name(), ".") || entry.Name() == "testdata"):
			return fs.SkipDir
		case entry.IsDir() || filepath.Ext(file) != ".md":
			return nil
		}
		found = append(found, document(t, filepath.ToSlash(strings.TrimPrefix(file, root+string(filepath.Separator)))))
		return nil
	})
	require.NoError(t, err)
	require.NotEmpty(t, found)
	return found
}

// named are the places of what documents name that matches.
func named(t *testing.T, in []markdown.Document, pattern *regexp.Regexp) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	for _, d := range in {
		text, err := os.ReadFile(filepath.Join(root, d.Path))
		require.NoError(t, err)
		for i, line := range strings.Split(string(text), "\n") {
			for _, name := range pattern.FindAllString(line, -1) {
				found[name] = append(found[name], fmt.Sprintf("%s:%d", d.Path, i+1))
			}
		}
	}
	return found
}

var scheme = regexp.MustCompile(`^[a-z][a-z0-9+.-]*:`)

func TestLinksLeadSomewhere(t *testing.T) {
	t.Parallel()
	all := documents(t)
	anchors := map[string]map[string]bool{}
	for _, d := range all {
		anchors[d.Path] = map[string]bool{}
		for _, heading := range d.Headings {
			anchors[d.Path][heading.Anchor] = true
		}
	}
	for _, d := range all {
		for _, link := range d.Links {
			if scheme.MatchString(link.Text) {
				continue
			}
			file, anchor, _ := strings.Cut(link.Text, "#")
			target := d.Path
			if file != "" {
				target = path.Join(path.Dir(d.Path), file)
			}
			if !there(target) {
				t.Errorf("%s:%d: the link %s leads to %s, which doesn't exist: correct or remove it", d.Path, link.Line, link.Text, target)
			} else if anchor != "" && !anchors[target][anchor] {
				t.Errorf("%s:%d: the link %s leads to a heading that %s doesn't have", d.Path, link.Line, link.Text, target)
			}
		}
	}
}

// there says whether a path of the checkout exists. One outside of it doesn't,
// for whoever has nothing but a clone.
func there(file string) bool {
	if !filepath.IsLocal(file) {
		return false
	}
	_, err := os.Stat(filepath.Join(root, filepath.FromSlash(file)))
	return err == nil
}

// pathInCode is inline code that is a path of the checkout, with a line of it or
// without.
var pathInCode = regexp.MustCompile(`^((?:internal|cmd|test|docs|manifests|certs)/[\w./-]*\w)/?(?::\d+(?:-\d+)?)?$`)

func pathIn(code string) (file string, is bool) {
	m := pathInCode.FindStringSubmatch(code)
	if m == nil {
		return "", false
	}
	return m[1], true
}

func TestPathsInDocsExist(t *testing.T) {
	t.Parallel()
	for _, d := range documents(t) {
		for _, span := range d.Code {
			if file, is := pathIn(span.Text); is && !there(file) {
				t.Errorf("%s:%d: %s doesn't exist: correct or remove it", d.Path, span.Line, file)
			}
		}
	}
}

func TestPathIn(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"internal/pin":                   "internal/pin",
		"internal/pin/":                  "internal/pin",
		"internal/pin/rules.go:12-30":    "internal/pin/rules.go",
		"manifests/base":                 "manifests/base",
		"internal/admission/testdata/*":  "",
		"configpin.io/internal/pin":      "",
		"go test ./internal/...":         "",
		"test":                           "",
		"internal/pin.Decide (function)": "",
	} {
		got, is := pathIn(text)
		assert.Equal(t, want, got, text)
		assert.Equal(t, want != "", is, text)
	}
}
