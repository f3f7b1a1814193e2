package pin_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"

	"github.com/stretchr/testify/assert"
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

func (w written) withImage(image string) written   { w.image = image; return w }
func (w written) withKind(kind string) written     { w.kind = kind; return w }
func (w written) withExclude(value string) written { w.exclude = value; return w }
func (w written) withOptional() written            { w.optional = true; return w }
func (w written) withPins(value string) written    { w.pins = value; return w }

func TestDecideTable(t *testing.T) {
	const held = "configmap/app: held at " + a1 + "; to end it, label the deployment configpin.io/resume=true"
	for _, test := range []struct {
		name     string
		old      *written
		new      written
		returned bool
		facts    pin.Facts
		want     string // the name that the refs of app end up with
		observed string // "" for no label
		reason   pin.Reason
		warnings []string
		denied   string
	}{
		{
			name: "a new workload gets what the source holds",
			new:  on("", "app"), facts: world(a2),
			want: a2, observed: a2, reason: pin.ReasonCreated,
			warnings: []string{"configmap/app: pinned to " + a2},
		},
		{
			name: "a new workload with a snapshot keeps it, and is offered what it holds",
			new:  on("", a1), facts: world(a2),
			want: a1, observed: a1, reason: pin.ReasonRestored,
		},
		{
			name: "a restored workload keeps its snapshot and its hold",
			new:  on(a2, a1), facts: world(a2),
			want: a1, observed: a2, reason: pin.ReasonRestored,
		},
		{
			name: "a new workload with a snapshot that is gone gets what the source holds",
			new:  on("", a1), facts: world(a2, a1),
			want: a2, observed: a2, reason: pin.ReasonCreated,
			warnings: []string{"configmap/app: pinned to " + a2},
		},
		{
			name: "a restored workload that was held waits for its snapshot",
			new:  on(a2, a1), facts: world(a2, a1),
			want: a1, observed: a2, reason: pin.ReasonRestored,
			warnings: []string{"configmap/app: waiting for " + a1 + "; to go on without it, label the deployment configpin.io/resume=true"},
		},
		{
			name: "a restored workload that was held is held no more when its source has moved on",
			new:  on(a2, a1), facts: world(a3, a1),
			want: a3, observed: a3, reason: pin.ReasonCreated,
			warnings: []string{"configmap/app: pinned to " + a3},
		},
		{
			name: "manual: a restored workload waits for its snapshot",
			new:  on(a1, a1).label("rollout", "manual"), facts: world(a2, a1),
			want: a1, observed: a1, reason: pin.ReasonRestored,
			warnings: []string{"configmap/app: waiting for " + a1 + "; to go on without it, label the deployment configpin.io/resume=true"},
		},
		{
			name: "a restored Job waits for its snapshot",
			new:  on(a1, a1).withKind("Job"), facts: world(a2, a1),
			want: a1, observed: a1, reason: pin.ReasonRestored,
			warnings: []string{"configmap/app: Pods wait for " + a1 + ", which is not there"},
		},
		{
			name: "a new workload whose source can't be kept stays as it is",
			new:  on("", "app"), facts: with(world(a2), "app", pin.Fact{Role: pin.Source, Problem: "exceeded quota"}),
			want: "app", reason: pin.ReasonUnavailable,
			warnings: []string{"configmap/app: no snapshot can be made, so it is not pinned: exceeded quota"},
		},
		{
			name: "opting in pins",
			old:  ptr(on("", "app").label("enabled", "false")), new: on("", "app"), facts: world(a2),
			want: a2, observed: a2, reason: pin.ReasonReapplied,
			warnings: []string{"configmap/app: pinned to " + a2},
		},
		{
			name: "a touch moves to what the source holds",
			old:  ptr(on(a1, a1)), new: on(a1, a1), facts: world(a2),
			want: a2, observed: a2, reason: pin.ReasonTouched,
			warnings: []string{"configmap/app: pinned to " + a2},
		},
		{
			name: "a touch of what is right changes nothing",
			old:  ptr(on(a1, a1)), new: on(a1, a1), facts: world(a1),
			want: a1, observed: a1, reason: pin.ReasonTouched,
		},
		{
			name: "an undo is kept and held",
			old:  ptr(on(a2, a2)), new: on(a2, a1), facts: world(a2),
			want: a1, observed: a2, reason: pin.ReasonRolledBack,
			warnings: []string{held},
		},
		{
			name: "an undo of a workload that is behind is a hold against what the source holds by now",
			old:  ptr(on(a2, a2)), new: on(a2, a1), facts: world(a3),
			want: a1, observed: a3, reason: pin.ReasonRolledBack,
			warnings: []string{"configmap/app: held at " + a1 + "; " + a3 + " is newer: label the deployment configpin.io/resume=true"},
		},
		{
			name: "an undo of the image of a workload that is behind brings nothing newer, and is a hold",
			old:  ptr(on(a1, a1).withImage("v2")), new: on(a1, a1), returned: true, facts: world(a2),
			want: a1, observed: a2, reason: pin.ReasonRolledBack,
			warnings: []string{"configmap/app: held at " + a1 + "; " + a2 + " is newer: label the deployment configpin.io/resume=true"},
		},
		{
			name: "a new image of a workload that is behind comes with what the source holds",
			old:  ptr(on(a1, a1)), new: on(a1, a1).withImage("v2"), facts: world(a2),
			want: a2, observed: a2, reason: pin.ReasonTouched,
			warnings: []string{"configmap/app: pinned to " + a2},
		},
		{
			name: "an undo of the image of a workload that is held keeps the hold",
			old:  ptr(on(longer(a2), a1).withImage("v2")), new: on(longer(a2), a1), returned: true, facts: world(a2),
			want: a1, observed: longer(a2), reason: pin.ReasonHeld,
			warnings: []string{held},
		},
		{
			name: "an undo to what the source holds is no hold",
			old:  ptr(on(a2, a1)), new: on(a2, a2), facts: world(a2),
			want: a2, observed: longer(a2), reason: pin.ReasonRolledBack,
			warnings: []string{"configmap/app: pinned to " + a2},
		},
		{
			name: "an undo to a snapshot that is gone is denied",
			old:  ptr(on(a2, a2)), new: on(a2, a1), facts: world(a2, a1),
			denied: "deployment/web can't be rolled back to " + a1 + ": there is no such snapshot of configmap/app any more. " +
				"Choose another revision (kubectl rollout history deployment/web), or apply a template that names \"app\" to use what it holds now.",
		},
		{
			name: "an undo to a gone snapshot of what the source holds makes it again",
			old:  ptr(on(a1, a1)), new: on(a1, a2), facts: world(a2, a2),
			want: a2, observed: a2, reason: pin.ReasonRolledBack,
			warnings: []string{"configmap/app: pinned to " + a2},
		},
		{
			name: "an undo from a revision that used no source is a hold",
			old:  ptr(on("")), new: on("", a1), facts: world(a2),
			want: a1, observed: a2, reason: pin.ReasonRolledBack,
			warnings: []string{held},
		},
		{
			name: "a touch keeps a hold, and is silent",
			old:  ptr(on(a2, a1)), new: on(a2, a1), facts: world(a2),
			want: a1, observed: a2, reason: pin.ReasonHeld,
		},
		{
			name: "a change of the source ends a hold",
			old:  ptr(on(a2, a1)), new: on(a2, a1), facts: world(a3),
			want: a3, observed: a3, reason: pin.ReasonTouched,
			warnings: []string{"configmap/app: pinned to " + a3},
		},
		{
			name: "a source that goes back to what is held ends the hold where it is",
			old:  ptr(on(a2, a1)), new: on(a2, a1), facts: world(a1),
			want: a1, observed: a1, reason: pin.ReasonTouched,
		},
		{
			name: "a re-apply of the unchanged manifest keeps a hold",
			old:  ptr(on(a2, a1)), new: on(a2, "app").withPins("configmap/app=" + a1), facts: world(a2),
			want: a1, observed: a2, reason: pin.ReasonHeld,
			warnings: []string{held},
		},
		{
			name: "a re-apply of the unchanged manifest moves to what the source holds",
			old:  ptr(on(a1, a1)), new: on(a1, "app").withPins("configmap/app=" + a1), facts: world(a2),
			want: a2, observed: a2, reason: pin.ReasonReapplied,
			warnings: []string{"configmap/app: pinned to " + a2},
		},
		{
			name: "a replace by the bare manifest brings back pins and labels",
			old:  ptr(on(a2, a1)), new: on("", "app"), facts: world(a2),
			want: a1, observed: a2, reason: pin.ReasonHeld,
			warnings: []string{held},
		},
		{
			name: "a deploy of a changed template ends a hold",
			old:  ptr(on(a2, a1)), new: on(a2, "app").withImage("v2"), facts: world(a2),
			want: a2, observed: longer(a2), reason: pin.ReasonDeployed,
			warnings: []string{"configmap/app: pinned to " + a2},
		},
		{
			name: "a new image without a word about the source keeps a hold",
			old:  ptr(on(a2, a1)), new: on(a2, a1).withImage("v2"), facts: world(a2),
			want: a1, observed: a2, reason: pin.ReasonHeld,
			warnings: []string{held},
		},
		{
			name: "an undo to before opting in gets what the source holds",
			old:  ptr(on(a2, a2)), new: on(a2, "app").withPins("-"), facts: world(a2),
			want: a2, observed: a2, reason: pin.ReasonReapplied,
			warnings: []string{"configmap/app: pinned to " + a2},
		},
		{
			name: "resume gives up the hold",
			old:  ptr(on(a2, a1)), new: on(a2, a1).label("resume", "true"), facts: world(a2),
			want: a2, observed: longer(a2), reason: pin.ReasonResumed,
			warnings: []string{"configmap/app: pinned to " + a2},
		},
		{
			name: "our own answer, seen again, stays",
			old:  ptr(on(a1, a1)), new: on(a2, a2), facts: world(a2),
			want: a2, observed: a2, reason: pin.ReasonSeenAgain,
		},
		{
			name: "our own answer, seen again after the source changed, moves on with it",
			old:  ptr(on(a1, a1)), new: on(a2, a2), facts: world(a3),
			want: a3, observed: a3, reason: pin.ReasonOutdated,
			warnings: []string{"configmap/app: pinned to " + a3 + ", not " + a2 + ": to roll back, use kubectl rollout undo"},
		},
		{
			name: "our own answer that ended a hold, seen again after the source changed, is no hold",
			old:  ptr(on(a2, a1)), new: on(longer(a2), a2), facts: world(a3),
			want: a3, observed: a3, reason: pin.ReasonOutdated,
			warnings: []string{"configmap/app: pinned to " + a3 + ", not " + a2 + ": to roll back, use kubectl rollout undo"},
		},
		{
			name: "our own answer, seen again while the source is away, stays",
			old:  ptr(on(a1, a1)), new: on(a2, a2), facts: with(world(a2), "app", pin.Fact{Role: pin.Absent}),
			want: a2, observed: a2, reason: pin.ReasonSeenAgain,
		},
		{
			name: "an exported manifest that is put back stays where the source is",
			old:  ptr(on(a3, a3)), new: on(a1, a1), facts: world(a3),
			want: a3, observed: a3, reason: pin.ReasonOutdated,
			warnings: []string{"configmap/app: pinned to " + a3 + ", not " + a1 + ": to roll back, use kubectl rollout undo"},
		},
		{
			name: "an exported manifest that is put back ends no hold",
			old:  ptr(on(a3, a2)), new: on(a1, a1), facts: world(a3),
			want: a2, observed: a3, reason: pin.ReasonHeld,
			warnings: []string{"configmap/app: held at " + a2 + "; to end it, label the deployment configpin.io/resume=true"},
		},
		{
			name: "manual: an exported manifest that is put back is what it says",
			old:  ptr(on(a3, a3).label("rollout", "manual")), new: on(a1, a1).label("rollout", "manual"), facts: world(a3),
			want: a1, observed: a1, reason: pin.ReasonSeenAgain,
		},
		{
			name: "an exported manifest whose snapshot is gone is denied",
			old:  ptr(on(a3, a3)), new: on(a1, a1), facts: world(a3, a1),
			denied: "deployment/web can't be rolled back to " + a1 + ": there is no such snapshot of configmap/app any more. " +
				"Choose another revision (kubectl rollout history deployment/web), or apply a template that names \"app\" to use what it holds now.",
		},
		{
			name: "an observed label that somebody forged counts for nothing",
			old:  ptr(on(a1, a1)), new: on(a2, a1), facts: world(a2),
			want: a2, observed: a2, reason: pin.ReasonTouched,
			warnings: []string{"configmap/app: pinned to " + a2},
		},
		{
			name: "a touch doesn't put the label back to another length",
			old:  ptr(on(longer(a2), a2)), new: on(longer(a2), a2), facts: world(a2),
			want: a2, observed: longer(a2), reason: pin.ReasonTouched,
		},
		{
			name: "what takes pins back, and leaves the label, gets the same answer each time",
			old:  ptr(on(a2, "app").withPins("configmap/app=" + a2)), new: on(a2, "app").withPins("configmap/app=" + a2), facts: world(a2),
			want: a2, observed: a2, reason: pin.ReasonReapplied,
			warnings: []string{"configmap/app: pinned to " + a2},
		},
		{
			name: "an undo between two names of what the source holds is no hold",
			old:  ptr(on(a2, a2)), new: on(a2, longer(a2)), facts: with(world(a2), longer(a2), pin.Fact{Role: pin.Snapshot, Of: "app", Digest: digest(a2)}),
			want: longer(a2), observed: longer(a2), reason: pin.ReasonRolledBack,
			warnings: []string{"configmap/app: pinned to " + longer(a2)},
		},
		{
			name: "a hold is over when somebody resumes it while the source is away",
			old:  ptr(on(a2, a1)), new: on(a2, a1).label("resume", "true"), facts: with(world(a2), "app", pin.Fact{Role: pin.Absent}),
			want: a1, observed: a1, reason: pin.ReasonUnavailable,
			warnings: []string{"configmap/app does not exist: its pin " + a1 + " is kept until it does"},
		},
		{
			name: "a hold is over when a changed template is deployed while the source can't be kept",
			old:  ptr(on(a2, a1)), new: on(a2, "app").withImage("v2"), facts: with(world(a2), "app", pin.Fact{Role: pin.Source, Problem: "exceeded quota"}),
			want: a1, observed: a1, reason: pin.ReasonUnavailable,
			warnings: []string{"configmap/app: no snapshot can be made; " + a1 + " is kept until one can: exceeded quota"},
		},
		{
			name: "a hold that was ended while the source was away is none when it comes back as it was",
			old:  ptr(on(a1, a1)), new: on(a1, a1), facts: world(a2),
			want: a2, observed: a2, reason: pin.ReasonTouched,
			warnings: []string{"configmap/app: pinned to " + a2},
		},
		{
			name: "a pin of a source that was deleted is kept by a restart, although its refs are optional",
			old:  ptr(on(a1, a1).withOptional()), new: on(a1, a1).withOptional().withImage("v2"), facts: with(world(a1), "app", pin.Fact{Role: pin.Absent}),
			want: a1, observed: a1, reason: pin.ReasonUnavailable,
			warnings: []string{"configmap/app does not exist: " + a1 + " is kept; to go without it, label the deployment configpin.io/resume=true"},
		},
		{
			name: "a pin of a source that was deleted is kept by a re-apply, although its refs are optional",
			old:  ptr(on(a1, a1).withOptional()), new: on(a1, "app").withOptional().withPins("configmap/app=" + a1), facts: with(world(a1), "app", pin.Fact{Role: pin.Absent}),
			want: a1, observed: a1, reason: pin.ReasonUnavailable,
			warnings: []string{"configmap/app does not exist: " + a1 + " is kept; to go without it, label the deployment configpin.io/resume=true"},
		},
		{
			name: "a deploy lets go of a source that was deleted, where its refs are optional",
			old:  ptr(on(a1, a1).withOptional()), new: on(a1, "app").withOptional().withImage("v2"), facts: with(world(a1), "app", pin.Fact{Role: pin.Absent}),
			want: "app", reason: pin.ReasonDropped,
			warnings: []string{"configmap/app does not exist, and its refs are optional: Pods start without it"},
		},
		{
			name: "resume lets go of a source that was deleted, where its refs are optional",
			old:  ptr(on(a1, a1).withOptional()), new: on(a1, a1).withOptional().label("resume", "true"), facts: with(world(a1), "app", pin.Fact{Role: pin.Absent}),
			want: "app", reason: pin.ReasonDropped,
			warnings: []string{"configmap/app does not exist, and its refs are optional: Pods start without it"},
		},
		{
			name: "our own answer that let go of a source, seen again, stays",
			old:  ptr(on(a1, a1).withOptional()), new: on("", "app").withOptional().withPins(""), facts: with(world(a1), "app", pin.Fact{Role: pin.Absent}),
			want: "app", reason: pin.ReasonSeenAgain,
		},
		{
			name: "manual: a touch leaves it",
			old:  ptr(on(a1, a1).label("rollout", "manual")), new: on(a1, a1).label("rollout", "manual"), facts: world(a2),
			want: a1, observed: a1, reason: pin.ReasonManual,
		},
		{
			name: "manual: a re-apply leaves it",
			old:  ptr(on(a1, a1).label("rollout", "manual")), new: on(a1, "app").label("rollout", "manual"), facts: world(a2),
			want: a1, observed: a1, reason: pin.ReasonManual,
			warnings: []string{"configmap/app: pinned to " + a1},
		},
		{
			name: "manual: a deploy moves it",
			old:  ptr(on(a1, a1).label("rollout", "manual")), new: on(a1, "app").label("rollout", "manual").withImage("v2"), facts: world(a2),
			want: a2, observed: a2, reason: pin.ReasonDeployed,
			warnings: []string{"configmap/app: pinned to " + a2},
		},
		{
			name: "a Job keeps its names whatever is applied",
			old:  ptr(on(a1, a1).withKind("Job")), new: on(a1, "app").withKind("Job"), facts: world(a2),
			want: a1, observed: a1, reason: pin.ReasonFrozen,
		},
		{
			name: "a Job that was never pinned stays so",
			old:  ptr(on("", "app").withKind("Job")), new: on("", "app").withKind("Job"), facts: world(a2),
			want: "app", reason: pin.ReasonFrozen,
		},
		{
			name: "what is seen again stays where only deploys change pins, although its snapshot is gone",
			old:  ptr(on(a2, a1).label("rollout", "manual")), new: on(a1, a1).label("rollout", "manual"), facts: with(world(a2), a1, pin.Fact{Role: pin.Absent}),
			want: a1, observed: a1, reason: pin.ReasonSeenAgain,
		},
		{
			name: "what is held is told of where only deploys change pins, too",
			old:  ptr(on(a2, a1).label("rollout", "manual")), new: on(a2, a1).label("rollout", "manual").withImage("v2"), facts: world(a2),
			want: a1, observed: a2, reason: pin.ReasonManual,
			warnings: []string{"configmap/app: held at " + a1 + "; to end it, label the deployment configpin.io/resume=true"},
		},
		{
			name: "what is excluded isn't seen again because a label was left there",
			old:  ptr(on(a1, "app").withPins("-")), new: on(a1, a1).withExclude("configmap/app"), facts: world(a1),
			want: a1, observed: a1, reason: pin.ReasonExcluded,
		},
		{
			name: "a Job that opts out keeps its names, too",
			old:  ptr(on(a1, a1).withKind("Job")), new: on("", "app").label("enabled", "false").withKind("Job"), facts: world(a2),
			want: a1, observed: a1, reason: pin.ReasonFrozen,
		},
		{
			name: "a hold doesn't depend on how long the name of what the source holds is",
			old:  ptr(on("app-2222", a1)), new: on("app-2222", a1), facts: world(a2),
			want: a1, observed: "app-2222", reason: pin.ReasonHeld,
		},
		{
			name: "a missing source keeps the pin",
			old:  ptr(on(a1, a1)), new: on(a1, "app"), facts: with(world(a2), "app", pin.Fact{Role: pin.Absent}),
			want: a1, observed: a1, reason: pin.ReasonUnavailable,
			warnings: []string{"configmap/app does not exist: its pin " + a1 + " is kept"},
		},
		{
			name: "a snapshot that can't be made keeps the pin",
			old:  ptr(on(a1, a1)), new: on(a1, a1).withImage("v2"), facts: with(world(a2), "app", pin.Fact{Role: pin.Source, Problem: "exceeded quota"}),
			want: a1, observed: a1, reason: pin.ReasonUnavailable,
			warnings: []string{"configmap/app: no snapshot can be made; " + a1 + " is kept: exceeded quota"},
		},
		{
			name: "a source that isn't versioned any more keeps the pin on a touch",
			old:  ptr(on(a1, a1)), new: on(a1, a1), facts: with(world(a2), "app", pin.Fact{Role: pin.Plain}),
			want: a1, observed: a1, reason: pin.ReasonNotVersioned,
		},
		{
			name: "a source that isn't versioned any more is un-pinned by a re-apply",
			old:  ptr(on(a1, a1)), new: on(a1, "app"), facts: with(world(a2), "app", pin.Fact{Role: pin.Plain}),
			want: "app", reason: pin.ReasonNotVersioned,
			warnings: []string{"configmap/app is not pinned any more"},
		},
		{
			name: "an undo to a pin of a source that isn't versioned any more is kept",
			old:  ptr(on(a2, a2)), new: on(a2, a1), facts: with(world(a2), "app", pin.Fact{Role: pin.Plain}),
			want: a1, observed: a2, reason: pin.ReasonRolledBack,
			warnings: []string{"configmap/app: pinned to " + a1},
		},
		{
			name: "an excluded source keeps the pin on a touch",
			old:  ptr(on(a1, a1)), new: on(a1, a1).withExclude("configmap/app"), facts: world(a2),
			want: a1, observed: a1, reason: pin.ReasonExcluded,
		},
		{
			name: "an excluded source is un-pinned by its own name",
			old:  ptr(on(a1, a1)), new: on(a1, "app").withExclude("secret/x, configmap/app"), facts: world(a2),
			want: "app", reason: pin.ReasonExcluded,
			warnings: []string{"configmap/app is not pinned any more"},
		},
		{
			name: "two snapshots of one source are denied",
			new:  on("", a1, a2), facts: world(a2),
			denied: "deployment/web refers to 2 snapshots of configmap/app: " + a1 + " and " + a2 +
				". Name one of them everywhere, or \"app\" to use what it holds now.",
		},
		{
			name: "the source's name beside its pin is a re-apply",
			old:  ptr(on(a2, a1, a1)), new: on(a2, "app", a1), facts: world(a2),
			want: a1, observed: a2, reason: pin.ReasonHeld,
			warnings: []string{held},
		},
		{
			name: "the source's name beside another snapshot is an undo",
			old:  ptr(on(a2, a2, a2)), new: on(a2, "app", a1), facts: world(a2),
			want: a1, observed: a2, reason: pin.ReasonRolledBack,
			warnings: []string{held},
		},
		{
			name: "a longer name for what the source holds is current",
			old:  ptr(on("app-long", "app-long")), new: on("app-long", "app-long"),
			facts: with(world(a1), "app-long", pin.Fact{Role: pin.Snapshot, Of: "app", Digest: digest(a1)}),
			want:  "app-long", observed: "app-long", reason: pin.ReasonTouched,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			request := pin.Request{New: test.new.object(t)}
			if test.old != nil {
				old := test.old.object(t)
				request.Old = &old
			}
			c := known(request, test.facts)
			if test.returned {
				c.Remember([]string{revision(request.New)})
			}
			got := c.Decide()
			assert.Equal(t, test.denied, got.Denied)
			if test.denied != "" {
				assert.Empty(t, got.Patch)
				return
			}
			assert.Equal(t, test.warnings, got.Warnings)
			require.Len(t, got.Outcomes, 1)
			assert.Equal(t, test.reason, got.Outcomes[0].Reason)
			final := apply(t, test.new.json(), got)
			object, err := request.New.Kind.Read(final)
			require.NoError(t, err)
			for _, ref := range refs.Walk(object.Template.Spec) {
				assert.Equal(t, test.want, ref.Name)
			}
			want := ""
			if test.observed != "" {
				want = snapshot.Suffix(test.observed)
			}
			assert.Equal(t, want, object.Labels[snapshot.ObservedLabel(wellknown.ConfigMap, "app")])
			assert.NotContains(t, object.Labels, wellknown.Resume)
			pins := ""
			if test.want != "app" {
				pins = "configmap/app=" + test.want
			}
			assert.Equal(t, pins, object.Template.Annotations[wellknown.Pins])
		})
	}
}

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

