package oracle

import (
	"slices"
	"strconv"

	"github.com/configpin/configpin/internal/wellknown"
)

// behind are the sources whose current snapshot hasn't the highest number, and
// the workloads that don't name it, although nobody holds them.
func behind(r *record, rules Rules) []Violation {
	w := r.replay(nil)
	var found []Violation
	for _, f := range w.sorted() {
		switch {
		case f.isKept() && !rules.unkept(f.Kind, f.Name):
			if source, is := r.source(w, f.Kind, f.Name); is && !r.numbered(w, source) {
				found = append(found, breach(f, "what it holds isn't its highest revision"))
			}
		case f.isWorkload() && f.Kind != "Job" && f.follows(w):
			found = append(found, r.refsBehind(w, f, rules)...)
		}
	}
	return found
}

// numbered says whether what a source holds is its highest revision.
func (r *record) numbered(w *world, source Fact) bool {
	highest := 0
	for _, kept := range r.snapshotsOf(w, source.Kind, source.Name) {
		highest = max(highest, revision(kept))
	}
	return slices.ContainsFunc(r.current(w, source), func(f Fact) bool { return highest > 0 && revision(f) == highest })
}

// revision is 0 until the snapshot has one that counts.
func revision(kept Fact) int {
	number, err := strconv.Atoi(kept.Annotations[wellknown.Revision])
	if err != nil || number > highestRevision {
		return 0
	}
	return number
}

// highestRevision is the highest number that counts.
const highestRevision = 2147483647

// follows says whether a workload rolls out what its sources hold: it says so, or
// its namespace does and it doesn't say otherwise.
func (f Fact) follows(w *world) bool {
	enabled, says := f.Labels[wellknown.Enabled]
	if !says {
		namespace, _ := w.at(key("Namespace", f.Namespace))
		enabled = namespace.Labels[wellknown.Enabled]
	}
	_, manual := f.Labels[wellknown.Rollout] // or something that nobody understands
	return enabled == wellknown.True && !manual
}

func (r *record) refsBehind(w *world, f Fact, rules Rules) []Violation {
	var found []Violation
	for _, ref := range f.Refs {
		named, there := w.at(ref.String())
		if !there {
			continue // another invariant
		}
		name := ref.Name
		if r.kept[named.UID] {
			name = named.Annotations[wellknown.Source]
		}
		source, is := r.source(w, ref.Kind, name)
		if !is || rules.unkept(ref.Kind, name) || slices.Contains(f.Template.Exclude, key(ref.Kind, name)) || slices.Contains(f.Template.Loose, ref.String()) {
			continue
		}
		if !r.follows(w, f, named, source) {
			found = append(found, breach(f, "names %s, which is neither what %s holds nor held", ref.Name, name))
		}
	}
	return found
}

// follows says whether a workload names what a source holds, or another snapshot
// of it although it was offered that.
func (r *record) follows(w *world, f, named, source Fact) bool {
	for _, current := range r.current(w, source) {
		held := r.kept[named.UID] && abbreviates(f.Labels[observedLabel(source.Kind, source.Name)], current.suffix())
		if named.UID == current.UID || held {
			return true
		}
	}
	return false
}
