// Reader says which config it reads: variables of its environment and files, as one line of JSON on standard output,
// when it starts and whenever that changes. It runs in a container of a test, which reads its log.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

const usage = `Says which config it reads, as a line of JSON, when it starts and whenever that changes.

Usage:
  reader PLACE...             a place is a variable of the environment, or, with a slash in it, a file
  reader --isnt NAME=VALUE    only fail if the variable has this value: a probe

Examples:
  reader COLOUR /config/colour
  reader --isnt COLOUR=broken
`

// interval is how soon a change is seen.
const interval = 200 * time.Millisecond

func main() {
	if len(os.Args) == 3 && os.Args[1] == "--isnt" {
		os.Exit(probe(os.Args[2]))
	}
	if len(os.Args) < 2 || strings.HasPrefix(os.Args[1], "-") {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := watch(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "reader:", err)
		os.Exit(1) //nolint:gocritic // nothing is left to stop
	}
}

func probe(unwanted string) (exitCode int) {
	name, value, _ := strings.Cut(unwanted, "=")
	if os.Getenv(name) == value {
		return 1
	}
	return 0
}

// watch says what it reads until the context ends.
func watch(ctx context.Context, places []string, out io.Writer) error {
	look := time.NewTicker(interval)
	defer look.Stop()
	var said []byte
	for {
		now, err := json.Marshal(read(places))
		if err != nil {
			return err
		}
		if !bytes.Equal(now, said) {
			if _, err := fmt.Fprintf(out, "%s\n", now); err != nil {
				return err
			}
			said = now
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// read returns what is in each place. One that isn't there is null.
func read(places []string) map[string]*string {
	found := map[string]*string{}
	for _, place := range places {
		found[place] = nil
		if !strings.Contains(place, "/") {
			if value, set := os.LookupEnv(place); set {
				found[place] = &value
			}
			continue
		}
		if content, err := os.ReadFile(place); err == nil {
			value := string(content)
			found[place] = &value
		}
	}
	return found
}
