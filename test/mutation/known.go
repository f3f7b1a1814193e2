package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// known are the mutants that nobody can notice, each with the reason. In the file, a
// line at the margin describes a mutant as it is printed, without its line, and those
// below it that are indented say why.
type known struct {
	reasons map[string]string
	order   []string
}

func (k known) has(m mutant) bool {
	_, listed := k.reasons[m.String()]
	return listed
}

func readKnown(root, name string) (known, error) {
	if !filepath.IsAbs(name) {
		name = filepath.Join(root, name)
	}
	file, err := os.Open(name)
	if err != nil {
		return known{}, fmt.Errorf("reading what is known to survive: %w", err)
	}
	defer file.Close()
	list, err := parseKnown(file)
	if err != nil {
		return known{}, fmt.Errorf("reading %s: %w", name, err)
	}
	return list, nil
}

func parseKnown(from io.Reader) (known, error) {
	list := known{reasons: map[string]string{}}
	lines := bufio.NewScanner(from)
	for lines.Scan() {
		line := lines.Text()
		text := strings.TrimSpace(line)
		switch {
		case text == "", strings.HasPrefix(line, "#"):
		case text == line:
			if _, twice := list.reasons[text]; twice {
				return known{}, fmt.Errorf("%q is listed twice", text)
			}
			list.reasons[text] = ""
			list.order = append(list.order, text)
		case len(list.order) == 0:
			return known{}, fmt.Errorf("a reason stands below nothing: %q", text)
		default:
			last := list.order[len(list.order)-1]
			list.reasons[last] += text + " "
		}
	}
	for _, described := range list.order {
		if list.reasons[described] == "" {
			return known{}, fmt.Errorf("%q has no reason", described)
		}
	}
	return list, lines.Err()
}

// verdict is what came of all mutants.
type verdict struct {
	list    known
	tried   int
	survive int
	unknown int
	died    []mutant // although they are listed
}

func (v *verdict) note(m mutant, survives bool) {
	v.tried++
	switch {
	case survives && v.list.has(m):
		v.survive++
	case survives:
		v.survive++
		v.unknown++
	case v.list.has(m):
		v.died = append(v.died, m)
	}
}

// tell sums up, and returns an error where the list has to change.
func (v *verdict) tell(stdout io.Writer, packages []*subject, whole bool) error {
	fmt.Fprintf(stdout, "%d changes: tests notice %d, %d survive, %d of these are listed as equivalent\n",
		v.tried, v.tried-v.survive, v.survive, v.survive-v.unknown)
	for _, m := range v.died {
		fmt.Fprintln(stdout, "listed, but noticed:", m.located())
	}
	gone := 0
	if whole {
		gone = v.tellGone(stdout, packages)
	}
	if v.unknown > 0 || len(v.died) > 0 || gone > 0 {
		return errors.New("test a change that survives, or list it with the reason why nobody can notice it; and take off the list what doesn't belong there")
	}
	return nil
}

// tellGone tells of what is listed for packages and isn't to be found there.
func (v *verdict) tellGone(stdout io.Writer, packages []*subject) (gone int) {
	there := map[string]bool{}
	names := map[string]bool{}
	for _, p := range packages {
		names[p.name] = true
		for _, m := range p.mutants {
			there[m.String()] = true
		}
	}
	for _, described := range v.list.order {
		file, _, _ := strings.Cut(described, ":")
		if names[filepath.ToSlash(filepath.Dir(file))] && !there[described] {
			fmt.Fprintln(stdout, "listed, but not there any more:", described)
			gone++
		}
	}
	return gone
}
