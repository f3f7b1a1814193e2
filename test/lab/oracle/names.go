package oracle

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/configpin/configpin/internal/wellknown"
)

// verified says whether a ConfigMap or Secret is what its marks and its name say.
func (f Fact) verified() bool {
	source := f.Annotations[wellknown.Source]
	return f.Immutable && len(validation.IsDNS1123Subdomain(source)) == 0 && f.Labels[wellknown.SnapshotOf] == labelValue(source) && f.wellNamed()
}

// wellNamed says whether a name is that of a source, which is cut where it is too
// long, and ends in the beginning of the content's digest.
func (f Fact) wellNamed() bool {
	return f.Digest != "" && namedAfter(f.Name, f.Annotations[wellknown.Source]) && strings.HasPrefix(f.Digest, f.suffix())
}

// namedAfter says whether a snapshot of a source can have this name.
func namedAfter(name, source string) bool {
	at := strings.LastIndexByte(name, '-')
	if at < 0 {
		return false
	}
	beginning, suffix := name[:at], name[at+1:]
	if room := longestName - 1 - len(suffix); room > 0 && len(source) > room {
		source = strings.TrimRight(source[:room], ".-")
	}
	return beginning == source && slices.Contains(suffixLengths, len(suffix))
}

// longestName is how long a ConfigMap's name can be.
const longestName = 253

// suffix is the part of a snapshot's name that stands for its content.
func (f Fact) suffix() string { return suffixOfName(f.Name) }

func suffixOfName(name string) string { return name[strings.LastIndexByte(name, '-')+1:] }

// abbreviates says whether two suffixes, each of some length, are of one digest: labels
// needn't be as long as names.
func abbreviates(one, other string) bool {
	return one != "" && other != "" && (strings.HasPrefix(one, other) || strings.HasPrefix(other, one))
}

// labelValue is a source's name as a label's value, of at most 63 characters.
func labelValue(source string) string {
	if len(source) > longestLabel {
		return nameHash(source)
	}
	return source
}

const longestLabel = 63

// observedLabel is the label of a workload for a source.
func observedLabel(kind, source string) string {
	prefix := strings.ToLower(kind) + "."
	if name := prefix + source; len(name) <= longestLabel {
		return wellknown.ObservedPrefix + name
	}
	return wellknown.ObservedPrefix + prefix + nameHash(source)
}
