package pin

import (
	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/snapshot"
)

// keepHidden has what is said of the sources stay that may not be read, where hiddenPin
// keeps their pins.
func (c *Case) keepHidden(pins map[refs.Target]string, labels map[string]string) {
	for _, ref := range c.new.refs {
		name := c.hiddenPin(ref)
		if name == "" {
			continue
		}
		pins[ref.Target] = name
		if observed := c.old.observed(ref.Target); observed != "" {
			labels[snapshot.ObservedLabel(ref.Kind, ref.Name)] = observed
		}
	}
}

// hiddenPin is what the old template had a source pinned to that may not be read, where
// the new one names it itself: a manifest is applied.
func (c *Case) hiddenPin(ref refs.Ref) string {
	if ref.Repeated || !c.fact(ref.Target).Hidden || c.new.excluded[ref.Target] {
		return ""
	}
	name := c.old.pins[ref.Target]
	if !c.old.named[refs.Target{Kind: ref.Kind, Name: name}] {
		return ""
	}
	return name
}

// hiddenWarnings tell of the pins that are kept. What else may not be read they don't
// tell: whoever wrote the workload isn't to learn which Secrets there are.
func (c *Case) hiddenWarnings() []string {
	var warnings []string
	told := map[refs.Target]bool{}
	for _, ref := range c.new.refs {
		if name := c.hiddenPin(ref); name != "" && !told[ref.Target] {
			told[ref.Target] = true
			warnings = append(warnings, warn("%s can't be read by configpin: its pin %s is kept", ref.Target, name))
		}
	}
	return warnings
}
