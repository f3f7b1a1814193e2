package pin

import (
	"slices"

	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/snapshot"
)

// keepHidden returns, for the sources that may not be read, what the old template had
// them pinned to, where the new one names them themselves: a manifest is applied. They
// stay what they are in pins and labels as well.
func (c *requestCase) keepHidden(pins map[refs.Target]string, labels map[string]string) map[refs.Target]string {
	kept := map[refs.Target]string{}
	for _, ref := range c.new.refs {
		name := c.hiddenPin(ref.Target)
		if name == "" || ref.Repeated {
			continue
		}
		kept[ref.Target], pins[ref.Target] = name, name
		if observed := c.old.observed(ref.Target); observed != "" {
			labels[snapshot.ObservedLabel(ref.Kind, ref.Name)] = observed
		}
	}
	return kept
}

// hiddenPin is what the old template has a source pinned to that may not be read.
func (c *requestCase) hiddenPin(source refs.Target) string {
	name, pinned := c.old.pins[source]
	if !pinned || !c.facts[source].Hidden || c.new.excluded[source] {
		return ""
	}
	target := refs.Target{Kind: source.Kind, Name: name}
	if !slices.ContainsFunc(c.old.refs, func(ref refs.Ref) bool { return ref.Target == target }) {
		return ""
	}
	return name
}

// hiddenWarnings tell of the pins that are kept. What else may not be read they don't
// tell: whoever wrote the workload isn't to learn which Secrets there are.
func (c *requestCase) hiddenWarnings() []string {
	var warnings []string
	var told []refs.Target
	for _, ref := range c.new.refs {
		if name := c.hiddenPin(ref.Target); name != "" && !ref.Repeated && !slices.Contains(told, ref.Target) {
			told = append(told, ref.Target)
			warnings = append(warnings, warn("%s can't be read by configpin: its pin %s is kept", ref.Target, name))
		}
	}
	return warnings
}
