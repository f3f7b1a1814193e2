package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

// footprint is how much memory a process had, and when.
type footprint struct {
	pid   int
	field string // of its status: VmRSS, what it has, or VmHWM, what it had at most

	mutex sync.Mutex
	seen  []memoryAt
}

type memoryAt struct {
	at    time.Time
	bytes int
}

// watch looks often enough to see what Go's runtime takes and gives back.
func (f *footprint) watch(ctx context.Context) {
	wait.UntilWithContext(ctx, func(context.Context) {
		if bytes, err := resident(f.pid, f.field); err == nil { // else it has ended, and whoever waits for it will see
			f.mutex.Lock()
			defer f.mutex.Unlock()
			f.seen = append(f.seen, memoryAt{time.Now(), bytes})
		}
	}, 50*time.Millisecond)
}

// resident is what a field of a process' status tells of its resident memory, in bytes. It
// knows Linux only.
func resident(pid int, field string) (int, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == field+":" {
			kib, err := strconv.Atoi(fields[1])
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("process %d tells nothing of its memory", pid)
}

// before is the median of the seconds before a time.
func (f *footprint) before(at time.Time) int {
	const seconds = 5 * time.Second
	seen := f.between(at.Add(-seconds), at)
	if len(seen) == 0 {
		return 0
	}
	slices.Sort(seen)
	return seen[len(seen)/2]
}

func (f *footprint) peak(began, ended time.Time) int {
	return slices.Max(append(f.between(began, ended), 0))
}

func (f *footprint) between(began, ended time.Time) []int {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	var found []int
	for _, s := range f.seen {
		if s.at.After(began) && s.at.Before(ended) {
			found = append(found, s.bytes)
		}
	}
	return found
}