func TestAnUndoLeavesOtherSourcesAlone(t *testing.T) {
	seen := snapshot.ObservedLabel(wellknown.ConfigMap, "extra")
	old := on(a2, a2, b2).label(seen, snapshot.Suffix(b2)).object(t)
	request := pin.Request{Old: &old, New: on(a2, a1, b2).label(seen, snapshot.Suffix(b2)).object(t)}
	got := decide(request, world(a2))
	assert.Empty(t, got.Patch, "not one byte: extra moved to b1, and is picked up by the next touch")
	assert.Equal(t, pin.ReasonUndone, got.Outcomes[1].Reason)
}

func TestAnUndoChangesNotOneByte(t *testing.T) {
	old := on(a2, a2).object(t)
	got := decide(pin.Request{Old: &old, New: on(a2, a1).object(t)}, world(a2))
	assert.Empty(t, got.Patch)
}

func TestSeveralSnapshotsAsBeforeAreLeftAlone(t *testing.T) {
	both := on(a2, a1, a2).withPins("configmap/app=" + a1)
	old := both.object(t)
	got := decide(pin.Request{Old: &old, New: both.object(t)}, world(a2))
	assert.Empty(t, got.Denied)
	assert.Empty(t, got.Patch)
	assert.Empty(t, got.Warnings, "nothing was written that has to do with it")

	edited := both.label(observed("app"), snapshot.Suffix(a1))
	got = decide(pin.Request{Old: &old, New: edited.object(t)}, world(a2))
	assert.Empty(t, got.Denied, "somebody wrote a label that only admission writes")
	require.Len(t, got.Patch, 1)
	assert.Equal(t, "/metadata/labels/observed.configpin.io~1configmap.app", got.Patch[0].Path)
	assert.Equal(t, snapshot.Suffix(a2), got.Patch[0].Value)

	changed := both.withImage("v2")
	got = decide(pin.Request{Old: &old, New: changed.object(t)}, world(a2))
	assert.Empty(t, got.Patch)
	assert.Equal(t, []string{"configmap/app: several snapshots are named, so none is changed: name one, or app itself"}, got.Warnings)
}

