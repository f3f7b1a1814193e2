package conformance

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// audited is what the API server notes of a request.
type audited struct {
	Verb           string
	User           struct{ Username string }
	ObjectRef      struct{ Namespace, APIGroup, Resource, Subresource, Name string }
	ResponseStatus struct{ Code int }
	Annotations    map[string]string
}

// eachAudited calls f with each request about the namespace, if there is an audit
// log.
func (s *space) eachAudited(f func(audited)) {
	s.t.Helper()
	if s.AuditLog == "" {
		return
	}
	s.cluster.eachAudited(s.t, s.name, func(event audited) {
		if event.ObjectRef.Namespace == s.name {
			f(event)
		}
	})
}

// eachAudited calls f with each request in whose line there is a text.
func (c *cluster) eachAudited(t *testing.T, about string, f func(audited)) {
	t.Helper()
	text, err := os.ReadFile(c.AuditLog)
	require.NoError(t, err)
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, len(text)+1)
	for lines.Scan() {
		if !bytes.Contains(lines.Bytes(), []byte(about)) {
			continue
		}
		var event audited
		if json.Unmarshal(lines.Bytes(), &event) == nil { // or the API server is writing it
			f(event)
		}
	}
}
