package cli

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/wellknown"
)

func TestContrast(t *testing.T) {
	t.Parallel()
	text := func(value string) snapshot.Object { return snapshot.Object{Data: map[string]string{"key": value}} }
	binary := func(value string) snapshot.Object {
		return snapshot.Object{Binary: map[string][]byte{"key": []byte(value)}}
	}
	typed := func(kind string) snapshot.Object {
		return snapshot.Object{Type: kind, Data: map[string]string{"key": "same"}}
	}
	const title, moved = "--- configmap/app key (before)\n+++ configmap/app key (after)\n",
		"--- configmap/app key in data (before)\n+++ configmap/app key in binaryData (after)\n"
	for name, test := range map[string]struct {
		before, after snapshot.Object
		masked        bool
		want          string
	}{
		"the same":              {text("a\n"), text("a\n"), false, ""},
		"a line":                {text("a"), text("b"), false, title + "@@ -1 +1 @@\n-a\n+b\n"},
		"a blank at the end":    {text("a"), text("a "), false, title + "@@ -1 +1 @@\n-a\n+a<U+0020>\n"},
		"a byte order mark":     {text("a\n"), text("\ufeffa\n"), false, title + "@@ -1 +1 @@\n-a\n+<U+FEFF>a\n"},
		"an empty line between": {text("a\n\nb\n"), text("a\n\nc\n"), false, title + "@@ -1,3 +1,3 @@\n a\n \n-b\n+c\n"},
		"blanks in between":     {text("a\n  \nb\n"), text("a\n  \nc\n"), false, title + "@@ -1,3 +1,3 @@\n a\n <U+0020><U+0020>\n-b\n+c\n"},
		"what looks like a title": {
			text("-- a\n"), text("++ b\n"), false, title + "@@ -1 +1 @@\n--- a\n+++ b\n",
		},
		"an end of the last line": {
			text("a"), text("a\n"), false, title + "@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+a\n",
		},
		"bytes that moved": {text("a"), binary("a"), false, moved + " (the same value)\n"},
		"bytes that moved, and changed": {
			text("a"), binary("b"), false, moved + "@@ -1 +1 @@\n-a\n+b\n",
		},
		"another type": {
			typed("Opaque"), typed("example.com/x"), true, "--- configmap/app (type) (before)\n+++ configmap/app (type) (after)\n@@ -1 +1 @@\n-Opaque\n+example.com/x\n",
		},
		"a value that nobody is to see": {
			text("a"), text("b"), true, title + "@@ -1 +1 @@\n-*** (before)\n+*** (after)\n",
		},
		"an empty value": {snapshot.Object{}, text(""), false, title + "+(empty)\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app := refs.Target{Kind: wellknown.ConfigMap, Name: "app"}
			var out bytes.Buffer
			differ := contrast{out: &out, masked: test.masked}.print(edition{test.before, app, "before"}, edition{test.after, app, "after"})
			assert.Equal(t, test.want, out.String())
			assert.Equal(t, test.want != "", differ)
		})
	}
}

func TestOfADiffOnlyTheTitleIsBold(t *testing.T) {
	t.Parallel()
	app := refs.Target{Kind: wellknown.ConfigMap, Name: "app"}
	var out bytes.Buffer
	contrast{out: &out, coloured: true}.print(
		edition{snapshot.Object{Data: map[string]string{"key": "-- a\n"}}, app, "before"}, edition{snapshot.Object{Data: map[string]string{"key": "++ b\n"}}, app, "after"})
	assert.Equal(t, bold+"--- configmap/app key (before)"+plain+"\n"+bold+"+++ configmap/app key (after)"+plain+"\n"+
		cyan+"@@ -1 +1 @@"+plain+"\n"+red+"--- a"+plain+"\n"+green+"+++ b"+plain+"\n", out.String())
}