func TestWhatIsLeftAloneAndNamesItsSourceIsNotCalledPinned(t *testing.T) {
	old := on(a1, a1, a1).object(t)
	request := pin.Request{Old: &old, New: on(a1, a1, "app").withExclude("configmap/app").object(t)}
	decision := decide(request, world(a1))
	require.Len(t, decision.Patch, 2, "the refs stay as they are, and our keys go")
	assert.Equal(t, "/spec/template/metadata/annotations/configpin.io~1pins", decision.Patch[0].Path)
	assert.Empty(t, decision.Patch[0].Value)
	assert.Equal(t, "/metadata/labels/observed.configpin.io~1configmap.app", decision.Patch[1].Path)
}

func TestAnExcludedSourceIsNoUndo(t *testing.T) {
	old := on(a1, a1, b1).withExclude("configmap/extra").object(t)
	request := pin.Request{Old: &old, New: on(a1, a1, b2).withExclude("configmap/extra").object(t)}
	got := decide(request, world(a2))
	assert.Equal(t, pin.ReasonTouched, got.Outcomes[0].Reason)
	assert.Equal(t, a2, got.Outcomes[0].Name)
}

func TestOptingOut(t *testing.T) {
	old := on(a1, a1).object(t)
	for name, test := range map[string]struct {
		new   written
		facts pin.Facts
		want  string
	}{
		"by taking the label away": {new: written{pins: "configmap/app=" + a1, refs: []string{a1}, image: "v1", labels: map[string]string{observed("app"): "111111111111"}}, facts: world(a2), want: "app"},
		"by the value false":       {new: on(a1, a1).label("enabled", "false"), facts: world(a2), want: "app"},
		"with a source that is gone, whose pin is all that is left": {
			new: on(a1, a1).label("enabled", "false"), facts: with(world(a2), "app", pin.Fact{Role: pin.Absent}), want: a1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := decide(pin.Request{Old: &old, New: test.new.object(t)}, test.facts)
			object, err := old.Kind.Read(apply(t, test.new.json(), got))
			require.NoError(t, err)
			assert.Equal(t, test.want, refs.Walk(object.Template.Spec)[0].Name)
			assert.NotContains(t, object.Labels, observed("app"))
			assert.NotContains(t, object.Template.Annotations, wellknown.Pins)
		})
	}
}

