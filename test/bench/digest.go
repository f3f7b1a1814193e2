package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"

	"github.com/configpin/configpin/internal/hashing"
)

// The budget of a digest.
const (
	digestRatio  = 1.2
	digestAllocs = 2
)

// digest compares the digest of a content with the hash of the same bytes.
func (b *bench) digest(context.Context) ([]row, error) {
	b.say("digest: hashing 1 MiB")
	const size, rounds = 1 << 20, 200
	value := strings.Repeat("x", size)
	content, raw := hashing.Content{Kind: "ConfigMap", Source: "app", Data: map[string]string{"key": value}}, []byte(value)
	var ours, floor samples
	for range rounds {
		_ = ours.timed(func() error { hashing.Sum(content); return nil })
		_ = floor.timed(func() error { sha256.Sum256(raw); return nil })
	}
	allocations := testing.AllocsPerRun(10, func() { hashing.Sum(content) })
	ratio := ours.ratio(floor)
	return []row{{
		what:     "digest of 1 MiB",
		measured: fmt.Sprintf("p50 %s, %.0f allocations", text(ours.median()), allocations),
		floor:    fmt.Sprintf("SHA-256 alone: p50 %s", text(floor.median())),
		ratio:    times(ratio),
		budget:   fmt.Sprintf("<= %.1fx, <= %d allocations", digestRatio, digestAllocs),
		verdict:  judge(ratio <= digestRatio && allocations <= digestAllocs),
	}}, nil
}
