package oracle

import (
	"testing"

	"github.com/stretchr/testify/assert"
	admissionv1 "k8s.io/api/admission/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"

	"github.com/configpin/configpin/internal/wellknown"
)

// heldBy is the hold of web at blue, when it was offered green.
func heldBy(user string) Hold {
	return Hold{Kind: "Deployment", Name: "web", Source: "configmap/app", Pin: blue, Observed: suffixOf("green"), User: user, Asked: !isUs(user)}
}

func unaskedBy(user string) Hold {
	h := heldBy(user)
	h.Asked = false
	return h
}

func heldFact() Fact {
	return deployment(20, template(blue), label("observed.configpin.io/configmap.app", suffixOf("green")))
}

// variables is a template of variables that name app.
func variables(names ...string) map[string]any {
	var env []any
	for _, name := range names {
		env = append(env, map[string]any{"name": name, "valueFrom": map[string]any{"configMapKeyRef": map[string]any{"name": "app", "key": "colour"}}})
	}
	return map[string]any{"spec": map[string]any{"containers": []any{map[string]any{"name": "app", "env": env}}}}
}

var heldRows = []row{
	{name: "I5: variables whose names repeat name the source", facts: append(well(), deployment(9, variables("X", "X")))},
	{
		name:  "I5: a variable beside those whose names repeat names the source",
		facts: append(well(), deployment(9, variables("X", "X", "Y"))),
		want:  []string{"I5: Deployment web: names app, which is neither what app holds nor held"},
	},
	{
		name:  "I5: a workload is held, and nobody made it so",
		facts: movedOn(heldFact()),
		want:  []string{"I5: Deployment web: is held at " + blue + ", and nobody asked for it"},
	},
	{
		name:  "I5: a workload is held by a touch",
		facts: movedOn(heldFact()),
		holds: []Hold{unaskedBy(versionerUser)},
		want: []string{
			"I5: Deployment web: was held at " + blue + " by " + versionerUser + ", who didn't ask for it",
			"I5: Deployment web: is held at " + blue + ", and nobody asked for it",
		},
	},
	{
		name:  "I5: a workload was held by a touch for a while",
		facts: movedOn(heldFact(), deployment(21, template(green), label("observed.configpin.io/configmap.app", suffixOf("green")))),
		holds: []Hold{unaskedBy(versionerUser)},
		want:  []string{"I5: Deployment web: was held at " + blue + " by " + versionerUser + ", who didn't ask for it"},
	},
	{
		name:  "I5: a workload is held because of something else that somebody asked for",
		facts: movedOn(heldFact()),
		holds: []Hold{{Kind: "Deployment", Name: "other", Source: "configmap/app", Pin: blue, Observed: suffixOf("green"), User: person, Asked: true}},
		want:  []string{"I5: Deployment web: is held at " + blue + ", and nobody asked for it"},
	},
	{
		name:  "I5: a workload is pinned to what a longer label says that it was offered",
		facts: append(well(), deployment(10, template(snapshotName("blue")), label("observed.configpin.io/configmap.app", digestOfColour("blue")[:24]))),
	},
	{
		name: "I5: a workload is pinned to another name of what it was offered",
		facts: append(well(), keptAs(9, "app-"+digestOfColour("blue")[:24], "blue", annotation(wellknown.Revision, "2")),
			deployment(10, template("app-"+digestOfColour("blue")[:24]), label("observed.configpin.io/configmap.app", suffixOf("blue")))),
		holds: []Hold{{
			Kind: "Deployment", Name: "web", Source: "configmap/app", Pin: "app-" + digestOfColour("blue")[:24],
			Observed: suffixOf("blue"), User: versionerUser,
		}},
		want: []string{"I6: ConfigMap app-" + digestOfColour("blue")[:24] + ": keeps what " + blue + " keeps"},
	},
}

