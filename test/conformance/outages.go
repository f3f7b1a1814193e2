package conformance

import (
	"context"
	"fmt"
	"strings"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/configpin/configpin/internal/wellknown"
)

// versionerOutages are about a versioner that is away, dies, or isn't alone.
var versionerOutages = []scenario{
	{"a change while the versioner is away rolls out once when it is back", changeWhileAway},
	{"of ten changes while the versioner is away, what was deployed is kept, and the last rolls out", tenChangesAway},
	{"a hold survives a versioner that is killed", holdSurvives},
	{"an undo to the current snapshot that was deleted makes it again", undoToDeletedCurrent},
	{"a restart of the versioner with nothing to do is silent", silentRestart},
	{"two versioners that don't take turns roll out once per change", rivals},
	{"a versioner that exits before any of its calls, with a change that came before it", exits(false)},
	{"a versioner that exits after any of its calls, with a change that it saw come", exits(true)},
}

// withoutVersioner does something while the versioner is away.
func (s *space) withoutVersioner(do func()) {
	s.t.Helper()
	require.NoError(s.t, s.Operator.StopVersioner())
	s.t.Cleanup(func() { assert.NoError(s.t, s.Operator.StartVersioner(context.WithoutCancel(s.t.Context()))) })
	do()
	require.NoError(s.t, s.Operator.StartVersioner(s.t.Context()))
}

// insteadOfVersioner does something while other versioners, with further flags,
// have the place of the one that runs.
func (s *space) insteadOfVersioner(flags, names []string, do func()) {
	s.t.Helper()
	s.withoutVersioner(func() {
		s.t.Cleanup(func() { assert.NoError(s.t, s.Operator.StopRivals(names...)) })
		require.NoError(s.t, s.Operator.StartRivals(s.t.Context(), flags, names...))
		do()
		require.NoError(s.t, s.Operator.StopRivals(names...))
	})
}

func changeWhileAway(s *space) {
	s.source("app", "blue")
	web := s.deploy("Deployment", "web", envFrom("app"))
	s.showing(web, "app", "blue")
	s.rolledOut(web, 1)
	s.withoutVersioner(func() {
		s.edit("app", "unseen")
		s.edit("app", "green")
	})
	s.showing(web, "app", "green")
	s.pass()
	assert.Equal(s.t, 1, s.rollouts(web))
	s.rolledOut(web, 2)
}

func tenChangesAway(s *space) {
	s.source("app", "0")
	web := optedIn(s.t, "Deployment", "web", envFrom("app"))
	s.apply(web)
	s.showing(web, "app", "0")
	s.rolledOut(web, 1)
	s.withoutVersioner(func() {
		for change := range 10 {
			s.edit("app", fmt.Sprint(change+1))
			if change == 4 {
				s.apply(web)
				assert.Equal(s.t, "5", s.colourOf(web, "app"), "admission pins without the versioner")
				s.rolledOut(web, 2)
			}
		}
	})
	s.showing(web, "app", "10")
	s.pass()
	assert.Equal(s.t, 2, s.rollouts(web))
	s.rolledOut(web, 3)
	assert.Len(s.t, s.snapshots(), 3)
	s.undo(web)
	assert.Equal(s.t, "5", s.colourOf(web, "app"))
}

func holdSurvives(s *space) {
	s.source("app", "blue")
	web := s.deploy("Deployment", "web", envFrom("app"))
	s.becomesGreen(web)
	s.undo(web)
	require.NoError(s.t, s.Operator.KillVersioner())
	require.NoError(s.t, s.Operator.StartVersioner(s.t.Context()))
	s.pass()
	assert.Equal(s.t, "blue", s.colourOf(web, "app"))
	assert.Equal(s.t, 2, s.rollouts(web))
	s.edit("app", "red")
	s.showing(web, "app", "red")
}

func undoToDeletedCurrent(s *space) {
	s.source("app", "blue")
	web := s.deploy("Deployment", "web", envFrom("app"))
	s.rolledOut(web, 1)
	s.edit("app", "green")
	green := s.showing(web, "app", "green")
	s.rolledOut(web, 2)
	s.undo(web)
	s.rolledOut(web, 2)
	s.withoutVersioner(func() {
		s.removeSnapshot(green)
		s.undo(web)
		assert.Equal(s.t, green, s.pin(web, "app"))
		assert.Contains(s.t, s.snapshots(), green)
	})
}