func TestWhatIsLeftAlone(t *testing.T) {
	terminating := on(a1, "app").object(t)
	terminating.Terminating = true
	copied, err := workload.Lookup("batch", "Job").Read(`{"metadata":{"name":"x","labels":{"configpin.io/enabled":"true"},
		"ownerReferences":[{"apiVersion":"batch/v1","kind":"CronJob","name":"report","controller":true}]},
		"spec":{"template":{"spec":{"volumes":[{"configMap":{"name":"app"}}]}}}}`)
	require.NoError(t, err)
	for name, test := range map[string]struct {
		new      workload.Object
		warnings []string
	}{
		"a terminating object": {new: terminating},
		"a copy of another workload": {
			new:      copied,
			warnings: []string{"label configpin.io/enabled pins no copy of a template: label cronjob/report itself"},
		},
		"one that never opted in": {new: written{pins: "-", refs: []string{"app"}}.object(t)},
		"refs to what isn't versioned": {
			new: on("", "plain").object(t),
		},
		"refs to nothing": {
			new:      on("", "none").object(t),
			warnings: []string{"configmap/none does not exist: its refs are left as they are"},
		},
		"optional refs to nothing": {
			new: written{labels: map[string]string{"enabled": "true"}, pins: "-", refs: []string{"none"}, optional: true}.object(t),
		},
		"a switch without a value": {
			new:      on("", "app").label("enabled", "").object(t),
			warnings: []string{`label configpin.io/enabled: "" is not one of its values: "true" or "false"`},
		},
		"a switch that nobody understands": {
			new:      on("", "app").label("enabled", "yes").object(t),
			warnings: []string{`label configpin.io/enabled: "yes" is not one of its values: "true" or "false"`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			facts := world(a1)
			got := decide(pin.Request{New: test.new}, facts)
			assert.Empty(t, got.Patch)
			assert.Empty(t, got.Denied)
			assert.Equal(t, test.warnings, got.Warnings)
		})
	}
}

