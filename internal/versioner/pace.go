package versioner

import (
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/configpin/configpin/internal/cluster"
)

// Options are what an operator can choose.
type Options struct {
	// Burst is how many contents of a source are kept however soon one comes after
	// another, and Every the time after which one more is. What somebody writes a
	// hundred times a second would fill the cluster with snapshots otherwise.
	Burst int
	Every time.Duration
}

// pace bounds how fast the contents of each source are kept.
type pace struct {
	mutex    sync.Mutex
	limiters map[cluster.Key]*rate.Limiter
	told     map[cluster.Key]bool
	enough   int // limiters, from which on it is looked which aren't needed
}

// wait is how long a source has to wait until another content of it may be kept.
// news says that it didn't have to wait the last time.
func (p *pace) wait(o Options, source cluster.Key, now time.Time) (wait time.Duration, news bool) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	limiter, known := p.limiters[source]
	if !known {
		return 0, false
	}
	missing := 1 - limiter.TokensAt(now)
	if missing <= 0 {
		delete(p.told, source)
		return 0, false
	}
	news = !p.told[source]
	p.told[source] = true
	return time.Duration(missing * float64(o.Every)), news
}

// spend notes that a content was kept.
func (p *pace) spend(o Options, source cluster.Key, now time.Time) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.limiters == nil {
		p.limiters, p.told = map[cluster.Key]*rate.Limiter{}, map[cluster.Key]bool{}
	}
	if p.limiters[source] == nil {
		p.prune(o, now)
		p.limiters[source] = rate.NewLimiter(rate.Every(o.Every), o.Burst)
	}
	p.limiters[source].AllowN(now, 1)
}

// fewLimiters are so few that it isn't looked which aren't needed.
const fewLimiters = 1000

// prune forgets sources that have all their burst again. It looks once they are twice
// as many as were needed the last time, so that all looks together cost little.
func (p *pace) prune(o Options, now time.Time) {
	if len(p.limiters) < max(p.enough, fewLimiters) {
		return
	}
	for source, limiter := range p.limiters {
		if limiter.TokensAt(now) >= float64(o.Burst) {
			delete(p.limiters, source)
			delete(p.told, source)
		}
	}
	p.enough = 2 * len(p.limiters)
}
