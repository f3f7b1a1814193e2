package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"unicode"
	"unicode/utf16"

	"go.yaml.in/yaml/v3"
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

// say prints lines of an answer, fit for a terminal.
func (p *program) say(format string, values ...any) {
	fmt.Fprintln(p.Out, clean(fmt.Sprintf(format, values...)))
}

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

// overlooked says whether an eye overlooks a character, or a terminal obeys it, within a text
// of lines.
func overlooked(r rune) bool { return inkless(r) && r != '\n' }

// escaped is JSON, or YAML, in which everything inkless is escaped, as far as the format says
// how above the first plane: between the texts of JSON there is none but blanks and ends of
// lines.
func escaped(text string, above func(rune) string) string {
	var out strings.Builder
	for _, r := range text {
		switch {
		case !overlooked(r):
			out.WriteRune(r)
		case r > '\uffff':
			out.WriteString(above(r))
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
	}
	return out.String()
}

func aboveInJSON(r rune) string {
	high, low := utf16.EncodeRune(r)
	return fmt.Sprintf(`\u%04x\u%04x`, high, low)
}

func aboveInYAML(r rune) string { return fmt.Sprintf(`\U%08X`, r) }

// encode is a value as JSON for people and programs.
func encode(w io.Writer, value any) error {
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	encoder.SetIndent("", "    ")
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return err
	}
	_, err := io.WriteString(w, escaped(text.String(), aboveInJSON))
	return err
}

// encodeYAML is a value as YAML for people and programs: what its JSON is, which is YAML
// itself, once what YAML can't have or spells in another way is escaped.
func encodeYAML(w io.Writer, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	var read any
	if err := yaml.Unmarshal([]byte(escaped(string(text), aboveInYAML)), &read); err != nil {
		return err
	}
	var out strings.Builder
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	encoder.CompactSeqIndent()
	if err := encoder.Encode(quoted(read)); err != nil {
		return err
	}
	_, err = io.WriteString(w, escaped(out.String(), aboveInYAML))
	return err
}

// quoted has texts be in double quotes in which something is to be escaped. Keys are ours.
func quoted(value any) any {
	switch value := value.(type) {
	case map[string]any:
		for key, field := range value {
			value[key] = quoted(field)
		}
	case []any:
		for i, element := range value {
			value[i] = quoted(element)
		}
	case string:
		if strings.ContainsFunc(value, overlooked) {
			return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: value, Style: yaml.DoubleQuotedStyle}
		}
	}
	return value
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
