package pin

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/wellknown"
	"github.com/configpin/configpin/internal/workload"
)

// state is a written object as the rules see it: its refs and our keys, read.
type state struct {
	object   workload.Object
	refs     []refs.Ref
	pins     map[refs.Target]string      // source to snapshot
	sources  map[refs.Target]refs.Target // snapshot to source: pins, the other way round
	excluded map[refs.Target]bool
	named    map[refs.Target]bool // by refs
}

func read(o workload.Object, found []refs.Ref) state {
	s := state{
		object:   o,
		refs:     found,
		pins:     ParsePins(o.Template.Annotations[wellknown.Pins]),
		sources:  map[refs.Target]refs.Target{},
		excluded: map[refs.Target]bool{},
		named:    map[refs.Target]bool{},
	}
	for _, ref := range found {
		s.named[ref.Target] = true
	}
	for source, name := range s.pins {
		s.sources[refs.Target{Kind: source.Kind, Name: name}] = source
	}
	targets, _ := parseExclude(o.Template.Annotations[wellknown.Exclude])
	for _, target := range targets {
		s.excluded[target] = true
	}
	return s
}

func (s state) observed(source refs.Target) string {
	return s.object.Labels[snapshot.ObservedLabel(source.Kind, source.Name)]
}

// ofOtherKeys are the snapshots of Secrets that the object was offered last, where the
// digest of what the source holds doesn't say whether it is that: it may be by
// another key.
func (s state) ofOtherKeys(facts Facts) []refs.Target {
	var offered []refs.Target
	for _, ref := range s.refs {
		source := ref.Target
		if of, pinned := s.sources[ref.Target]; pinned {
			source = of
		} else if fact := facts[ref.Target]; fact.Role == Snapshot {
			source.Name = fact.Of
		}
		suffix := s.observed(source)
		if source.Kind == wellknown.Secret && facts[source].Role == Source && suffix != "" && !facts[source].holds(suffix) {
			offered = append(offered, refs.Target{Kind: source.Kind, Name: snapshot.Name(source.Name, suffix)})
		}
	}
	return offered
}

// ParsePins reads the value of the pins annotation. What isn't of its form is
// passed over: only admission writes it. What nothing can be called would become a
// label that the API server refuses, and with it the whole request.
func ParsePins(value string) map[refs.Target]string {
	pins := map[refs.Target]string{}
	for entry := range strings.SplitSeq(value, ",") {
		source, name, found := strings.Cut(entry, "=")
		target, valid := parseTarget(source)
		if found && valid && name != target.Name && pinnable(target.Name, name) {
			pins[target] = name
		}
	}
	return pins
}

func pinnable(source, name string) bool {
	return snapshot.Nameable(source) && snapshot.Nameable(name) && len(snapshot.Suffix(name)) <= slices.Max(snapshot.Lengths)
}

// FormatPins is the value of the pins annotation, sorted.
func FormatPins(pins map[refs.Target]string) string {
	entries := make([]string, 0, len(pins))
	for _, source := range slices.SortedFunc(maps.Keys(pins), refs.Target.Compare) {
		entries = append(entries, source.String()+"="+pins[source])
	}
	return strings.Join(entries, ",")
}

// parseExclude reads the value of the exclude annotation, and returns apart
// what nobody understands.
func parseExclude(value string) (targets []refs.Target, invalid []string) {
	for entry := range strings.SplitSeq(value, ",") {
		entry = strings.TrimSpace(entry)
		if target, valid := parseTarget(entry); valid {
			targets = append(targets, target)
		} else if entry != "" {
			invalid = append(invalid, entry)
		}
	}
	return targets, invalid
}

func parseTarget(text string) (target refs.Target, valid bool) {
	kind, name, _ := strings.Cut(text, "/")
	target = refs.Target{Kind: wellknown.Kind(kind), Name: name}
	return target, target.Kind.Known() && name != ""
}

// sameRest says whether two templates differ in nothing but the names of
// snapshots, our own annotation and hashes of config: whether, pins put back to
// their sources, they are the same.
func sameRest(a, b state, hashes wellknown.Hashes, source func(refs.Target) (refs.Target, bool)) bool {
	unpinned := func(s state) string {
		return refs.Rewrite(s.object.Template.Spec, s.refs, func(ref refs.Ref) string {
			if of, known := source(ref.Target); known {
				return of.Name
			}
			return ref.Name
		})
	}
	return sameJSON(unpinned(a), unpinned(b)) &&
		reflect.DeepEqual(foreignMetadata(a.object.Template, hashes), foreignMetadata(b.object.Template, hashes))
}

// sameJSON compares bytes first: both come from the API server's encoder, so
// equal values nearly always have equal bytes.
func sameJSON(a, b string) bool {
	if a == b {
		return true
	}
	var x, y any
	return json.Unmarshal([]byte(a), &x) == nil && json.Unmarshal([]byte(b), &y) == nil && reflect.DeepEqual(x, y)
}

// sameHashes says whether two templates have the same hashes of config.
func sameHashes(a, b workload.Template, hashes wellknown.Hashes) bool {
	return maps.Equal(hashesOf(a, hashes), hashesOf(b, hashes))
}

func hashesOf(t workload.Template, hashes wellknown.Hashes) map[string]string {
	found := map[string]string{}
	gjson.Get(t.Metadata, "annotations").ForEach(func(key, value gjson.Result) bool {
		if hashes.Have(key.Str) {
			found[key.Str] = value.Raw
		}
		return true
	})
	return found
}

func foreignMetadata(t workload.Template, hashes wellknown.Hashes) map[string]any {
	metadata := map[string]any{}
	if t.Metadata != "" {
		_ = json.Unmarshal([]byte(t.Metadata), &metadata) // valid, or Read would not have found it
	}
	if annotations, ok := metadata["annotations"].(map[string]any); ok {
		maps.DeleteFunc(annotations, func(key string, _ any) bool { return key == wellknown.Pins || hashes.Have(key) })
		if len(annotations) == 0 {
			delete(metadata, "annotations")
		}
	}
	return metadata
}
