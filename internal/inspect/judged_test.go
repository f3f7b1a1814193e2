package inspect_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/configpin/configpin/internal/inspect"
	"github.com/configpin/configpin/internal/pin"
	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/wellknown"
)

func TestEnabled(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name      string
		label     string // none where empty
		namespace bool
		hidden    string
		why       string
		meant     bool
	}{
		{"it says so", "true", false, "", "", true},
		{"it says so, whatever its namespace does", "true", false, "hidden", "", true},
		{"its namespace says so", "", true, "", "", true},
		{"its namespace says so, of which nobody may know", "", true, "hidden", "", true},
		{"nobody says so", "", false, "", "not opted in", true},
		{"nobody may know", "", false, "hidden", "hidden", false},
		{"it says that it isn't", "false", true, "", "not opted in", true},
		{"it says that it isn't, where nobody may know", "false", false, "hidden", "not opted in", true},
		{"it lost its label", "released", false, "", "to be opted out once the webhook answers, since it lost its label", true},
		{"it lost its label, whatever its namespace does", "released", true, "hidden", "to be opted out once the webhook answers, since it lost its label", true},
		{"nobody knows what it says", "yes", true, "", `label configpin.io/enabled is "yes", not "true" or "false"`, false},
		{"nobody knows what it says, nor what its namespace does", "yes", false, "hidden", `label configpin.io/enabled is "yes", not "true" or "false"`, false},
	} {
		subject := deployment{labels: map[string]string{wellknown.Enabled: test.label}}.subject(t)
		if test.label == "" {
			delete(subject.Labels, wellknown.Enabled)
		}
		subject.NamespaceEnabled, subject.NamespaceHidden = test.namespace, test.hidden
		why, meant := subject.Enabled()
		assert.Equal(t, test.why, why, test.name)
		assert.Equal(t, test.meant, meant, test.name)
	}
}

// What comes first where several things can be said of a ref.
func TestWhatIsSaidFirst(t *testing.T) {
	t.Parallel()
	app := source("app", "two")
	one, two := nameOf("app", "one"), nameOf("app", "two")
	all := []snapshot.Object{app, kept(source("app", "one"), 1), kept(app, 2)}
	several := func(names ...string) deployment {
		d := pinned("one", "two")
		d.names = names
		return d
	}
	manual := func(d deployment) deployment {
		d.labels[wellknown.Rollout] = wellknown.RolloutManual
		return d
	}
	misspelt := func(d deployment) deployment {
		d.labels[wellknown.Enabled] = "True"
		return d
	}
	forsaken := func(versioned string) []snapshot.Object {
		plain := source("app", "two")
		plain.Annotations = map[string]string{wellknown.Versioned: versioned}
		return []snapshot.Object{plain, kept(source("app", "one"), 1)}
	}
	squatter := kept(app, 2)
	squatter.Data = map[string]string{"word": "forged"}
	for _, test := range []struct {
		name    string
		written deployment
		known   []snapshot.Object
		hidden  string
		want    inspect.Ref
	}{
		{
			"the source is hidden, and the snapshot is gone", pinned("two", "two"), nil, "app",
			inspect.Ref{State: inspect.Unknown, Reason: "you may not read it", Pinned: two},
		},
		{
			"one of several snapshots is gone", several(one, two),
			[]snapshot.Object{app, kept(app, 2)},
			"",
			inspect.Ref{State: inspect.Missing, Reason: "new Pods can't start", Pinned: one, Live: two, LiveRevision: 2},
		},
		{
			"there are several snapshots, and one is a hold", several(one, two), all, "",
			inspect.Ref{State: inspect.Kept, Reason: "the template names several snapshots of it", Pinned: one, PinnedRevision: 1, Live: two, LiveRevision: 2},
		},
		{
			"a hold is about to be named everywhere", several(one, "app"), all, "",
			inspect.Ref{State: inspect.Settling, Reason: "to be pinned to " + one, Live: two, LiveRevision: 2},
		},
		{
			"only deploys move what is current", manual(pinned("two", "two")), all, "",
			inspect.Ref{State: inspect.Current, OK: true, Pinned: two, PinnedRevision: 2, Live: two, LiveRevision: 2},
		},
		{
			"only deploys move what has no source", manual(pinned("one", "one")), all[1:2], "",
			inspect.Ref{State: inspect.Kept, Reason: "the source does not exist", Pinned: one, PinnedRevision: 1},
		},
		{
			"something else has the name", pinned("two", "two"),
			[]snapshot.Object{app, squatter},
			"",
			inspect.Ref{State: inspect.Missing, Reason: "it is not what its name says", Pinned: two, PinnedRevision: 2, Live: two, LiveRevision: 2},
		},
		{
			"nobody understands whether it is opted in", misspelt(pinned("one", "two")), all, "",
			inspect.Ref{State: inspect.Kept, Reason: `label configpin.io/enabled is "True", not "true" or "false"`, Pinned: one, PinnedRevision: 1, Live: two, LiveRevision: 2},
		},
		{
			"the source isn't versioned any more", pinned("one", "one"), forsaken(""), "",
			inspect.Ref{State: inspect.Kept, Reason: "not versioned any more, so it gets no changes", Pinned: one, PinnedRevision: 1},
		},
		{
			"nor is it pinned",
			deployment{names: []string{"app"}, pins: "configmap/app=" + one},
			forsaken(""), "",
			inspect.Ref{State: inspect.Unpinned, Reason: "not versioned", OK: true},
		},
		{
			"nobody understands whether the source is versioned", pinned("one", "one"), forsaken("yes"), "",
			inspect.Ref{State: inspect.Kept, Reason: `annotation configpin.io/versioned is "yes", not "true" or "false"`, Pinned: one, PinnedRevision: 1},
		},
		{
			"it isn't pinned, and is excluded",
			deployment{names: []string{"app"}, exclude: "configmap/app"},
			all, "",
			inspect.Ref{State: inspect.Unpinned, Reason: "excluded", OK: true, Live: two, LiveRevision: 2},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			known := index(test.known...)
			if test.hidden != "" {
				known.Hide(refs.Target{Kind: wellknown.ConfigMap, Name: test.hidden}, "you may not read it")
			}
			found := test.written.subject(t).Status(known)
			require.Len(t, found, 1)
			assert.Equal(t, theApp, found[0].Target())
			assertRef(t, test.want, found[0])
		})
	}
}

