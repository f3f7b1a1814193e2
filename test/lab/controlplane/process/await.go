package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

const (
	// checkInterval trades the speed of starting for a little CPU.
	checkInterval = 50 * time.Millisecond
	// checkTimeout keeps one answer that never comes from using up the whole wait.
	checkTimeout = 5 * time.Second
	// tailLines is how much of a log an error carries: the reason is near the end, among the noise of giving up.
	tailLines = 15
)

// ErrEnded says that a process ended while somebody waited for it.
var ErrEnded = errors.New("it has ended")

// Await repeats a check until it succeeds, the process has ended, or the context is done. Its errors carry the end of
// the log.
func (p *Process) Await(ctx context.Context, check func(context.Context) error) error {
	retry := time.NewTicker(checkInterval)
	defer retry.Stop()
	for {
		limited, cancel := context.WithTimeout(ctx, checkTimeout)
		err := check(limited)
		cancel()
		if err == nil {
			return nil
		}
		if !p.Running() {
			return p.notReady(ErrEnded)
		}
		select {
		case <-retry.C:
		case <-ctx.Done():
			return p.notReady(fmt.Errorf("%w: %w", context.Cause(ctx), err))
		}
	}
}

func (p *Process) notReady(err error) error {
	return fmt.Errorf("waiting for %s: %w; its log %s ends with:\n%s", p.Name, err, p.LogFile(), p.LogTail(tailLines))
}

// AnswersOK is a check for Await: a GET of the URL is answered with 200.
func AnswersOK(client *http.Client, url string) func(context.Context) error {
	return func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
		if err != nil {
			return err
		}
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		_, _ = io.Copy(io.Discard, response.Body) // so that the connection is used again
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("GET %s: %s", url, response.Status)
		}
		return nil
	}
}
