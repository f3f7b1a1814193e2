package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// mutant is one small change of a package.
type mutant struct {
	id   int // in its package, from 1 on
	file string
	line int

	// in is the function, or the variable, that is changed.
	in string

	// change says what becomes of what. Where the same change can be made in several
	// places of a function, nth tells them apart.
	change string
	nth    int
}

// String describes a mutant so that it stays the same while lines move.
func (m mutant) String() string {
	text := fmt.Sprintf("%s: %s: %s", m.file, m.in, m.change)
	if m.nth > 1 {
		text += fmt.Sprintf(" (%d)", m.nth)
	}
	return text
}

// located is a mutant with its line, as editors like to find it.
func (m mutant) located() string {
	return strings.Replace(m.String(), ":", fmt.Sprintf(":%d:", m.line), 1)
}

// textLimit is how many characters of a piece of the program are shown.
const textLimit = 90

// squeezed is a piece of the program in one line, cut in the middle where it is long.
func squeezed(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if len(text) <= textLimit {
		return text
	}
	return text[:textLimit/2] + "..." + text[len(text)-textLimit/2:]
}

// insertion is text that is woven into a file, in front of a piece of it or behind.
type insertion struct {
	offset int
	behind bool
	order  int
	text   string
}

// weave returns a file with all insertions. Those around the same piece are nested
// in the order in which they were asked for, the first outermost.
func weave(source []byte, insertions []insertion) []byte {
	slices.SortFunc(insertions, func(a, b insertion) int {
		if a.offset != b.offset {
			return cmp.Compare(a.offset, b.offset)
		}
		if a.behind != b.behind {
			if a.behind { // what ends here ends before anything begins
				return -1
			}
			return 1
		}
		if a.behind {
			return cmp.Compare(b.order, a.order)
		}
		return cmp.Compare(a.order, b.order)
	})
	var woven []byte
	at := 0
	for _, i := range insertions {
		woven = append(woven, source[at:i.offset]...)
		woven = append(woven, i.text...)
		at = i.offset
	}
	return append(woven, source[at:]...)
}

// switchboard is what turns mutants on, as a file of the package that is changed.
const switchboard = `package %s

import (
	"fmt"
	"os"
	"strconv"
	"sync/atomic"
)

var (
	mutationChosen, _ = strconv.Atoi(os.Getenv(%q))
	mutationLog       = os.Getenv(%q)
	mutationReached   [%d]atomic.Bool
)

func mutationOn(id int) bool {
	if mutationLog != "" && !mutationReached[id].Swap(true) {
		if f, err := os.OpenFile(mutationLog, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600); err == nil {
			fmt.Fprintln(f, id)
			f.Close()
		}
	}
	return id == mutationChosen
}

func mutationLeftOut[T any](id int, value T) T {
	if mutationOn(id) {
		var none T
		return none
	}
	return value
}

func mutationSwapped[S ~[]E, E any](first int, rows S) S {
	for i := range len(rows) - 1 {
		if mutationOn(first + i) {
			rows[i], rows[i+1] = rows[i+1], rows[i]
		}
	}
	return rows
}
`

// What the switchboard reads.
const (
	chosenVariable = "CONFIGPIN_MUTANT"
	logVariable    = "CONFIGPIN_MUTANTS_REACHED"
)