func assertRef(t *testing.T, want, got inspect.Ref) {
	t.Helper()
	want.Source = got.Target().String()
	assert.Equal(t, fmt.Sprintf("%+v", flat(want)), fmt.Sprintf("%+v", flat(got)))
}

// flat is what is told of a ref.
func flat(r inspect.Ref) []any {
	return []any{r.Source, r.State, r.Reason, r.OK, r.Pinned, r.PinnedRevision, r.Live, r.LiveRevision}
}

// What is said of refs about which admission decides nothing.
func TestStatusOutside(t *testing.T) {
	t.Parallel()
	one := nameOf("app", "one")
	app, made := source("app", "one"), kept(source("app", "one"), 4)
	for _, test := range []struct {
		name      string
		names     string
		pins      string
		label     string // none where empty
		namespace string // why it is hidden
		known     []snapshot.Object
		hidden    string
		unserved  bool
		want      inspect.Ref
	}{
		{
			name: "pinned before the opt-out, and the snapshot is gone", names: one, pins: "configmap/app=" + one, label: "false", known: []snapshot.Object{app},
			want: inspect.Ref{State: inspect.Kept, Reason: "not opted in", Pinned: one},
		},
		{
			name: "pinned before the opt-out, and the source is gone", names: one, pins: "configmap/app=" + one, label: "false", known: []snapshot.Object{made},
			want: inspect.Ref{State: inspect.Kept, Reason: "not opted in, and the source does not exist", Pinned: one, PinnedRevision: 4},
		},
		{
			name: "not opted in, and there is nothing", names: "app", label: "false",
			want: inspect.Ref{State: inspect.Unpinned, Reason: "not opted in", OK: true},
		},
		{
			name: "nobody knows whether it is opted in, and the source is gone", names: one, pins: "configmap/app=" + one, namespace: "no namespaces", known: []snapshot.Object{made},
			want: inspect.Ref{State: inspect.Unknown, Reason: "no namespaces", Pinned: one, PinnedRevision: 4},
		},
		{
			name: "nobody knows whether it is opted in, nor what the source is", names: "app", namespace: "no namespaces", hidden: "app",
			want: inspect.Ref{State: inspect.Unknown, Reason: "you may not read it"},
		},
		{
			name: "not served, and the snapshot is gone", names: one, pins: "configmap/app=" + one, label: "true", unserved: true,
			want: inspect.Ref{State: inspect.Missing, Reason: one + " does not exist, and not served", Pinned: one},
		},
		{
			name: "not served, and the snapshot is there", names: one, pins: "configmap/app=" + one, label: "true", unserved: true, known: []snapshot.Object{made},
			want: inspect.Ref{State: inspect.Kept, Reason: "not served", OK: true, Pinned: one, PinnedRevision: 4},
		},
		{
			name: "not served, and nobody may know whether the snapshot is there", names: one, pins: "configmap/app=" + one, label: "true", unserved: true, hidden: one,
			want: inspect.Ref{State: inspect.Kept, Reason: "not served", OK: true, Pinned: one},
		},
		{
			name: "not served, and hidden as well", names: "app", label: "true", unserved: true, hidden: "app",
			want: inspect.Ref{State: inspect.Unpinned, Reason: "not served", OK: true},
		},
		{
			name: "not served, and not opted in", names: "app", label: "false", unserved: true,
			want: inspect.Ref{State: inspect.Unpinned, Reason: "not served", OK: true},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			known := index(test.known...)
			if test.hidden != "" {
				known.Hide(refs.Target{Kind: wellknown.ConfigMap, Name: test.hidden}, "you may not read it")
			}
			if test.unserved {
				known.Unserve(wellknown.ConfigMap, "not served")
			}
			subject := deployment{names: []string{test.names}, pins: test.pins, labels: map[string]string{wellknown.Enabled: test.label}}.subject(t)
			if test.label == "" {
				delete(subject.Labels, wellknown.Enabled)
			}
			subject.NamespaceHidden = test.namespace
			found := subject.Status(known)
			require.Len(t, found, 1)
			assert.Equal(t, theApp, found[0].Target())
			assertRef(t, test.want, found[0])
		})
	}
}

