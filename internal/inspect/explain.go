package inspect

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"

	appsv1 "k8s.io/api/apps/v1"

	"github.com/configpin/configpin/internal/hashing"
	"github.com/configpin/configpin/internal/pin"
	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/wellknown"
	"github.com/configpin/configpin/internal/workload"
)

// Occasion is something that may happen to a workload or to its sources.
type Occasion string

// The occasions.
const (
	Apply   Occasion = "apply"   // the same manifest is applied once more
	Deploy  Occasion = "deploy"  // a manifest with another template is applied
	Restart Occasion = "restart" // the template gets an annotation, as by kubectl rollout restart
	Edit    Occasion = "edit"    // one source gets another content
	Resume  Occasion = "resume"  // somebody gives up every hold
	OptIn   Occasion = "opt-in"  // somebody opts it in
	Undo    Occasion = "undo"    // one source is taken to another snapshot
)

// Prospect is what would come of an occasion.
type Prospect struct {
	Occasion Occasion `json:"occasion"`

	// Edited is the source that gets another content.
	Edited string `json:"edited,omitempty"`

	// Rolls says that the template changes, so that its Pods are replaced.
	Rolls bool `json:"rolls"`

	// Denied is why the request would be refused.
	Denied string `json:"denied,omitempty"`

	Results []Result `json:"results"`

	// Unknown are sources of which nobody can tell, since they can't be read: they may
	// make the template change, too.
	Unknown []string `json:"unknown,omitempty"`

	Warnings []string `json:"warnings,omitempty"`
}

// Result is what would become of one source.
type Result struct {
	Source string     `json:"source"`
	From   string     `json:"from"`
	To     string     `json:"to"`
	Reason pin.Reason `json:"reason"`

	// New says that To is the snapshot of a content that isn't known yet.
	New bool `json:"new,omitempty"`
}

// Prospects are what would come of the occasions that concern a workload.
func (s Subject) Prospects(known *Index) []Prospect {
	if why, _ := s.Enabled(); why != "" {
		return []Prospect{s.prospect(OptIn, s.OptedIn(), known)}
	}
	request := known.Case(s.Request())
	now, facts := request.Decide(), request.Facts()
	applied := s.declared(now)
	if s.Kind.Frozen {
		return []Prospect{s.prospect(Apply, applied, known)}
	}
	prospects := []Prospect{
		s.prospect(Apply, applied, known),
		s.prospect(Deploy, annotated(applied), known),
	}
	if s.Kind.Group == appsv1.GroupName { // kubectl restarts nothing else
		prospects = append(prospects, s.prospect(Restart, annotated(s.Object), known))
	}
	for _, outcome := range now.Outcomes {
		if facts[outcome.Source].Role == pin.Source {
			prospects = append(prospects, s.edited(outcome.Source, known))
		}
	}
	if slices.ContainsFunc(now.Outcomes, func(o pin.Outcome) bool { return o.Held }) {
		prospects = append(prospects, s.prospect(Resume, s.labelled(wellknown.Resume), known))
	}
	return prospects
}

// Taken is what would come of taking one source of a workload to another snapshot.
func (s Subject) Taken(source refs.Target, name string, known *Index) Prospect {
	return s.prospect(Undo, s.Named(source, name, known), known)
}

// Resumed are the sources of which something changes when somebody gives up every hold:
// what is pinned, or, where From and To are the same, that it is held there.
func (s Subject) Resumed(known *Index) []Result {
	request := s.Request()
	request.New = s.labelled(wellknown.Resume)
	var all []Result
	for _, o := range known.Case(request).Decide().Outcomes {
		offered := s.Labels[snapshot.ObservedLabel(o.Source.Kind, o.Source.Name)]
		ends := o.Ended && offered != "" && offered != snapshot.Suffix(o.In)
		if !o.Moves() && !ends {
			continue
		}
		result := Result{Source: o.Source.String(), From: o.In, To: o.Name, Reason: o.Reason, New: New(o.Name)}
		if result.New {
			result.To = ""
		}
		all = append(all, result)
	}
	return all
}

// OptedIn is the workload as somebody writes it who opts it in.
func (s Subject) OptedIn() workload.Object { return s.labelled(wellknown.Enabled) }

// labelled is the workload with a label that says true.
func (s Subject) labelled(key string) workload.Object {
	object := s.Object
	object.Labels = map[string]string{}
	maps.Copy(object.Labels, s.Labels)
	object.Labels[key] = wellknown.True
	return object
}

// declared is the workload as its manifest most likely says it: with the names of
// sources.
func (s Subject) declared(now pin.Decision) workload.Object {
	sources := map[refs.Target]string{}
	for _, outcome := range now.Outcomes {
		sources[refs.Target{Kind: outcome.Source.Kind, Name: outcome.In}] = outcome.Source.Name
	}
	object := s.Object
	object.Template.Spec = refs.Rewrite(s.Template.Spec, refs.Walk(s.Template.Spec), func(ref refs.Ref) string {
		return cmp.Or(sources[ref.Target], ref.Name)
	})
	return object
}

