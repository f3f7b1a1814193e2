package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"
)

// row is a line of the table: what was measured, and what it may be.
type row struct {
	what, measured, floor, ratio, budget string
	verdict                              verdict
}

type verdict string

// The verdicts. A row without a budget has none.
const (
	within verdict = "ok"
	over   verdict = "over"
	none   verdict = "-"
)

func judge(fits bool) verdict {
	if fits {
		return within
	}
	return over
}

func report(out io.Writer, rows []row) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "WHAT\tMEASURED\tFLOOR\tRATIO\tBUDGET\tVERDICT")
	for _, r := range rows {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", r.what, r.measured, r.floor, r.ratio, r.budget, r.verdict)
	}
	return table.Flush()
}

// samples are times that the same thing took.
type samples []time.Duration

// at returns the time that a share of the samples don't exceed.
func (s samples) at(share float64) time.Duration {
	if len(s) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s))
	return sorted[min(len(sorted)-1, int(share*float64(len(sorted))))]
}

func (s samples) median() time.Duration { return s.at(0.5) }
func (s samples) p99() time.Duration    { return s.at(0.99) }

func (s samples) String() string {
	return fmt.Sprintf("p50 %s, p99 %s", text(s.median()), text(s.p99()))
}

// spread is how few samples are told: by what they lie between. A floor that
// varies more than the budget allows tells of the machine, not of configpin.
func (s samples) spread() string {
	return fmt.Sprintf("p50 %s (%s to %s)", text(s.median()), text(s.at(0)), text(s.at(1)))
}

func (s samples) ratio(floor samples) float64 {
	return float64(s.median()) / float64(floor.median())
}

// text is a time with as many digits as a noisy machine supports.
func text(d time.Duration) string {
	switch {
	case d >= time.Second:
		return fmt.Sprintf("%.2f s", d.Seconds())
	case d >= 10*time.Millisecond:
		return fmt.Sprintf("%.1f ms", d.Seconds()*1e3)
	default:
		return fmt.Sprintf("%.3f ms", d.Seconds()*1e3)
	}
}

func times(ratio float64) string { return fmt.Sprintf("%.2fx", ratio) }

// timed adds how long f takes to s.
func (s *samples) timed(f func() error) error {
	began := time.Now()
	err := f()
	*s = append(*s, time.Since(began))
	return err
}