// A namespace opts in what is written in it.
func TestStatusInAnEnabledNamespace(t *testing.T) {
	t.Parallel()
	subject := deployment{names: []string{"app"}}.subject(t)
	delete(subject.Labels, wellknown.Enabled)
	subject.NamespaceEnabled = true
	found := subject.Status(index(source("app", "one")))
	require.Len(t, found, 1)
	assert.Equal(t, inspect.Settling, found[0].State)
}

func TestStatusIsSorted(t *testing.T) {
	t.Parallel()
	names := []string{"f", "b", "d", "a", "e", "c", "g"}
	var told []string
	for _, ref := range (deployment{names: names}).subject(t).Status(index()) {
		told = append(told, ref.Source)
	}
	assert.Equal(t, []string{"configmap/a", "configmap/b", "configmap/c", "configmap/d", "configmap/e", "configmap/f", "configmap/g"}, told)
}

// A name is of the source that the pins say, of the same kind.
func TestSourcesByPins(t *testing.T) {
	t.Parallel()
	subject := deployment{
		names: []string{"x-1", "b-2"}, labels: map[string]string{wellknown.Enabled: "false"},
		pins: "configmap/app=x-1,configmap/b=b-2,secret/a=x-1,secret/z=x-1",
	}.subject(t)
	for range 50 { // the order of pins is that of a map
		var told []string
		for _, ref := range subject.Status(index()) {
			told = append(told, ref.Source+"="+ref.Pinned)
		}
		assert.Equal(t, []string{"configmap/app=x-1", "configmap/b=b-2"}, told)
	}
	assert.Equal(t, []string{"/spec/template/spec/volumes/0/configMap/name"}, subject.Pointers(theApp, index()))
	named := subject.Named(theApp, "app", index())
	assert.JSONEq(t, `{"volumes": [{"configMap": {"name": "app"}}, {"configMap": {"name": "b-2"}}]}`, named.Template.Spec)
}

// Something that can't be kept has to be done about, also where Pods start without it.
func TestStatusOfAnOptionalSourceThatIsNeverKept(t *testing.T) {
	t.Parallel()
	secret := password(t, "one")
	secret.Type = "helm.sh/release.v1"
	subject := deployment{}.subject(t)
	subject.Template.Spec = `{"volumes": [{"secret": {"secretName": "db", "optional": true}}]}`
	found := subject.Status(index(secret))
	require.Len(t, found, 1)
	assert.Equal(t, "type helm.sh/release.v1 is never kept", found[0].Reason)
	assert.False(t, found[0].OK)
}