// annotated is a workload with another template: by an annotation that has nothing to
// do with us.
func annotated(object workload.Object) workload.Object {
	metadata := map[string]any{}
	if object.Template.Metadata != "" {
		_ = json.Unmarshal([]byte(object.Template.Metadata), &metadata) // valid, or it would not have been read
	}
	annotations, _ := metadata["annotations"].(map[string]any)
	if annotations == nil {
		annotations = map[string]any{}
	}
	annotations["kubectl.kubernetes.io/restartedAt"] = "now"
	metadata["annotations"] = annotations
	text, _ := json.Marshal(metadata) // it was unmarshalled
	object.Template.Metadata = string(text)
	return object
}

func (s Subject) prospect(occasion Occasion, written workload.Object, known *Index) Prospect {
	request := s.Request()
	request.New = written
	return s.tell(Prospect{Occasion: occasion}, known.Case(request), known)
}

// edited is what comes of another content of a source: it is offered to the workload
// as it is.
func (s Subject) edited(source refs.Target, known *Index) Prospect {
	changed := known.Case(s.Request())
	fact := changed.Facts()[source]
	fact.Digest = hashing.Name(fact.Digest) // of no content that there was
	fact.Current, fact.Problem = snapshot.Name(source.Name, unnamed), ""
	changed.Learn(pin.Facts{source: fact})
	p := s.tell(Prospect{Occasion: Edit, Edited: source.String()}, changed, known)
	p.Results = slices.DeleteFunc(p.Results, func(r Result) bool { return r.Source != source.String() && r.From == r.To })
	p.Warnings = nil // nobody sees those of a touch
	return p
}

func (s Subject) tell(p Prospect, of *pin.Case, known *Index) Prospect {
	decision := of.Decide()
	p.Denied, p.Warnings = decision.Denied, decision.Warnings
	if decision.Denied != "" {
		return p
	}
	p.Rolls = foreignTemplate(of.Request())
	before := map[refs.Target]string{}
	was := pin.NewCase(pin.Request{New: s.OptedIn(), Old: &s.Object})
	was.Learn(of.Facts())
	for _, outcome := range was.Decide().Outcomes {
		before[outcome.Source] = outcome.In
	}
	for _, o := range decision.Outcomes {
		from := cmp.Or(before[o.Source], o.In)
		p.Rolls = p.Rolls || o.Name != from
		result := Result{Source: o.Source.String(), From: from, To: o.Name, Reason: o.Reason, New: New(o.Name)}
		if result.New {
			result.To = ""
		}
		if known.Hidden(o.Source) == "" {
			p.Results = append(p.Results, result)
		}
	}
	p.Unknown = s.Unknown(known)
	return p
}

// Unknown are the sources, sorted, of which nothing can be concluded, since they are
// hidden.
func (s Subject) Unknown(known *Index) []string {
	var all []string
	sourceOf := s.sourceOf(known)
	for _, ref := range refs.Walk(s.Template.Spec) {
		source, _ := sourceOf(ref.Target)
		if known.unserved[source.Kind] == "" && (known.Hidden(source) != "" || known.Hidden(ref.Target) != "") {
			all = append(all, source.String())
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// foreignTemplate says whether the template differs in more than names.
func foreignTemplate(request pin.Request) bool {
	return request.New.Template.Metadata != request.Old.Template.Metadata
}

// Because says, of each reason, why the decision is as it is.
var Because = map[pin.Reason]string{
	pin.ReasonFrozen:       "the template of a Job can't change",
	pin.ReasonAmbiguous:    "the template names several snapshots of it, and did before",
	pin.ReasonSeenAgain:    "it is our own answer, seen again",
	pin.ReasonExcluded:     "the template excludes it",
	pin.ReasonUnclear:      "nobody understands whether it is to be pinned",
	pin.ReasonNotVersioned: "it is not versioned",
	pin.ReasonGone:         "that snapshot does not exist",
	pin.ReasonResumed:      "somebody gives up the hold",
	pin.ReasonRestored:     "a new workload keeps the snapshot that it names",
	pin.ReasonCreated:      "a new workload gets what the source holds",
	pin.ReasonOutdated:     "it comes with the label of its own time, as out of an exported manifest, and is no rollback",
	pin.ReasonRolledBack:   "the template names another snapshot",
	pin.ReasonDeployed:     "a changed template names the source: what is declared wins",
	pin.ReasonUndone:       "another source is rolled back, and the undo must find its revision",
	pin.ReasonManual:       "only deploys change its pins",
	pin.ReasonHeld:         "it was taken back on purpose, and the source hasn't changed since",
	pin.ReasonReapplied:    "an unchanged template names the source",
	pin.ReasonTouched:      "it follows what the source holds",
	pin.ReasonUnavailable:  "what the source holds can't be pinned",
	pin.ReasonDropped:      "the source was deleted, and its refs are optional",
	pin.ReasonRepeated:     "only variables whose names repeat refer to it",
}
