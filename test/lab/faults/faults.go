// Package faults has a program fail, or do what it must never do, as the environment asks for:
// it stands between the program and the API server. It is linked into builds with the tag
// faults alone, by the one file of each program that has it.
//
// It deliberately knows nothing of what programs do: it sees requests.
package faults

import (
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"

	"k8s.io/client-go/rest"
)

// Environment variables of a program that was built to fail. Calls are counted
// from 1; watches, and what leader election and events cost, don't count.
const (
	envExitBefore = "CONFIGPIN_EXIT_BEFORE_CALL"
	envExitAfter  = "CONFIGPIN_EXIT_AFTER_CALL"
)

// exitFault is the exit code of a program that failed as it was told to.
const exitFault = 86

// Between makes the program exit right before or after one of its calls of
// the API server, without any of its deferred work: as if it was killed there.
func Between(config *rest.Config) {
	before, after := numberIn(envExitBefore), numberIn(envExitAfter)
	var calls atomic.Int64
	addSabotage(config)
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(request *http.Request) (*http.Response, error) {
			if !counts(request) {
				return next.RoundTrip(request)
			}
			call := calls.Add(1)
			exitAt(before, call, request)
			response, err := next.RoundTrip(request)
			exitAt(after, call, request)
			return response, err
		})
	})
}

func numberIn(variable string) int64 {
	number, _ := strconv.ParseInt(os.Getenv(variable), 10, 64) // unset means never
	return number
}

func counts(request *http.Request) bool {
	path := request.URL.Path
	return strings.Contains(path, "/namespaces/") && !request.URL.Query().Has("watch") &&
		!strings.Contains(path, "/leases") && !strings.HasSuffix(path, "/events") && !strings.Contains(path, "/events/")
}

func exitAt(number, call int64, request *http.Request) {
	if number == call {
		fmt.Fprintf(os.Stderr, "fault: exit at call %d, %s %s\n", call, request.Method, request.URL.Path)
		os.Exit(exitFault) //nolint:revive // it is killed here
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return f(request) }
