package conformance

import (
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/configpin/configpin/internal/wellknown"
)

// quiet is the last scenario: a workload is pinned, another one is held, and
// nothing happens. The other namespaces are gone, so that whatever is written is
// too much.
var quiet = scenario{"once everything is done, nothing is written for a minute", nothingHappens}

func nothingHappens(s *space) {
	s.needAuditLog()
	s.source("app", "blue")
	web := s.deploy("Deployment", "web", envFrom("app"))
	s.showing(web, "app", "blue")
	held := s.rollBackNamed("held")
	s.complete(held)
	s.complete(web)
	s.alone()
	s.verify()
	s.event("held", wellknown.ReasonRollbackHeld, "configmap/held is held at "+s.pin(held, "held")+
		"; to end it, label the deployment configpin.io/resume=true") // the last thing to be said
	verdict, err := s.oracle.Quiet(s.t.Context(), time.Minute)
	require.NoError(s.t, err)
	passes(s.t, verdict)

	s.edit("app", "green")
	verdict, err = s.oracle.Quiet(s.t.Context(), 10*s.Settle)
	require.NoError(s.t, err)
	assert.NotEmpty(s.t, verdict.Violations, "it isn't deaf")
	s.showing(web, "app", "green")
}
