package admission

import (
	"context"
	"errors"
	"sync"
	"time"

	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/configpin/configpin/internal/refs"
)

// hiddenEvery is how often it is logged of one namespace that objects may not be read
// there: a line for each write of its workloads would hide all others.
const hiddenEvery = 10 * time.Minute

var errHidden = errors.New("no right to read it: is a RoleBinding missing?")

// told remembers when something was logged last.
type told struct {
	mutex sync.Mutex
	last  map[string]time.Time
}

// due says whether it is time to log something again, and that it is logged now.
func (t *told) due(key string, now time.Time) bool {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if last, before := t.last[key]; before && now.Sub(last) < hiddenEvery {
		return false
	}
	if t.last == nil {
		t.last = map[string]time.Time{}
	}
	t.last[key] = now
	return true
}

// reportHidden counts what may not be read, and logs it now and then.
func (h *Handler) reportHidden(ctx context.Context, r review, hidden []refs.Target) {
	for _, target := range hidden {
		unreadableObjects.WithLabelValues(target.Kind.Resource(), r.namespace).Inc()
		if h.told.due(target.Kind.Resource()+"/"+r.namespace, time.Now()) {
			logf.FromContext(ctx).Error(errHidden, "Not serving what may not be read", "namespace", r.namespace, "source", target.String())
		}
	}
}
