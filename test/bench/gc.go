package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// The budget of a pass of the garbage collector.
const (
	passTime      = time.Minute
	passMemory    = 30 << 20
	passPerSecond = 50 // requests, in any second
)

// gc measures passes of the garbage collector: one that finds nothing to do, one
// that marks a snapshot in each namespace, and one that deletes those. The time of
// the first is compared with the time in which a plain client lists what it lists.
func (b *bench) gc(ctx context.Context) (rows []row, err error) {
	y, stop, err := b.yard(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	if err := b.stock(ctx, y); err != nil {
		return nil, err
	}
	if err := y.startCollector(ctx); err != nil {
		return nil, err
	}
	b.say("gc: the first pass, while the versioner learns what there is; the next begins %s later", gcInterval)
	if _, err := y.pass(ctx); err != nil {
		return nil, err
	}
	idle, err := b.pass(ctx, y, "finds nothing to do", map[string]float64{`configpin_snapshots{state="marked"}`: 0})
	if err != nil {
		return nil, err
	}
	var floor samples
	for range 3 {
		if err := floor.timed(func() error { return y.list(ctx) }); err != nil {
			return nil, err
		}
	}
	if err := y.stock.outgrow(ctx, y.client); err != nil {
		return nil, err
	}
	namespaces := float64(b.namespaces)
	marking, err := b.pass(ctx, y, fmt.Sprintf("marks %d", b.namespaces), map[string]float64{`configpin_snapshots{state="marked"}`: namespaces})
	if err != nil {
		return nil, err
	}
	deleting, err := b.pass(ctx, y, fmt.Sprintf("deletes %d", b.namespaces), map[string]float64{"configpin_snapshots_collected_total": namespaces})
	if err != nil {
		return nil, err
	}
	return b.gcRows(idle, marking, deleting, floor), nil
}

// pass measures the next pass, which has to leave metrics as they are wanted:
// else something else was measured.
func (b *bench) pass(ctx context.Context, y *yard, what string, want map[string]float64) (pass, error) {
	p, err := y.pass(ctx)
	if err != nil {
		return pass{}, err
	}
	b.say("gc: a pass that %s: %s, %s", what, text(p.took), p)
	for metric, value := range want {
		if got := p.metrics[metric]; got != value {
			return pass{}, fmt.Errorf("a pass that %s leaves %s at %v, not at %v", what, metric, got, value)
		}
	}
	return p, nil
}

func (b *bench) gcRows(idle, marking, deleting pass, floor samples) []row {
	took := samples{idle.took}
	return []row{
		{
			what:     fmt.Sprintf("gc pass over %d snapshots", b.snapshots),
			measured: fmt.Sprintf("%s, %d requests", text(idle.took), idle.requests),
			floor:    "listing the same: " + floor.spread(),
			ratio:    times(took.ratio(floor)),
			budget:   "<= " + text(passTime),
			verdict:  judge(idle.took <= passTime),
		},
		{
			what:     "- its memory",
			measured: fmt.Sprintf("%s, at rest %s", grown(idle.peak-idle.rest), mib(idle.rest)),
			budget:   "<= " + grown(passMemory),
			verdict:  judge(idle.rest > 0 && idle.peak-idle.rest <= passMemory), // 0 is where nobody knows
		},
		{
			what:     "- its requests in any second",
			measured: fmt.Sprintf("%d, %d where it marks, %d where it deletes", idle.busiest, marking.busiest, deleting.busiest),
			budget:   fmt.Sprintf("<= %d", passPerSecond),
			verdict:  judge(max(idle.busiest, marking.busiest, deleting.busiest) <= passPerSecond),
		},
		b.pacedRow("marks", marking),
		b.pacedRow("deletes", deleting),
	}
}

// pacedRow is about a pass that takes as long as its requests may.
func (b *bench) pacedRow(what string, p pass) row {
	return row{
		what:     fmt.Sprintf("- one that %s %d, at that pace", what, b.namespaces),
		measured: fmt.Sprintf("%s, %d requests, %s", text(p.took), p.requests, grown(p.peak-p.rest)),
		verdict:  none,
	}
}

func mib(bytes int) string   { return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20)) }
func grown(bytes int) string { return fmt.Sprintf("%+.1f MiB", float64(bytes)/(1<<20)) }
