// Package tenants shows that our programs' memory doesn't depend on what tenants put
// into their sources, and that one tenant's load is nobody else's trouble: the real
// programs run on a real control plane, and one namespace has many sources, of which
// some are as large as they can be, while another one goes about its business.
//
// It is separate from test/conformance because it looks at the programs and not at the
// cluster, and because what it measures would be that suite's load as well. How fast
// things are is for test/bench.
package tenants

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// load is what the tenant has.
type load struct {
	large, small int           // sources
	patience     time.Duration // until all are kept
}

// loads are those that CONFIGPIN_TENANTS can ask for. "large" is more than an API server
// on two cores bears: with their copies these are GiBs, and etcd takes 2 by default.
var loads = map[string]load{
	"":      {large: 60, small: 1_000, patience: 10 * time.Minute},
	"large": {large: 700, small: 200, patience: time.Hour},
	"many":  {large: 60, small: 10_000, patience: time.Hour},
}

func ofTenant(t *testing.T) load {
	t.Helper()
	asked := os.Getenv("CONFIGPIN_TENANTS")
	require.Contains(t, loads, asked, "CONFIGPIN_TENANTS is none of these")
	return loads[asked]
}

const (
	// largest is nearly the MiB that a ConfigMap can hold.
	largest = 1_000_000

	// patience is that of test/conformance: a change takes a second or two.
	patience = 90 * time.Second
)

// allowed is how many MiB more memory a program may need for large contents than for
// small ones at its busiest, whatever their number. Of each object that is under way it has, of up
// to a MiB each, the answer of the API server, the object, and the request that makes
// the snapshot, with a buffer that grew to up to twice that: 5. Go collects garbage
// when the heap is twice what is in use: 10. So many are under way at a time:
var allowed = map[string]int{
	"versioner": 16 * 10, // its --concurrency
	"webhook":   16 * 10, // maxKeeping in internal/cluster, while fewer than that are read
}

// left is how many MiB more a program may still have in use once nothing is under way:
// what is in buffers and pools. All contents of the least load are 57, and would fit
// into what is allowed while it works.
const left = 15

// TestMemoryDoesNotDependOnContents plays the same tenant twice, with a KiB and with
// a MB in each large source. CONFIGPIN_TENANTS=large plays one with 700 large sources
// instead of 60, and CONFIGPIN_TENANTS=many one with 10,000 small ones instead of 1,000.
func TestMemoryDoesNotDependOnContents(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a control plane")
	}
	l := newLab(t)
	little := l.round(t, "little", 1_000)
	much := l.round(t, "much", largest)
	for program, more := range allowed {
		t.Run(fmt.Sprintf("the %s needs at most %d MiB more for large contents", program, more), func(t *testing.T) {
			assert.LessOrEqual(t, much[program].peak, little[program].peak+more)
		})
		t.Run(fmt.Sprintf("the %s keeps at most %d MiB more of large contents", program, left), func(t *testing.T) {
			assert.LessOrEqual(t, much[program].left, little[program].left+left)
		})
	}
}