func silentRestart(s *space) {
	s.source("app", "blue")
	s.source("held", "blue")
	web := s.deploy("Deployment", "web", envFrom("app"))
	held := s.deploy("Deployment", "held", envFrom("held"))
	s.rolledOut(held, 1)
	s.edit("held", "green")
	s.showing(held, "held", "green")
	s.rolledOut(held, 2)
	s.undo(held)
	s.deploy("StatefulSet", "store", envFrom("app"))
	s.deploy("CronJob", "report", envFrom("app"))
	s.showing(web, "app", "blue")
	s.pass()
	s.verify()

	content, events := s.content(), s.ourEvents()
	require.NoError(s.t, s.Operator.StopVersioner())
	require.NoError(s.t, s.Operator.StartVersioner(s.t.Context()))
	other := s.twin()
	other.pass()
	other.pass()
	assert.Equal(s.t, content, s.content())
	assert.Equal(s.t, events, s.ourEvents())
	other.verify()
}

// ourEvents are the Events that configpin wrote, with how often.
func (s *space) ourEvents() map[string]string {
	s.t.Helper()
	found := map[string]string{}
	for _, event := range list[eventsv1.EventList](s).Items {
		if strings.HasPrefix(event.ReportingController, wellknown.FieldManager) {
			found[event.Name] = event.ResourceVersion + " " + event.Reason + " " + event.Note
		}
	}
	return found
}

func rivals(s *space) {
	s.source("app", "0")
	web := s.deploy("Deployment", "web", envFrom("app"))
	store := s.deploy("StatefulSet", "store", volume("app"))
	s.rolledOut(web, 1)
	s.insteadOfVersioner(nil, []string{"rival-a", "rival-b"}, func() {
		const changes = 8
		for change := range changes {
			value := fmt.Sprint(change + 1)
			s.edit("app", value)
			s.showing(web, "app", value)
			s.showing(store, "app", value)
		}
		s.pass()
		for _, w := range []*unstructured.Unstructured{web, store} {
			assert.Equal(s.t, changes, s.rollouts(w), w.GetName())
		}
		numbers := map[string]string{}
		s.eventually("all snapshots are numbered", func() (string, bool) {
			numbers = map[string]string{}
			for name, number := range s.numbers() {
				numbers[number] = name
			}
			return pretty(s, numbers), len(numbers) == changes+1 && numbers[""] == ""
		})
		for change := range changes + 1 {
			kept := s.readConfigMap(numbers[fmt.Sprint(change+1)])
			assert.Equal(s.t, fmt.Sprint(change), kept.Data[colour], "revision %d", change+1)
		}
	})
}

// maxCalls is far beyond what a versioner needs for one change.
const maxCalls = 40

// exits lets a versioner exit at its first call, then at its second, and so on,
// until one is done before it gets that far. Each time another one takes over.
func exits(after bool) func(*space) {
	return func(s *space) {
		s.alone()
		s.source("app", "0")
		web := s.deploy("Deployment", "web", envFrom("app"))
		s.showing(web, "app", "0")
		s.pass()
		require.NoError(s.t, s.Operator.StopVersioner())
		s.t.Cleanup(func() { assert.NoError(s.t, s.Operator.StartVersioner(context.WithoutCancel(s.t.Context()))) })
		for call := 1; ; call++ {
			require.Less(s.t, call, maxCalls, "it makes more calls than it could need")
			value := fmt.Sprint(call)
			change := func() { s.edit("app", value) }
			if !after {
				change()
			}
			failing, err := s.Operator.StartFailing(s.t.Context(), Failure{After: after, Call: call})
			require.NoError(s.t, err)
			if after {
				change()
			}
			s.eventually("it exits at call "+value+", or is done", func() (string, bool) {
				return s.colourOf(web, "app"), failing.Failed() || s.done(web, value)
			})
			failed := failing.Failed()
			require.NoError(s.t, failing.Stop())
			require.NoError(s.t, s.Operator.StartVersioner(s.t.Context()))
			s.showing(web, "app", value)
			s.pass()
			s.verify()
			assert.Equal(s.t, call, s.rollouts(web), "a rollout per change")
			if !failed {
				s.t.Logf("a change takes fewer than %d calls", call)
				require.Greater(s.t, call, 4, "a versioner that never failed proves nothing")
				return
			}
			require.NoError(s.t, s.Operator.StopVersioner())
		}
	}
}

// done says whether a change has got everywhere: nothing is left for a versioner
// to do.
func (s *space) done(web *unstructured.Unstructured, value string) bool {
	s.t.Helper()
	name := s.pin(web, "app")
	return s.colourOf(web, "app") == value && s.numbers()[name] != ""
}

// alone waits until no other namespace of this suite is left: their sources are
// read at each start of a versioner, which makes calls that count.
func (s *space) alone() {
	s.t.Helper()
	s.eventually("the namespaces of other scenarios are gone", func() (string, bool) {
		var all corev1.NamespaceList
		require.NoError(s.t, s.api.List(s.t.Context(), &all, client.HasLabels{spaceLabel}))
		return fmt.Sprintf("%d are there", len(all.Items)), len(all.Items) == 1
	})
}