func TestWrongValues(t *testing.T) {
	new := on("", "plain").label("rollout", "auto").label("resume", "yes").withExclude("app,configmap/x").object(t)
	facts := with(world(a1), "plain", pin.Fact{Role: pin.Plain, Invalid: "yes"})
	got := decide(pin.Request{New: new}, facts)
	assert.Equal(t, []string{
		`label configpin.io/rollout: "auto" is not one of its values: "manual"`,
		`label configpin.io/resume: "yes" is not one of its values: "true"`,
		`annotation configpin.io/exclude: "app" is not of the form configmap/NAME or secret/NAME`,
		`configmap/plain: annotation configpin.io/versioned is "yes", not "true" or "false"`,
	}, got.Warnings)
	assert.Empty(t, got.Patch)
}

func TestOptingInTellsWhyNothingIsPinned(t *testing.T) {
	old, new := written{pins: "-", refs: []string{"plain", "none"}}, written{pins: "-", refs: []string{"plain", "none"}}
	new.labels = map[string]string{"enabled": "true"}
	before, after := old.object(t), new.object(t)
	facts := with(world(a1), "plain", pin.Fact{Role: pin.Plain, Invalid: "yes"})
	assert.Equal(t, []string{
		`configmap/plain: annotation configpin.io/versioned is "yes", not "true" or "false"`,
		"configmap/none does not exist: its refs are left as they are",
	}, decide(pin.Request{Old: &before, New: after}, facts).Warnings)
	assert.Empty(t, decide(pin.Request{Old: &after, New: after}, facts).Warnings, "it was told")
}

