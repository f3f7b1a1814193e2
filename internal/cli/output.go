package cli

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/cli-runtime/pkg/printers"
)

// output is how a command prints.
type output struct {
	format    string
	noHeaders bool
}

// Formats of output. Wide is a table with all its columns.
const (
	formatTable = ""
	formatWide  = "wide"
	formatJSON  = "json"
	formatYAML  = "yaml"
	formatName  = "name"
)

var formats = []string{formatJSON, formatYAML, formatWide, formatName}

func (o *output) addFlags(command *cobra.Command) {
	command.Flags().StringVarP(&o.format, "output", "o", "", "how to print: "+strings.Join(formats, ", ")+" (default: a table)")
	command.Flags().BoolVar(&o.noHeaders, "no-headers", false, "print tables without their headers")
	_ = command.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp)) // there is such a flag
}

func (o *output) check() error {
	if o.format != formatTable && !slices.Contains(formats, o.format) {
		return fmt.Errorf("--output is %q, not one of %s", o.format, strings.Join(formats, ", "))
	}
	return nil
}

// answer is what a command has to say, in all its forms.
type answer struct {
	report any      // as JSON and YAML
	names  []string // as arguments of other commands
	table  table
	after  []string // lines below the table
}

type table struct {
	columns []column
	rows    [][]string
}

// column is a column of a table. Those that aren't for everybody are wide.
type column struct {
	name  string
	wide  bool
	moves bool // with time, though nothing happens
}

func (o *output) print(w io.Writer, a answer) error {
	switch o.format {
	case formatJSON:
		return encode(w, a.report)
	case formatYAML:
		return encodeYAML(w, a.report)
	case formatName:
		return lines(w, a.names)
	}
	if len(a.table.rows) > 0 {
		printer := printers.NewTablePrinter(printers.PrintOptions{Wide: o.format == formatWide, NoHeaders: o.noHeaders})
		if err := printer.PrintObj(a.table.object(), w); err != nil {
			return err
		}
	}
	return lines(w, a.after)
}

func lines(w io.Writer, all []string) error {
	for _, line := range all {
		if _, err := fmt.Fprintln(w, clean(line)); err != nil {
			return err
		}
	}
	return nil
}

func (t table) object() *metav1.Table {
	object := &metav1.Table{}
	for _, c := range t.columns {
		definition := metav1.TableColumnDefinition{Name: c.name, Type: "string"}
		if c.wide {
			definition.Priority = 1
		}
		object.ColumnDefinitions = append(object.ColumnDefinitions, definition)
	}
	for _, row := range t.rows {
		cells := make([]any, len(row))
		for i, text := range row {
			cells[i] = cell(text)
		}
		object.Rows = append(object.Rows, metav1.TableRow{Cells: cells})
	}
	return object
}

// none is what a table says where there is nothing.
const none = "<none>"

func orNone(text string) string {
	if text == "" {
		return none
	}
	return text
}

// number is a revision in a table: one that nobody has given is a dash.
func number(revision int) string {
	if revision == 0 {
		return "-"
	}
	return fmt.Sprint(revision)
}

// age is how long ago something was, as kubectl says it.
func age(at, now time.Time) string {
	if at.IsZero() {
		return "<unknown>"
	}
	return duration.HumanDuration(now.Sub(at))
}

// Colours, as terminals understand them (ECMA-48, SGR).
const (
	red    = "\x1b[31m"
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
	cyan   = "\x1b[36m"
	bold   = "\x1b[1m"
	plain  = "\x1b[0m"
)

// coloured says whether what is printed may have colours: on a terminal, unless
// somebody doesn't want them (no-color.org).
func (p *program) coloured() bool {
	out, ok := p.Out.(*os.File)
	return ok && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(out.Fd()))
}

// paint is text in a colour, where there may be some.
func paint(on bool, colour, text string) string {
	if !on || text == "" {
		return text
	}
	return colour + text + plain
}
