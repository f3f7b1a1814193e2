package conformance

import (
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// jobs are about what runs once: its template can't change any more.
var jobs = []scenario{
	{"a CronJob is pinned where its template is, and its Jobs keep the names", cronJob},
	{"a Job is pinned when it is created, and stays as it is", job},
	{"a Job that was applied server-side is applied again", jobServerSide},
}

func cronJob(s *space) {
	s.source("app", "blue")
	report := optedIn(s.t, "CronJob", "report", envFrom("app"))
	require.NoError(s.t, unstructured.SetNestedField(report.Object, "* * * * *", "spec", "schedule"))
	s.deployed(report)
	blue := s.showing(report, "app", "blue")
	s.kubectl("create", "job", "by-hand", "--from=cronjob/report")
	byHand := plainWorkload(s.t, "Job", "by-hand")
	assert.Equal(s.t, s.sourceKind()+"/"+blue, describe(refsOf(templateOf(s.t, s.get(byHand)).Spec)))

	byController := plainWorkload(s.t, "Job", s.jobOf(report))
	names := describe(refsOf(templateOf(s.t, s.get(byController)).Spec))
	assert.Equal(s.t, s.sourceKind()+"/"+blue, names)

	s.edit("app", "green")
	green := s.showing(report, "app", "green")
	s.kubectl("create", "job", "by-hand-again", "--from=cronjob/report")
	byHandAgain := plainWorkload(s.t, "Job", "by-hand-again")
	assert.Equal(s.t, s.sourceKind()+"/"+green, describe(refsOf(templateOf(s.t, s.get(byHandAgain)).Spec)))
	s.pass()
	assert.Equal(s.t, 1, s.rollouts(report))
	for _, job := range []*unstructured.Unstructured{byHand, byController, byHandAgain} {
		assert.Zero(s.t, s.rollouts(job), job.GetName())
	}
}

// jobOf waits for the Job that the controller makes of a CronJob each minute.
func (s *space) jobOf(cron *unstructured.Unstructured) string {
	s.t.Helper()
	owner := &metav1.ObjectMeta{UID: s.get(cron).GetUID()}
	name := ""
	s.eventually("a Job that the CronJob controller made", func() (string, bool) {
		for _, made := range list[batchv1.JobList](s).Items {
			if metav1.IsControlledBy(&made, owner) && made.Annotations["cronjob.kubernetes.io/instantiate"] == "" {
				name = made.Name
			}
		}
		return "none", name != ""
	})
	return name
}

func job(s *space) { jobAppliedAgain(s) }

func jobServerSide(s *space) { jobAppliedAgain(s, "--server-side") }

func jobAppliedAgain(s *space, flags ...string) {
	s.t.Helper()
	s.source("app", "blue")
	migrate := optedIn(s.t, "Job", "migrate", envFrom("app"), volume("app"))
	s.apply(migrate, flags...)
	s.sameButNames(migrate, s.get(migrate))
	assert.Equal(s.t, "blue", s.colourOf(migrate, "app"))

	s.apply(migrate, flags...)
	s.edit("app", "green")
	s.apply(migrate, flags...)
	s.pass()
	assert.Equal(s.t, "blue", s.colourOf(migrate, "app"))
	assert.Zero(s.t, s.rollouts(migrate))
}
