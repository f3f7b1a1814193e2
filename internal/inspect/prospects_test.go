package inspect_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/configpin/configpin/internal/inspect"
	"github.com/configpin/configpin/internal/pin"
	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/wellknown"
	"github.com/configpin/configpin/internal/workload"
)

// of returns the prospect of an occasion, and for Edit that of one source.
func of(t *testing.T, all []inspect.Prospect, occasion inspect.Occasion, edited string) inspect.Prospect {
	t.Helper()
	for _, p := range all {
		if p.Occasion == occasion && p.Edited == edited {
			return p
		}
	}
	require.Fail(t, "there is no such prospect", "%s %s", occasion, edited)
	return inspect.Prospect{}
}

func occasions(all []inspect.Prospect) []inspect.Occasion {
	var found []inspect.Occasion
	for _, p := range all {
		found = append(found, p.Occasion)
	}
	return found
}

// kubectl restarts no CronJobs, and a template without metadata gets some.
func TestProspectsOfACronJob(t *testing.T) {
	t.Parallel()
	object, err := workload.Lookup("batch", "CronJob").Read(`{"metadata": {"name": "web", "namespace": "shop", "labels": {"configpin.io/enabled": "true"}},
		"spec": {"jobTemplate": {"spec": {"template": {"spec": {"volumes": [{"configMap": {"name": "app"}}]}}}}}}`)
	require.NoError(t, err)
	all := inspect.Subject{Object: object}.Prospects(index(source("app", "one")))
	assert.Equal(t, []inspect.Occasion{inspect.Apply, inspect.Deploy, inspect.Edit}, occasions(all))
	assert.True(t, of(t, all, inspect.Deploy, "").Rolls)
}

// Metadata without annotations gets some, too.
func TestProspectsOfATemplateWithoutAnnotations(t *testing.T) {
	t.Parallel()
	object, err := workload.Lookup("apps", "Deployment").Read(`{"metadata": {"name": "web", "namespace": "shop", "labels": {"configpin.io/enabled": "true"}},
		"spec": {"template": {"metadata": {"labels": {"app": "web"}}, "spec": {"volumes": [{"configMap": {"name": "app"}}]}}}}`)
	require.NoError(t, err)
	assert.True(t, of(t, inspect.Subject{Object: object}.Prospects(index(source("app", "one"))), inspect.Restart, "").Rolls)
}

// Nobody edits what isn't there.
func TestProspectsWithoutASource(t *testing.T) {
	t.Parallel()
	all := pinned("one", "one").subject(t).Prospects(index(kept(source("app", "one"), 1)))
	assert.Equal(t, []inspect.Occasion{inspect.Apply, inspect.Deploy, inspect.Restart}, occasions(all))
}

// An edit is told with what it takes along, and without what stays.
func TestProspectsOfAnEdit(t *testing.T) {
	t.Parallel()
	behind, still := nameOf("behind", "one"), nameOf("still", "one")
	subject := deployment{
		names: []string{nameOf("app", "one"), behind, still},
		pins:  "configmap/app=" + nameOf("app", "one") + ",configmap/behind=" + behind + ",configmap/still=" + still,
	}.subject(t)
	p := of(t, subject.Prospects(index(
		source("app", "one"), source("behind", "two"), source("still", "one"),
		kept(source("app", "one"), 1), kept(source("behind", "one"), 1), kept(source("still", "one"), 1),
	)), inspect.Edit, "configmap/app")
	assert.Equal(t, []inspect.Result{
		{Source: "configmap/app", From: nameOf("app", "one"), Reason: pin.ReasonTouched, New: true},
		{Source: "configmap/behind", From: behind, To: nameOf("behind", "two"), Reason: pin.ReasonTouched},
	}, p.Results)
}

// What is refused has no other results.
func TestProspectsOfWhatIsDenied(t *testing.T) {
	t.Parallel()
	app, written := source("app", "two"), pinned("one", "one")
	written.names = []string{nameOf("app", "two")}
	p := written.subject(t).Taken(theApp, nameOf("app", "one"), index(app, kept(app, 1)))
	assert.Contains(t, p.Denied, "there is no such snapshot")
	assert.Empty(t, p.Results)
	assert.False(t, p.Rolls)
}

// From is what the template says as a whole, where it says several things.
func TestProspectsOfAMixedTemplate(t *testing.T) {
	t.Parallel()
	app := source("app", "two")
	written := pinned("one", "one")
	written.names = []string{nameOf("app", "one"), "app"}
	p := of(t, written.subject(t).Prospects(index(app, kept(source("app", "one"), 1), kept(app, 2))), inspect.Apply, "")
	assert.Equal(t, []inspect.Result{{Source: "configmap/app", From: "app", To: nameOf("app", "two"), Reason: pin.ReasonReapplied}}, p.Results)
}

// Of what is hidden nothing is told but that it is.
func TestProspectsOfWhatIsHidden(t *testing.T) {
	t.Parallel()
	app := source("app", "two")
	for _, test := range []struct {
		name    string
		hidden  []refs.Target
		without wellknown.Kind
		want    []string
	}{
		{"a source", []refs.Target{theApp}, "", []string{"configmap/app"}},
		{"a snapshot", []refs.Target{{Kind: wellknown.ConfigMap, Name: nameOf("app", "two")}}, "", []string{"configmap/app"}},
		{"several", []refs.Target{{Kind: wellknown.ConfigMap, Name: "z"}, theApp, {Kind: wellknown.ConfigMap, Name: "a"}}, "", []string{"configmap/a", "configmap/app", "configmap/z"}},
		{"nothing", nil, "", nil},
		{"what isn't served anyway", []refs.Target{theApp}, wellknown.ConfigMap, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			known := index(app, kept(app, 2))
			for _, target := range test.hidden {
				known.Hide(target, "you may not read it")
			}
			if test.without != "" {
				known.Unserve(test.without, "not served")
			}
			written := pinned("two", "two")
			written.names = append([]string{"z", "a"}, written.names...)
			subject := written.subject(t)
			assert.Equal(t, test.want, subject.Unknown(known))
			for _, p := range subject.Prospects(known) {
				assert.Equal(t, test.want, p.Unknown)
				for _, result := range p.Results {
					assert.Empty(t, test.want, result.Source)
				}
			}
		})
	}
}