func TestANamespaceOptsIn(t *testing.T) {
	new := written{pins: "-", refs: []string{"app"}, bare: true}
	got := decide(pin.Request{New: new.object(t), NamespaceEnabled: true}, world(a1))
	object, err := workload.Lookup("apps", "Deployment").Read(apply(t, new.json(), got))
	require.NoError(t, err)
	assert.Equal(t, "true", object.Labels[wellknown.Enabled])
	assert.Equal(t, "configmap/app="+a1, object.Template.Annotations[wellknown.Pins])

	out := new
	out.labels = map[string]string{"enabled": "false"}
	assert.Empty(t, decide(pin.Request{New: out.object(t), NamespaceEnabled: true}, world(a1)).Patch)
}

func TestWanted(t *testing.T) {
	old := on(a2, a2).object(t)
	request := pin.Request{Old: &old, New: on(a2, a1, "plain").object(t)}
	assert.Equal(t, []refs.Target{target("app"), target(a1), target(a2), target("plain")}, wanted(request, nil))
	assert.Empty(t, wanted(request, world(a2)))

	unknown := pin.Request{New: on("", a1).withPins("-").object(t)}
	assert.Equal(t, []refs.Target{target("app")}, wanted(unknown, pin.Facts{target(a1): {Role: pin.Snapshot, Of: "app"}}),
		"what a snapshot is of is wanted next")
}

