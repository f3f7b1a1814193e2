package pin_test

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"

	"github.com/stretchr/testify/require"

	"github.com/configpin/configpin/internal/pin"
	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/wellknown"
	"github.com/configpin/configpin/internal/workload"
)

// written is a workload as a test writes it down.
type written struct {
	kind     string            // Deployment unless said
	labels   map[string]string // configpin.io/ is added to keys without a slash
	pins     string            // the template's annotation; "-" for none
	exclude  string
	image    string
	refs     []string // names of ConfigMaps, each in an envFrom
	twice    []string // names of ConfigMaps, each in a variable of one name
	optional bool
	bare     bool // no metadata in the template at all
}

func (w written) json() string {
	if w.kind == "" {
		w.kind = "Deployment"
	}
	labels := map[string]any{"app": "web"}
	for key, value := range w.labels {
		if !strings.Contains(key, "/") {
			key = wellknown.Domain + "/" + key
		}
		labels[key] = value
	}
	metadata := map[string]any{"labels": map[string]any{"app": "web"}}
	annotations := map[string]any{}
	if w.pins != "-" {
		annotations[wellknown.Pins] = w.pins
	}
	if w.exclude != "" {
		annotations[wellknown.Exclude] = w.exclude
	}
	if len(annotations) > 0 {
		metadata["annotations"] = annotations
	}
	var from []any
	for _, name := range w.refs {
		ref := map[string]any{"name": name}
		if w.optional {
			ref["optional"] = true
		}
		from = append(from, map[string]any{"configMapRef": ref})
	}
	container := map[string]any{"name": "web", "image": w.image, "envFrom": from}
	if len(w.twice) > 0 {
		env := []any{map[string]any{"name": "X", "value": "1"}}
		for _, name := range w.twice {
			env = append(env, map[string]any{"name": "X", "valueFrom": map[string]any{"configMapKeyRef": map[string]any{"name": name, "key": "k", "optional": w.optional}}})
		}
		container["env"] = env
	}
	template := map[string]any{
		"metadata": metadata,
		"spec": map[string]any{
			"future":     map[string]any{"configMapRef": map[string]any{"name": "app"}},
			"containers": []any{container},
		},
	}
	if w.bare {
		delete(template, "metadata")
	}
	spec := map[string]any{"template": template}
	if w.kind == "CronJob" {
		spec = map[string]any{"jobTemplate": map[string]any{"spec": spec}}
	}
	raw, _ := json.Marshal(map[string]any{
		"metadata": map[string]any{"name": "web", "namespace": "shop", "labels": labels},
		"spec":     spec,
	})
	return string(raw)
}

func (w written) object(t require.TestingT) workload.Object {
	group, kind := "apps", w.kind
	switch kind {
	case "":
		kind = "Deployment"
	case "Job", "CronJob":
		group = "batch"
	}
	object, err := workload.Lookup(group, kind).Read(w.json())
	require.NoError(t, err)
	return object
}

// The contents of the source app, and the names of their snapshots.
const (
	a1 = "app-111111111111"
	a2 = "app-222222222222"
	a3 = "app-333333333333"
	b1 = "extra-111111111111"
	b2 = "extra-222222222222"
)

func target(name string) refs.Target { return refs.Target{Kind: wellknown.ConfigMap, Name: name} }

// world is what the cluster holds: the sources app and extra with what they
// hold now, and their snapshots.
func world(live string, gone ...string) pin.Facts {
	facts := pin.Facts{
		target("app"):   {Role: pin.Source, Current: live, Digest: digest(live)},
		target("extra"): {Role: pin.Source, Current: b1, Digest: digest(b1)},
		target("plain"): {Role: pin.Plain},
		target("none"):  {Role: pin.Absent},
	}
	for _, name := range []string{a1, a2, a3} {
		facts[target(name)] = pin.Fact{Role: pin.Snapshot, Of: "app", Digest: digest(name)}
	}
	for _, name := range []string{b1, b2} {
		facts[target(name)] = pin.Fact{Role: pin.Snapshot, Of: "extra", Digest: digest(name)}
	}
	for _, name := range gone {
		facts[target(name)] = pin.Fact{Role: pin.Absent}
	}
	return facts
}

// known is the case of a request with facts.
func known(r pin.Request, facts pin.Facts) *pin.Case {
	c := pin.NewCase(r)
	c.Learn(facts)
	return c
}

// unserved are facts of what isn't served.
func unserved(targets ...refs.Target) pin.Facts {
	facts := pin.Facts{}
	for _, target := range targets {
		facts[target] = pin.Fact{Role: pin.Unserved}
	}
	return facts
}

func decide(r pin.Request, facts pin.Facts) pin.Decision { return known(r, facts).Decide() }

func wanted(r pin.Request, facts pin.Facts) []refs.Target { return known(r, facts).Wanted() }

func asksHistory(r pin.Request, facts pin.Facts) bool { return known(r, facts).AsksHistory() }

// revision is an object's template as a controller keeps it.
func revision(o workload.Object) string {
	return `{"metadata": ` + cmp.Or(o.Template.Metadata, "{}") + `, "spec": ` + o.Template.Spec + `}`
}

// digest is the full digest of what a snapshot holds.
func digest(name string) string {
	return strings.Repeat(snapshot.Suffix(name), 5)[:slices.Max(snapshot.Lengths)]
}

// longer is the name of a snapshot when shorter ones are taken.
func longer(name string) string {
	source, _, _ := strings.Cut(name, "-")
	return snapshot.Name(source, digest(name)[:snapshot.Lengths[1]])
}

func with(facts pin.Facts, name string, fact pin.Fact) pin.Facts {
	facts[target(name)] = fact
	return facts
}

func observed(source string) string {
	return snapshot.ObservedLabel(wellknown.ConfigMap, source)
}

// on is an opted-in workload that names names, pinned as pins say, with the
// observed label of app.
func on(seen string, names ...string) written {
	w := written{labels: map[string]string{"enabled": "true"}, pins: "-", image: "v1", refs: names}
	var pins []string
	for _, name := range names {
		if i := strings.LastIndexByte(name, '-'); i > 0 {
			pins = append(pins, "configmap/"+name[:i]+"="+name)
		}
	}
	if len(pins) > 0 {
		w.pins = strings.Join(pins, ",")
	}
	if seen != "" {
		w.labels[snapshot.ObservedLabel(wellknown.ConfigMap, "app")] = snapshot.Suffix(seen)
	}
	return w
}

func (w written) label(key, value string) written {
	labels := map[string]string{key: value}
	for k, v := range w.labels {
		if _, changed := labels[k]; !changed {
			labels[k] = v
		}
	}
	w.labels = labels
	return w
}

func (w written) withImage(image string) written { w.image = image; return w }

func (w written) withKind(kind string) written { w.kind = kind; return w }

func (w written) withExclude(value string) written { w.exclude = value; return w }

func (w written) withOptional() written { w.optional = true; return w }

func (w written) withPins(value string) written { w.pins = value; return w }

func ptr[T any](v T) *T { return &v }

func apply(t require.TestingT, document string, decision pin.Decision) string {
	if len(decision.Patch) == 0 {
		return document
	}
	raw, err := json.Marshal(decision.Patch)
	require.NoError(t, err)
	patch, err := jsonpatch.DecodePatch(raw)
	require.NoError(t, err)
	patched, err := patch.Apply([]byte(document))
	require.NoError(t, err, "%s", raw)
	return string(patched)
}
