package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

// pass is what a pass of the collector cost.
type pass struct {
	took       time.Duration
	rest, peak int // bytes of memory before it, and the most while it lasted
	requests   int
	busiest    int // requests in the second that had most
	metrics    map[string]float64
}

func (p pass) String() string {
	return fmt.Sprintf("%d requests, at most %d in a second, %s over %s", p.requests, p.busiest, grown(p.peak-p.rest), mib(p.rest))
}

// What the metrics of passes are called.
const (
	passSum   = "configpin_gc_pass_duration_seconds_sum"
	passCount = "configpin_gc_pass_duration_seconds_count"
)

// look is how often the metrics are looked at: serving them costs the versioner
// memory, too.
const look = time.Second

// pass waits for the end of the next pass, and returns what it cost.
func (y *yard) pass(ctx context.Context) (pass, error) {
	var p pass
	var ended time.Time
	err := wait.PollUntilContextTimeout(ctx, look, gcInterval+10*time.Minute, true, func(ctx context.Context) (bool, error) {
		metrics, err := y.metrics(ctx)
		if err != nil {
			return false, err
		}
		p.metrics, ended = metrics, time.Now()
		return metrics[passCount] > y.last.metrics[passCount], nil
	})
	if err != nil {
		return pass{}, fmt.Errorf("waiting for a pass of the garbage collector: %w", err)
	}
	for metric, value := range p.metrics {
		if strings.HasPrefix(metric, "configpin_gc_aborted_total") && value > 0 {
			return pass{}, fmt.Errorf("%s is %v: run it again", metric, value)
		}
	}
	p.took = time.Duration((p.metrics[passSum] - y.last.metrics[passSum]) * float64(time.Second))
	began := ended.Add(-p.took - look) // or up to that much later
	p.rest, p.peak = y.footprint.before(began), y.footprint.peak(began, ended)
	times, err := y.requests(began, ended)
	if err != nil {
		return pass{}, err
	}
	p.requests, p.busiest = len(times), busiest(times)
	y.last = p
	return p, nil
}

// metrics reads what the versioner says of itself.
func (y *yard) metrics(ctx context.Context) (map[string]float64, error) {
	url, err := y.configpin.HealthURL("versioner")
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/metrics", http.NoBody)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("reading metrics: %w", err)
	}
	defer response.Body.Close()
	metrics := map[string]float64{}
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		name, text, _ := strings.Cut(lines.Text(), " ")
		if value, err := strconv.ParseFloat(text, 64); err == nil {
			metrics[name] = value
		}
	}
	return metrics, lines.Err()
}

// collectorAgent is what the collector calls itself. What else the versioner does
// is for others to judge: it looks at a source when a snapshot of it goes.
const collectorAgent = "configpin-versioner-gc"

// requests returns when the collector made requests, sorted.
func (y *yard) requests(began, ended time.Time) ([]time.Time, error) {
	log, err := os.ReadFile(y.audit)
	if err != nil {
		return nil, fmt.Errorf("reading the audit log: %w", err)
	}
	var times []time.Time
	for line := range bytes.Lines(log) {
		var event struct {
			UserAgent                string
			RequestReceivedTimestamp time.Time
		}
		if err := json.Unmarshal(line, &event); err != nil {
			return nil, fmt.Errorf("reading the audit log: %w", err)
		}
		if at := event.RequestReceivedTimestamp; event.UserAgent == collectorAgent && at.After(began) && at.Before(ended) {
			times = append(times, at)
		}
	}
	slices.SortFunc(times, time.Time.Compare)
	return times, nil
}

// busiest is the most that happened in any second.
func busiest(times []time.Time) int {
	most, first := 0, 0
	for last := range times {
		for times[last].Sub(times[first]) >= time.Second {
			first++
		}
		most = max(most, last-first+1)
	}
	return most
}
