package conformance

import (
	"fmt"
	"strings"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

// row is one line of the matrix of rollbacks: something that is done to a workload
// that was rolled back, and what becomes of it.
type row struct {
	name string
	tool deployer // by which the workload came
	do   func(*rolledBack) said

	// only are the kinds that it is done to; nil for all that roll out. Of them, a tool
	// that brings its own programs plays one: see matrix.
	only []string

	// extra says that the workload uses a source of that name, too.
	extra bool

	want want
}

// want is what becomes of the workload.
type want struct {
	content   string // which it is pinned to: blue, green or red
	held      bool
	revisions int // ReplicaSets or ControllerRevisions that are new

	// generation says that it moves, which says to controllers that what is asked
	// of them changed; written, that the object was stored again at all.
	generation, written bool

	// says is in what the tool prints.
	says string
}

// kinds that roll out.
var rolling = []string{"Deployment", "StatefulSet", "DaemonSet"}

// rolledBack is a workload that is pinned to blue while its source holds green,
// because somebody undid the rollout of green.
type rolledBack struct {
	*space
	tool        deployer
	web         *unstructured.Unstructured // its manifest
	declared    []*unstructured.Unstructured
	blue, green string // the snapshots
}

// matrix plays each row with each kind. What a deploy tool sends doesn't depend on the
// kind, and to build and run it costs most of such a row: its rows take the kinds in
// turn, each tool beginning with another.
func matrix(rows []row) []scenario {
	var all []scenario
	turn := map[string]int{}
	for _, r := range rows {
		kinds := rolling
		if r.only != nil {
			kinds = r.only
		}
		if r.tool.there != nil {
			if _, begun := turn[r.tool.name]; !begun {
				turn[r.tool.name] = len(turn)
			}
			kinds = kinds[turn[r.tool.name]%len(kinds):][:1]
			turn[r.tool.name]++
		}
		for _, kind := range kinds {
			all = append(all, scenario{"held: " + r.name + ": " + kind, func(s *space) { r.play(s, kind) }})
		}
	}
	return all
}

// rollBack deploys blue, then green, by a tool, takes the workload back, and lets
// everything pass that the undo may have set off.
func (s *space) rollBack(kind string, tool deployer, uses ...use) *rolledBack {
	s.t.Helper()
	w := s.undone(kind, tool, uses...)
	s.pass()
	return w
}

// undone is rollBack for those who let everything pass later.
func (s *space) undone(kind string, tool deployer, uses ...use) *rolledBack {
	s.t.Helper()
	s.need(tool)
	w := &rolledBack{space: s, tool: tool}
	w.web = optedIn(s.t, kind, "web", append([]use{envFrom("app"), volume("app"), colourEnv}, uses...)...)
	w.declare("blue")
	w.deploy()
	w.blue = s.showing(w.web, "app", "blue")
	s.noDrift(w)
	s.rolledOut(w.web, 1)
	w.declare("green")
	w.deploy()
	w.green = s.showing(w.web, "app", "green")
	s.rolledOut(w.web, 2)
	s.complete(w.web)
	s.undo(w.web)
	require.Equal(s.t, "blue", s.colourOf(w.web, "app"))
	s.rolledOut(w.web, 2)
	s.complete(w.web)
	return w
}

// declare says what is declared: the source in a colour, and the workload.
func (w *rolledBack) declare(value string) {
	w.t.Helper()
	if w.hash != nil {
		w.hash(w.web, value)
	}
	w.declared = []*unstructured.Unstructured{sourceManifest("app", value), w.web}
}

func (w *rolledBack) deploy(flags ...string) said {
	w.t.Helper()
	return w.tool.run(w.space, w.declared, flags...)
}

// seen is a workload as the matrix sees it.
type seen struct {
	content    string
	held       bool
	revisions  int
	generation int64
	version    string
}

func (w *rolledBack) look() seen {
	w.t.Helper()
	stored := w.get(w.web)
	return seen{
		content:    w.colourOf(w.web, "app"),
		held:       w.held(w.web, "app"),
		revisions:  len(w.revisions(w.web)),
		generation: stored.GetGeneration(),
		version:    stored.GetResourceVersion(),
	}
}

func (r row) play(s *space, kind string) {
	s.t.Helper()
	var uses []use
	if r.extra {
		s.source("extra", "grey")
		uses = append(uses, envFrom("extra"))
	}
	w := s.undone(kind, r.tool, uses...)
	before := w.look()
	require.True(s.t, before.held)
	said := r.do(w)
	s.pass()
	s.rolledOut(w.web, before.revisions+r.want.revisions)
	s.complete(w.web)
	after := w.look()
	assert.Equal(s.t, r.want, want{
		content:    after.content,
		held:       after.held,
		revisions:  after.revisions - before.revisions,
		generation: after.generation != before.generation,
		written:    after.version != before.version,
		says:       r.want.says,
	})
	assert.Contains(s.t, said.out+said.err, r.want.says)
	s.noDrift(w)
}

// noDrift checks that a tool which looks for differences finds none: admission is
// asked by a dry run, and answers what is stored.
func (s *space) noDrift(w *rolledBack) {
	s.t.Helper()
	if w.tool.drift != nil {
		assert.Empty(s.t, w.tool.drift(s, w.declared), "%s finds a difference", w.tool.name)
	}
}

// complete waits until a workload's controller has nothing left to do, so that
// nobody writes the object any more.
func (s *space) complete(of *unstructured.Unstructured) {
	s.t.Helper()
	s.eventually(of.GetName()+" has rolled out completely", func() (string, bool) {
		status := completeness(s.get(of))
		return status, status == ""
	})
}

// completeness tells what is missing.
func completeness(of *unstructured.Unstructured) string {
	from := func(into any) error {
		return runtime.DefaultUnstructuredConverter.FromUnstructured(of.Object, into)
	}
	var observed int64
	var missing string
	var err error
	switch of.GetKind() {
	case "Deployment":
		var d appsv1.Deployment
		err = from(&d)
		observed = d.Status.ObservedGeneration
		if s := d.Status; s.UpdatedReplicas != *d.Spec.Replicas || s.AvailableReplicas != *d.Spec.Replicas ||
			s.Replicas != *d.Spec.Replicas || s.TerminatingReplicas != nil && *s.TerminatingReplicas > 0 || !progressed(d) {
			missing = fmt.Sprintf("%+v", s)
		}
	case "StatefulSet":
		var set appsv1.StatefulSet
		err = from(&set)
		observed = set.Status.ObservedGeneration
		if s := set.Status; s.CurrentRevision != s.UpdateRevision || s.AvailableReplicas != *set.Spec.Replicas || s.Replicas != *set.Spec.Replicas {
			missing = fmt.Sprintf("%+v", s)
		}
	case "DaemonSet":
		var set appsv1.DaemonSet
		err = from(&set)
		observed = set.Status.ObservedGeneration
		if s := set.Status; s.UpdatedNumberScheduled != s.DesiredNumberScheduled || s.NumberAvailable != s.DesiredNumberScheduled {
			missing = fmt.Sprintf("%+v", s)
		}
	default:
		return "" // nothing rolls out
	}
	switch {
	case err != nil:
		return err.Error()
	case observed != of.GetGeneration():
		return fmt.Sprintf("its controller saw generation %d, and it is %d", observed, of.GetGeneration())
	}
	return missing
}

// progressed says whether the Deployment controller calls the rollout complete.
func progressed(d appsv1.Deployment) bool {
	for _, condition := range d.Status.Conditions {
		if condition.Type == appsv1.DeploymentProgressing {
			return condition.Status == corev1.ConditionTrue && condition.Reason == "NewReplicaSetAvailable"
		}
	}
	return false
}

// revisionOf is the number of the newest revision whose template is pinned to a
// snapshot.
func (w *rolledBack) revisionOf(snapshotName string) string {
	w.t.Helper()
	number := ""
	for _, kept := range w.revisions(w.web) {
		if strings.Contains(describe(refsOf(kept.template.Spec)), "configmap/"+snapshotName) {
			number = kept.text()
		}
	}
	require.NotEmpty(w.t, number, "no revision names %s", snapshotName)
	return number
}
