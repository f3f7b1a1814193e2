package conformance

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"

	"github.com/stretchr/testify/require"
)

// audited is what the API server notes of a request.
type audited struct {
	Verb           string
	User           struct{ Username string }
	ObjectRef      struct{ Namespace, Resource, Name string }
	ResponseStatus struct{ Code int }
	Annotations    map[string]string
}

// needAuditLog skips a scenario that looks at the audit log if there is none. It comes
// before everything else: half a scenario looks like a whole one.
func (s *space) needAuditLog() {
	s.t.Helper()
	if s.AuditLog == "" {
		s.t.Skip("it looks at the audit log of the API server, and there is none")
	}
}

// eachAudited calls f with each request about the namespace.
func (s *space) eachAudited(f func(audited)) {
	s.t.Helper()
	require.NotEmpty(s.t, s.AuditLog, "the scenario doesn't say that it needs an audit log")
	text, err := os.ReadFile(s.AuditLog)
	require.NoError(s.t, err)
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, len(text)+1)
	for lines.Scan() {
		if !bytes.Contains(lines.Bytes(), []byte(s.name)) {
			continue
		}
		var event audited
		if json.Unmarshal(lines.Bytes(), &event) != nil {
			continue // the API server is writing it
		}
		if event.ObjectRef.Namespace == s.name {
			f(event)
		}
	}
}
