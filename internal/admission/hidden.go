package admission

import (
	"context"
	"errors"
	"sync"
	"time"

	"k8s.io/utils/lru"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/wellknown"
)

// hiddenEvery is how often it is logged of one namespace that objects may not be read
// there: a line for each write of its workloads would hide all others.
const hiddenEvery = 10 * time.Minute

var errHidden = errors.New("no right to read it: is a RoleBinding missing?")

// maxHidden is how many kinds of namespaces are counted each by itself: more than anybody
// mends one by one. Of those beyond, the ones that were met the longest ago are forgotten.
const maxHidden = 1000

// hidden counts what may not be read, and remembers when that was logged last. It is safe for
// concurrent use.
type hidden struct {
	mutex sync.Mutex
	last  *lru.Cache // time.Time by place
}

// place is where objects of a kind may not be read.
type place struct{ resource, namespace string }

func newHidden() *hidden {
	return &hidden{last: lru.NewWithEvictionFunc(maxHidden, func(key lru.Key, _ any) {
		in := key.(place)
		unreadableObjects.DeleteLabelValues(in.resource, in.namespace)
	})}
}

// count counts an object, and says whether it is time to log that, and that it is logged now.
func (h *hidden) count(kind wellknown.Kind, namespace string, now time.Time) (due bool) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	in := place{kind.Resource(), namespace}
	last, before := h.last.Get(in)
	if due = !before || now.Sub(last.(time.Time)) >= hiddenEvery; due {
		h.last.Add(in, now)
	}
	unreadableObjects.WithLabelValues(in.resource, in.namespace).Inc()
	return due
}

// reportHidden counts what may not be read, and logs it now and then.
func (h *Handler) reportHidden(ctx context.Context, r review, targets []refs.Target) {
	for _, target := range targets {
		if h.hidden.count(target.Kind, r.namespace, time.Now()) {
			logf.FromContext(ctx).Error(errHidden, "Not serving what may not be read", "namespace", r.namespace, "source", target.String())
		}
	}
}
