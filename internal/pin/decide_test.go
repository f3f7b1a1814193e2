package pin_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/configpin/configpin/internal/pin"
	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/wellknown"
)

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
