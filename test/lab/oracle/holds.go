package oracle

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/configpin/configpin/internal/wellknown"
)

// Hold is what a request made: a workload that is pinned to something else than what it
// was offered last, and wasn't so before.
type Hold struct {
	Kind, Name string
	Source     string // as in "configmap/app"
	Pin        string // the snapshot's name
	Observed   string // the suffix of what was offered
	User       string

	// Asked says that the request brought that snapshot into a template that it changed,
	// or came with that offer. An unchanged template, and one that names the source, ask
	// for none.
	Asked bool
}

func (h Hold) object() Fact { return Fact{Kind: h.Kind, Name: h.Name} }

// made says whether this is what a workload is now.
func (h Hold) made(now Hold) bool {
	h.User, h.Asked, now.User, now.Asked = "", false, "", false
	return h == now
}

// version is a workload in a request.
type version struct {
	labels   map[string]string
	template *Template
	refs     []Ref
}

func versionOf(text []byte) version {
	object := &unstructured.Unstructured{}
	if json.Unmarshal(text, &object.Object) != nil || object.Object == nil {
		return version{template: &Template{}}
	}
	v := version{object.GetLabels(), templateIn(object), refsIn(object.Object["spec"])}
	if v.template == nil {
		v.template = &Template{}
	}
	return v
}

// holds are the sources of a workload that are pinned to something else than what it was
// offered.
func holds(kind, name string, labels map[string]string, template *Template) []Hold {
	var found []Hold
	for _, source := range slices.Sorted(maps.Keys(template.Pins)) {
		of, called, _ := strings.Cut(source, "/")
		pin, offered := template.Pins[source], labels[observedLabel(of, called)]
		if offered != "" && !abbreviates(offered, suffixOfName(pin)) {
			found = append(found, Hold{Kind: kind, Name: name, Source: source, Pin: pin, Observed: offered})
		}
	}
	return found
}

// newHolds are those that a request by somebody made of a workload, which was stored as
// old and sent as before.
func newHolds(kind, name, user string, old, before, after version) []Hold {
	was := holds(kind, name, old.labels, old.template)
	var found []Hold
	for _, h := range holds(kind, name, after.labels, after.template) {
		if slices.Contains(was, h) {
			continue
		}
		of, called, _ := strings.Cut(h.Source, "/")
		label := observedLabel(of, called)
		names := slices.ContainsFunc(before.refs, func(r Ref) bool { return r.String() == key(of, h.Pin) })
		offers := before.labels[label] == h.Observed && old.labels[label] != h.Observed
		h.User, h.Asked = user, names && !isUs(user) && (before.template.Hash != old.template.Hash || offers)
		found = append(found, h)
	}
	return found
}

// unasked are the holds that a request made that didn't ask for any, and those that no
// request is known to have made.
func unasked(r *record, _ Rules) []Violation {
	var found []Violation
	for _, h := range r.Holds {
		if !h.Asked && !r.sameContent(h) {
			found = append(found, breach(h.object(), "was held at %s by %s, who didn't ask for it", h.Pin, h.User))
		}
	}
	for _, f := range r.replay(nil).sorted() {
		if !f.isWorkload() || f.Template == nil {
			continue
		}
		for _, h := range holds(f.Kind, f.Name, f.Labels, f.Template) {
			asked := slices.ContainsFunc(r.Holds, func(made Hold) bool { return made.Asked && made.made(h) })
			if !asked && !r.sameContent(h) {
				found = append(found, breach(f, "is held at %s, and nobody asked for it", h.Pin))
			}
		}
	}
	return found
}

// sameContent says whether a snapshot and the one that was offered held the same, so
// that there is nothing to hold.
func (r *record) sameContent(h Hold) bool {
	of, called, _ := strings.Cut(h.Source, "/")
	pinned, offered := "", ""
	for _, f := range r.Facts {
		switch {
		case !r.kept[f.UID] || f.Annotations[wellknown.Source] != called || strings.ToLower(f.Kind) != of:
		case f.Name == h.Pin:
			pinned = f.Content
		case abbreviates(f.suffix(), h.Observed):
			offered = f.Content
		}
	}
	return pinned != "" && pinned == offered
}
