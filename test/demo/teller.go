package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
)

// teller tells the story: what is done, what is seen, and whether it is so.
type teller struct {
	out       io.Writer
	folder    string // where commands run
	kubectl   string
	config    string
	namespace string
	client    kubernetes.Interface
}

func (t *teller) say(format string, args ...any) {
	fmt.Fprintf(t.out, "\n## "+format+"\n", args...)
}

// run prints a command as a person would type it, runs it in the story's
// namespace, and prints what it prints.
func (t *teller) run(ctx context.Context, command string) error {
	fmt.Fprintf(t.out, "\n$ %s\n", command)
	shell := exec.CommandContext(ctx, "/bin/sh", "-c", command)
	shell.Dir = t.folder
	shell.Env = append(os.Environ(), "KUBECONFIG="+t.config, "PATH="+filepath.Dir(t.kubectl)+string(os.PathListSeparator)+os.Getenv("PATH"))
	output, err := shell.CombinedOutput()
	for line := range strings.Lines(string(output)) {
		fmt.Fprint(t.out, "  "+line)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", command, err)
	}
	return nil
}

// patience is how long the cluster may take until it is as a check says.
const patience = 90 * time.Second

// check waits until what a claim says is so.
func (t *teller) check(ctx context.Context, claim string, so func(ctx context.Context) error) error {
	var last error
	err := wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, patience, true, func(ctx context.Context) (bool, error) {
		last = so(ctx)
		return last == nil, nil
	})
	if err != nil {
		if last == nil {
			last = err
		}
		return fmt.Errorf("it isn't so that %s: %w", claim, last)
	}
	fmt.Fprintf(t.out, "  => %s\n", claim)
	return nil
}

// steps does one after the other, until one fails.
func steps(ctx context.Context, all ...func(ctx context.Context) error) error {
	for _, step := range all {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}
