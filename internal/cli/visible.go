package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"unicode"
	"unicode/utf16"
)

// What is in the cluster is written by anybody: contents, names, causes, the messages of
// webhooks. A terminal does what it is told, and an eye overlooks what has no ink. So
// whatever has none is printed as less(1) does, <U+00A0>; and so that nobody mistakes a
// text that looks like it, the first character of such a text is, too.

// inkless says whether a terminal shows nothing of a character, or takes it for an order.
// The blank is for who knows where it is.
func inkless(r rune) bool {
	const brailleBlank = '\u2800' // the one symbol without a dot
	return !unicode.IsPrint(r) || r == brailleBlank ||
		unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

func code(r rune) string { return fmt.Sprintf("<U+%04X>", r) }

// shown is text without anything inkless but what may stay.
func shown(text, stays string) string {
	var out strings.Builder
	for i, r := range text {
		switch {
		case strings.HasPrefix(text[i:], "<U+"):
			out.WriteString(code(r))
		case inkless(r) && !strings.ContainsRune(stays, r):
			out.WriteString(code(r))
		default:
			out.WriteRune(r)
		}
	}
	return out.String()
}

// clean is text of one or more lines, fit for a terminal.
func clean(text string) string { return shown(text, "\n\t") }

// cell is text that has to stay in its place in a table.
func cell(text string) string { return shown(text, "") }

// visible is a line of which nothing is overlooked, not even blanks at its end.
func visible(line string) string {
	body := strings.TrimRight(line, " \t\r")
	out := shown(body, "\t")
	for _, r := range line[len(body):] {
		out += code(r)
	}
	return out
}

// escaped is JSON in which everything inkless is escaped: between the texts of JSON there
// is none but blanks and ends of lines.
func escaped(text string) string {
	var out strings.Builder
	for _, r := range text {
		switch {
		case !inkless(r) || r == '\n':
			out.WriteRune(r)
		case r > '\uffff':
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&out, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
	}
	return out.String()
}

// encode is a value as JSON for people and programs.
func encode(w io.Writer, value any) error {
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	encoder.SetIndent("", "    ")
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return err
	}
	_, err := io.WriteString(w, escaped(text.String()))
	return err
}

// warner prints the warnings of the API server, each once: what admission says of a write,
// whoever's that is (rest.WarningHandler).
type warner struct {
	out   io.Writer
	mutex sync.Mutex
	said  map[string]bool
}

// warningCode is that of a warning that is for people (RFC 9111, section 5.5, as it was:
// 299, miscellaneous persistent).
const warningCode = 299

// HandleWarningHeader implements rest.WarningHandler.
func (w *warner) HandleWarningHeader(code int, _, text string) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if code != warningCode || text == "" || w.said[text] {
		return
	}
	w.said[text] = true
	fmt.Fprintln(w.out, "Warning:", clean(text))
}