// Whether one source is needed says nothing of another.
func TestOptionalIsOfOneSource(t *testing.T) {
	t.Parallel()
	subject := deployment{}.subject(t)
	subject.Template.Spec = `{"volumes": [{"configMap": {"name": "app", "optional": true}}, {"configMap": {"name": "other"}}]}`
	found := subject.Status(index())
	require.Len(t, found, 2)
	assert.True(t, found[0].OK)
	assert.False(t, found[1].OK)
}

// A source that only variables name whose names repeat isn't pinned, and that has to be told.
func TestStatusOfRepeatedVariables(t *testing.T) {
	t.Parallel()
	subject := deployment{}.subject(t)
	subject.Template.Spec = `{"containers": [{"name": "a", "env": [{"name": "X"}, {"name": "X", "valueFrom": {"configMapKeyRef": {"name": "app", "key": "word"}}}]}]}`
	found := subject.Status(index(source("app", "one")))
	require.Len(t, found, 1)
	assert.Equal(t, inspect.Unpinned, found[0].State)
	assert.Equal(t, inspect.Because[pin.ReasonRepeated], found[0].Reason)
	assert.NotEmpty(t, found[0].Reason)
	assert.False(t, found[0].OK)
}

// An undo leaves variables alone whose names repeat, as admission does: those that name the
// source. What an earlier release pinned of them goes along, or two snapshots were named.
func TestAnUndoLeavesRepeatedVariablesAlone(t *testing.T) {
	t.Parallel()
	app := source("app", "two")
	known := index(app, kept(source("app", "one"), 1), kept(app, 2))
	one, two := nameOf("app", "one"), nameOf("app", "two")
	variable := func(name string) string {
		return fmt.Sprintf(`{"name": "X"}, {"name": "X", "valueFrom": {"configMapKeyRef": {"name": %q, "key": "word"}}}`, name)
	}
	const repeated, firm = "/spec/template/spec/containers/0/env/1/valueFrom/configMapKeyRef/name", "/spec/template/spec/volumes/0/configMap/name"
	for _, test := range []struct {
		name, was, is string // of the variable
		pointers      []string
	}{
		{"it names the source", "app", "app", []string{firm}},
		{"it names a snapshot", two, one, []string{repeated, firm}},
		{"it names something else", "other", "other", []string{firm}},
	} {
		subject := pinned("two", "two").subject(t)
		const spec = `{"containers": [{"name": "a", "env": [%s]}], "volumes": [{"configMap": {"name": %q}}]}`
		subject.Template.Spec = fmt.Sprintf(spec, variable(test.was), two)
		assert.Equal(t, test.pointers, subject.Pointers(theApp, known), test.name)
		assert.JSONEq(t, fmt.Sprintf(spec, variable(test.is), one), subject.Named(theApp, one, known).Template.Spec, test.name)
		taken := subject.Taken(theApp, one, known)
		assert.Empty(t, taken.Denied, test.name)
		require.NotEmpty(t, taken.Results)
		assert.Equal(t, one, taken.Results[0].To, test.name)
	}
}

// A template may refer to many sources, many times: what is told of it must not take the
// product of both.
func TestManySources(t *testing.T) {
	known := index()
	known.Hide(refs.Target{Kind: wellknown.Secret}, "you may not read it")
	costs := func(sources int, told func(inspect.Subject)) float64 {
		var names, pins []string
		for i := range sources {
			name := fmt.Sprintf("app-%d", i)
			names = append(names, name, name, name+"-111111111111")
			pins = append(pins, "configmap/"+name+"="+name+"-111111111111")
		}
		subject := deployment{names: names, pins: strings.Join(pins, ","), labels: map[string]string{wellknown.Enabled: "false"}}.subject(t)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		told(subject)
		runtime.ReadMemStats(&after)
		return float64(after.TotalAlloc - before.TotalAlloc)
	}
	for name, told := range map[string]func(inspect.Subject){
		"its status":           func(s inspect.Subject) { s.Status(known) },
		"what nobody can tell": func(s inspect.Subject) { s.Unknown(known) },
		"what an undo writes":  func(s inspect.Subject) { s.Pointers(theApp, known) },
		"what that makes":      func(s inspect.Subject) { s.Named(theApp, "app-1", known) },
	} {
		assert.Less(t, costs(400, told)/costs(100, told), 6.0, name)
	}
}
