package gc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/retention"
	"github.com/configpin/configpin/internal/snapshot"
)

// survey is what a look at everything has found.
type survey struct {
	tally    tally
	suspects []suspect // by namespace
}

// suspect is a source about whose snapshots something may have to be done. That
// is by their metadata alone; before anything is done, they are looked at closely.
type suspect struct {
	source  cluster.Key
	used    map[string]bool // names of the namespace's snapshots
	collect bool            // some may have to be deleted
}

// survey looks at everything. What it concludes is enough to mark snapshots, but
// not to delete them: when it is through, it may be a minute old. Namespaces that can't
// be looked at are left out and told of, unless they are too many in a row.
func (c *Collector) survey(ctx context.Context) (found survey, leftOut, err error) {
	all := survey{tally: tally{states: map[retention.State]int{}}}
	var failures streak
	for counted, err := range c.Census.Spaces(ctx) {
		tooMany := failures.isLong(err)
		if err != nil {
			if counted.Namespace == "" || tooMany {
				return survey{}, leftOut, c.abort(ctx, err)
			}
			leftOut = errors.Join(leftOut, c.abort(ctx, fmt.Errorf("looking at namespace %s: %w", counted.Namespace, err)))
			continue
		}
		used := usedIn(counted)
		for _, f := range sorted(familiesOf(counted)) {
			c.judge(f, used, &all)
		}
	}
	if err := c.checkClock(); err != nil {
		return survey{}, leftOut, c.abort(ctx, err)
	}
	c.seen.forget()
	return all, leftOut, nil
}

func sorted(families map[cluster.Key]*family) []*family {
	return slices.SortedFunc(maps.Values(families), func(a, b *family) int {
		return cmp.Compare(a.key.String(), b.key.String())
	})
}

// judge counts a family, and says whether it has to be looked at closely.
func (c *Collector) judge(f *family, used map[string]bool, all *survey) {
	suspected := suspect{source: f.key, used: used}
	something := false
	for i, verdict := range c.decide(f, used) {
		all.tally.states[verdict.State]++
		all.tally.bytes += snapshot.Size(f.snapshots[i].Object)
		something = something || verdict.Action != retention.Keep
		suspected.collect = suspected.collect || verdict.Action == retention.Collect
	}
	if something {
		all.suspects = append(all.suspects, suspected)
	}
}