// sent is a Deployment web that names something, is pinned to something, and was offered
// something, with an image.
func sent(name, pin, observed, image string) []byte {
	metadata, annotations := "", ""
	if observed != "" {
		metadata = `,"labels":{"observed.configpin.io/configmap.app":"` + observed + `"}`
	}
	if pin != "" {
		annotations = pinnedTo("configmap/app=" + pin)
	}
	return object(name, metadata, annotations, `,"image":"`+image+`"`)
}

func TestHoldsAreAskedFor(t *testing.T) {
	t.Parallel()
	const one, two = "000000000001", "000000000002" // of app1 and app2
	held := Hold{Kind: "Deployment", Name: "web", Source: "configmap/app", Pin: app1, Observed: two}
	for name, row := range map[string]struct {
		user               string
		old, before, after []byte
		want               []Hold
	}{
		"a creation pins":                      {person, nil, sent("app", "", "", ""), sent(app1, app1, one, ""), nil},
		"a touch moves on":                     {versionerUser, sent(app1, app1, one, ""), sent(app1, app1, one, ""), sent(app2, app2, two, ""), nil},
		"a touch keeps a hold":                 {versionerUser, sent(app1, app1, two, ""), sent(app1, app1, two, ""), sent(app1, app1, two, ""), nil},
		"a touch holds":                        {versionerUser, sent(app1, app1, one, ""), sent(app1, app1, one, ""), sent(app1, app1, two, ""), []Hold{by(versionerUser, false, held)}},
		"a touch goes back":                    {versionerUser, sent(app2, app2, two, ""), sent(app2, app2, two, ""), sent(app1, app1, two, ""), []Hold{by(versionerUser, false, held)}},
		"somebody's touch holds":               {person, sent(app1, app1, one, ""), sent(app1, app1, one, ""), sent(app1, app1, two, ""), []Hold{by(person, false, held)}},
		"an undo holds":                        {person, sent(app2, app2, two, ""), sent(app1, app1, two, ""), sent(app1, app1, two, ""), []Hold{by(person, true, held)}},
		"an undo of something else holds":      {person, sent(app1, app1, one, "2"), sent(app1, app1, one, "1"), sent(app1, app1, two, "1"), []Hold{by(person, true, held)}},
		"a deployment of the source holds":     {person, sent(app1, app1, one, "1"), sent("app", "", one, "2"), sent(app1, app1, two, "2"), []Hold{by(person, false, held)}},
		"a backup is restored with its hold":   {person, nil, sent(app1, app1, two, ""), sent(app1, app1, two, ""), []Hold{by(person, true, held)}},
		"our own answer comes again":           {person, sent(app1, app1, one, ""), sent(app1, app1, two, ""), sent(app1, app1, two, ""), []Hold{by(person, true, held)}},
		"the versioner writes what holds":      {versionerUser, sent(app2, app2, two, ""), sent(app1, app1, two, ""), sent(app1, app1, two, ""), []Hold{by(versionerUser, false, held)}},
		"a hold is over":                       {person, sent(app1, app1, two, ""), sent(app1, app1, two, ""), sent(app2, app2, two, ""), nil},
		"nothing that was offered is known of": {person, sent(app1, app1, "", ""), sent(app1, app1, "", ""), sent(app2, app2, "", ""), nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &reviews{}
			request := review(row.user, row.before)
			request.OldObject = runtime.RawExtension{Raw: row.old}
			r.before(request)
			after := *request
			after.Object = runtime.RawExtension{Raw: row.after}
			r.after(&after)
			assert.Equal(t, row.want, r.holdsIn(space))
			assert.Empty(t, r.holdsIn("elsewhere"))
		})
	}
}

func by(user string, asked bool, h Hold) Hold {
	h.User, h.Asked = user, asked
	return h
}

func TestDryRunsHoldNothing(t *testing.T) {
	t.Parallel()
	r := &reviews{}
	request := review(person, sent(app1, app1, "000000000002", ""))
	request.DryRun = ptr.To(true)
	request.Operation = admissionv1.Create
	r.before(request)
	r.after(request)
	assert.Empty(t, r.holdsIn(space))
}
