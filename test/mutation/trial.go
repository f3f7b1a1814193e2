package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// trial tries the mutants of one package.
type trial struct {
	root    string
	subject *subject

	stdout, stderr io.Writer

	dir      string // for what is built
	programs []program
}

// program is a suite, built with all mutants of a package.
type program struct {
	suite
	file    string
	took    time.Duration
	reached map[int]bool
}

func (t *trial) run(ctx context.Context, suites []suite, v *verdict) error {
	if len(t.subject.chosen) == 0 {
		return nil
	}
	dir, err := os.MkdirTemp("", "configpin-mutation")
	if err != nil {
		return fmt.Errorf("making a folder: %w", err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // what is left of it is in the folder for what may be lost
	t.dir = dir
	began := time.Now()
	if err := t.build(ctx, concerned(suites, t.subject.path)); err != nil {
		return err
	}
	fmt.Fprintf(t.stderr, "%s: %d changes; %d packages of tests, built and run once in %s\n",
		t.subject.name, len(t.subject.chosen), len(t.programs), time.Since(began).Round(time.Second))
	return t.tryAll(ctx, v)
}

// build makes the programs, and sees each pass without any mutant.
func (t *trial) build(ctx context.Context, suites []suite) error {
	overlay, err := t.writeOverlay()
	if err != nil {
		return err
	}
	for i, s := range suites {
		p := program{suite: s, file: filepath.Join(t.dir, fmt.Sprintf("%d.test", i))}
		if _, err := goCommand(ctx, t.root, "test", "-c", "-p", "1", "-vet=off", "-overlay", overlay, "-o", p.file, s.path); err != nil {
			return err
		}
		if _, err := os.Stat(p.file); errors.Is(err, os.ErrNotExist) {
			continue // it has no tests
		}
		if err := t.reach(ctx, &p); err != nil {
			return err
		}
		t.programs = append(t.programs, p)
	}
	return nil
}

// writeOverlay writes what the compiler reads in the place of the package's files.
func (t *trial) writeOverlay() (path string, err error) {
	replace := map[string]string{}
	for name, content := range t.subject.overlay {
		file := filepath.Join(t.dir, filepath.Base(name))
		if err := os.WriteFile(file, content, 0o600); err != nil {
			return "", fmt.Errorf("writing a changed file: %w", err)
		}
		replace[name] = file
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", fmt.Errorf("writing the overlay: %w", err)
	}
	path = filepath.Join(t.dir, "overlay.json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return "", fmt.Errorf("writing the overlay: %w", err)
	}
	return path, nil
}

// allowed is how long tests may take that take no time to speak of.
const allowed = 10 * time.Second

// reach runs a program without a mutant, and notes which it comes by.
func (t *trial) reach(ctx context.Context, p *program) error {
	log := p.file + ".reached"
	began := time.Now()
	out, err := p.run(ctx, 10*time.Minute, logVariable+"="+log)
	if err != nil {
		return fmt.Errorf("testing %s without any change: %w\n%s", p.path, err, out)
	}
	p.took, p.reached = time.Since(began), map[int]bool{}
	raw, err := os.ReadFile(log)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("reading what %s reaches: %w", p.path, err)
	}
	for line := range strings.Lines(string(raw)) {
		id, err := strconv.Atoi(strings.TrimSpace(line))
		if err != nil {
			return fmt.Errorf("reading what %s reaches: %w", p.path, err)
		}
		p.reached[id] = true
	}
	return nil
}

// maxMemory is how many KiB of address space a program may have: a mutant can let a
// slice grow without end. A shell that knows no such limit goes on without.
const maxMemory = 4 << 20

// run runs the tests for a time at most. An error that isn't one of ctx means that they
// fail.
func (p *program) run(ctx context.Context, limit time.Duration, environment string) (output []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	script := fmt.Sprintf(`ulimit -v %d 2>/dev/null; exec "$@"`, maxMemory)
	command := exec.CommandContext(ctx, "sh", append([]string{"-c", script, "sh", p.file}, p.flags()...)...)
	command.Dir, command.Env = p.dir, append(os.Environ(), environment)
	command.WaitDelay = time.Second
	var out bytes.Buffer
	command.Stdout, command.Stderr = &out, &out
	err = command.Run()
	return out.Bytes(), err
}

// toldEvery is the time between two lines about how far it is.
const toldEvery = 15 * time.Second

func (t *trial) tryAll(ctx context.Context, v *verdict) error {
	told := time.Now()
	for i, m := range t.subject.chosen {
		survives, reached, err := t.try(ctx, m)
		if err != nil {
			return err
		}
		v.note(m, survives)
		if survives && !v.list.has(m) {
			note := ""
			if !reached {
				note = " (no test comes by)"
			}
			fmt.Fprintln(t.stdout, m.located()+note)
		}
		if time.Since(told) >= toldEvery {
			told = time.Now()
			fmt.Fprintf(t.stderr, "%s: %d of %d tried, %d survive so far\n", t.subject.name, i+1, len(t.subject.chosen), v.survive)
		}
	}
	return nil
}

// try says whether a mutant survives all tests, and whether any came by.
func (t *trial) try(ctx context.Context, m mutant) (survives, reached bool, err error) {
	for _, p := range t.programs {
		if !p.reached[m.id] {
			continue
		}
		reached = true
		_, failed := p.run(ctx, allowed+5*p.took, fmt.Sprintf("%s=%d", chosenVariable, m.id))
		if ctx.Err() != nil {
			return false, false, ctx.Err()
		}
		if failed != nil {
			return false, true, nil //nolint:nilerr // that its tests fail is the answer
		}
	}
	return true, reached, nil
}
