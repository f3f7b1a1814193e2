package oracle

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/configpin/configpin/internal/wellknown"
)

// History is what is known of a namespace.
type History struct {
	Namespace string
	Facts     []Fact  // in any order
	Audit     []Entry // in the order of the log; of this namespace
	Audited   bool    // there is an audit log
	Gaps      []Gap
	Holds     []Hold // in the order of the requests that made them

	// Others are the names of the other namespaces that are watched.
	Others []string
}

// record is a History, prepared for replaying.
type record struct {
	History
	kept map[string]bool // UIDs of snapshots
}

func prepare(h History) *record {
	h.Facts = slices.Clone(h.Facts)
	slices.SortStableFunc(h.Facts, func(a, b Fact) int { return cmp.Compare(a.Revision, b.Revision) })
	if end := slices.IndexFunc(h.Facts, func(f Fact) bool { return f.Kind == "Namespace" && (f.Terminating || f.Gone) }); end >= 0 {
		h.Facts = h.Facts[:end]
	}
	if len(h.Facts) > 0 {
		began := h.Facts[0].Revision
		h.Gaps = slices.DeleteFunc(slices.Clone(h.Gaps), func(g Gap) bool { return g.Until <= began })
	}
	r := &record{History: h, kept: map[string]bool{}}
	seen := map[string]bool{}
	for _, f := range h.Facts {
		if f.isKept() && !seen[f.UID] {
			seen[f.UID] = true
			r.kept[f.UID] = f.verified() || r.madeByUs(f)
		}
	}
	return r
}

// madeByUs says whether one of our programs created an object: one that others
// created under the same name, too, may be theirs.
func (r *record) madeByUs(f Fact) bool {
	if !r.Audited {
		return f.Manager == wellknown.FieldManager
	}
	byUs, byOthers := false, false
	for _, e := range r.Audit {
		if e.Verb == "create" && e.Resource == f.resource() && e.Name == f.Name && e.wrote() {
			byUs, byOthers = byUs || e.ours(), byOthers || !e.ours()
		}
	}
	return byUs && !byOthers
}

// world is what there is at one moment.
type world struct {
	objects map[string]Fact   // by UID
	named   map[string]string // UID, by kind and name
}

// replay shows each fact, in order, with the world right before it, and returns
// the world after all of them.
func (r *record) replay(visit func(w *world, f Fact)) *world {
	w := &world{map[string]Fact{}, map[string]string{}}
	for _, f := range r.Facts {
		if visit != nil {
			visit(w, f)
		}
		w.apply(f)
	}
	return w
}

func (w *world) apply(f Fact) {
	at := key(f.Kind, f.Name)
	if !f.Gone {
		w.objects[f.UID], w.named[at] = f, f.UID
		return
	}
	delete(w.objects, f.UID)
	if w.named[at] == f.UID {
		delete(w.named, at)
	}
}

func key(kind, name string) string { return strings.ToLower(kind) + "/" + name }

// at is what has this key, as in "configmap/app".
func (w *world) at(key string) (Fact, bool) {
	uid, there := w.named[key]
	return w.objects[uid], there
}

// sorted are the objects by kind and name, so that what is said of them is in
// order.
func (w *world) sorted() []Fact {
	return slices.SortedFunc(maps.Values(w.objects), func(a, b Fact) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name), cmp.Compare(a.UID, b.UID))
	})
}

// users are the objects that name something.
func (w *world) users(key string) []Fact {
	var found []Fact
	for _, f := range w.sorted() {
		if slices.ContainsFunc(f.Refs, func(r Ref) bool { return r.String() == key }) {
			found = append(found, f)
		}
	}
	return found
}

// isKept says whether an object is of a kind whose contents are kept.
func (f Fact) isKept() bool { return f.Kind == configMap || f.Kind == secret }

// resource is what the kind of such an object is called in paths.
func (f Fact) resource() string { return strings.ToLower(f.Kind) + "s" }

// neverKept are the types of Secrets that aren't, whatever somebody writes on them.
var neverKept = []string{"kubernetes.io/service-account-token", "bootstrap.kubernetes.io/token", "helm.sh/release.v1"}

// source is an object whose contents are to be kept, or false.
func (r *record) source(w *world, kind, name string) (Fact, bool) {
	f, there := w.at(key(kind, name))
	return f, there && !r.kept[f.UID] && f.Annotations[wellknown.Versioned] == wellknown.True && !slices.Contains(neverKept, f.Type)
}

// snapshotsOf are the snapshots of a source that are there.
func (r *record) snapshotsOf(w *world, kind, source string) []Fact {
	var found []Fact
	for _, f := range w.sorted() {
		if r.kept[f.UID] && f.Kind == kind && f.Annotations[wellknown.Source] == source {
			found = append(found, f)
		}
	}
	return found
}

// workloads are the kinds whose templates are pinned.
var workloads = []string{"Deployment", "StatefulSet", "DaemonSet", "CronJob", "Job"}

func (f Fact) isWorkload() bool { return slices.Contains(workloads, f.Kind) }

// String is as in "Deployment web".
func (f Fact) String() string { return f.Kind + " " + f.Name }