func TestWarningsFit(t *testing.T) {
	long := strings.Repeat("x", 240)
	facts := pin.Facts{
		target(long):          {Role: pin.Source, Current: long + "-aaaaaaaaaaaa", Digest: "a"},
		target(long + "none"): {Role: pin.Absent},
	}
	got := decide(pin.Request{New: on("", long, long+"none").object(t)}, facts)
	require.Len(t, got.Warnings, 2)
	for _, warning := range got.Warnings {
		assert.LessOrEqual(t, len(warning), 120, warning)
		t.Log(warning)
	}
}

func ExampleCase() {
	deployment := workload.Lookup("apps", "Deployment")
	object, _ := deployment.Read(`{
		"metadata": {"name": "web", "labels": {"configpin.io/enabled": "true"}},
		"spec": {"template": {"metadata": {}, "spec": {"containers": [{"name": "web", "envFrom": [{"configMapRef": {"name": "app"}}]}]}}}}`)
	facts := pin.Facts{
		{Kind: wellknown.ConfigMap, Name: "app"}: {Role: pin.Source, Current: "app-3f0c2a9b81de", Digest: "3f0c…"},
	}
	decision := decide(pin.Request{New: object}, facts)
	fmt.Println(decision.Warnings[0])
	fmt.Println(decision.Patch[0].Path, decision.Patch[0].Value)
	// Output:
	// configmap/app: pinned to app-3f0c2a9b81de
	// /spec/template/spec/containers/0/envFrom/0/configMapRef/name app-3f0c2a9b81de
}

func TestPinsThatNobodyCanHaveWritten(t *testing.T) {
	for name, entry := range map[string]string{
		"a snapshot with a path for a name":                 "configmap/app=../shop/app-1",
		"a source with a path for a name":                   "configmap/shop/app=app-1",
		"a source that is a folder":                         "configmap/..=app-1",
		"a snapshot with a suffix that is no label's value": "configmap/app=" + strings.Repeat("a", 64),
		"a snapshot that is its source":                     "configmap/app=app",
		"a snapshot without a name":                         "configmap/app=",
	} {
		assert.Empty(t, pin.ParsePins(entry), name)
	}
	assert.Len(t, pin.ParsePins("configmap/app="+a1+",configmap/..=x"), 1, "the others count")
}
