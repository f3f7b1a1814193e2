//go:build !faults

package serve

import "k8s.io/client-go/rest"

// addFaults does nothing in a program that people run.
func addFaults(*rest.Config) {}
