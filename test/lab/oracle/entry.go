package oracle

import (
	"bytes"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Who we are to the API server.
const (
	system        = "configpin-system"
	webhookUser   = "system:serviceaccount:" + system + ":configpin-webhook"
	versionerUser = "system:serviceaccount:" + system + ":configpin-versioner"
)

func isUs(user string) bool { return user == webhookUser || user == versionerUser }

// The resources that sources and snapshots are of.
const (
	configMaps = "configmaps"
	secrets    = "secrets"
)

// Entry is what a line of the audit log says of a request, as far as it matters.
type Entry struct {
	At   time.Time
	User string
	Verb string

	Group, Resource, Subresource string
	Namespace, Name              string

	UID     string // of what was deleted
	Code    int
	Message string

	// Told says that the log has what was sent. Without it, a deletion may have been a
	// dry run; and Sent, which is of patches of ours alone, is empty.
	Told bool
	Sent string

	// Dry says that nothing was to be written.
	Dry bool
}

func (e Entry) ours() bool { return isUs(e.User) }

// succeeded says whether something may have been written. Nobody knows how a
// request ended that has no code.
func (e Entry) succeeded() bool { return e.Code < 300 }

// wrote says whether something may have been written, which a dry run never does.
func (e Entry) wrote() bool { return e.succeeded() && !e.Dry }

// deletes says whether this is about the end of objects.
func (e Entry) deletes() bool { return e.Verb == "delete" || e.Verb == "deletecollection" }

var writes = []string{"create", "update", "patch", "delete", "deletecollection"}

func (e Entry) writes() bool { return slices.Contains(writes, e.Verb) }

// parse reads a line. matters says whether the entry is worth keeping.
func parse(line []byte) (e Entry, matters bool, err error) {
	var raw struct {
		Level, Verb, RequestURI  string
		User                     struct{ Username string }
		RequestReceivedTimestamp time.Time
		ObjectRef                struct{ APIGroup, Resource, Subresource, Namespace, Name string }
		ResponseStatus           struct {
			Code    int
			Message string
			Details struct{ UID string }
		}
		RequestObject json.RawMessage
	}
	if !mayMatter(line) {
		return Entry{}, false, nil
	}
	if err := json.Unmarshal(line, &raw); err != nil {
		return Entry{}, false, err
	}
	e = Entry{
		At:          raw.RequestReceivedTimestamp,
		User:        raw.User.Username,
		Verb:        raw.Verb,
		Group:       raw.ObjectRef.APIGroup,
		Resource:    raw.ObjectRef.Resource,
		Subresource: raw.ObjectRef.Subresource,
		Namespace:   raw.ObjectRef.Namespace,
		Name:        raw.ObjectRef.Name,
		UID:         raw.ResponseStatus.Details.UID,
		Code:        raw.ResponseStatus.Code,
		Message:     raw.ResponseStatus.Message,
		Told:        raw.Level == "Request" || raw.Level == "RequestResponse",
		Dry:         isDry(raw.RequestURI, raw.RequestObject),
	}
	if e.ours() && e.Verb == "patch" {
		e.Sent = string(raw.RequestObject)
	}
	ours := e.ours() && e.writes()
	others := (e.Resource == configMaps || e.Resource == secrets) && (e.Verb == "create" || e.deletes())
	refused := e.Code >= 400 && e.writes() && strings.Contains(e.Message, "configpin")
	if !refused {
		e.Message = ""
	}
	return e, ours || others || refused || isMark(e.Name), nil
}

// isDry says whether a request asks for a dry run: it does so in its address or, as
// deletions can, in what it sends.
func isDry(uri string, sent json.RawMessage) bool {
	var options struct{ DryRun []string }
	asked, err := url.Parse(uri)
	if err == nil && asked.Query().Has("dryRun") {
		return true
	}
	return json.Unmarshal(sent, &options) == nil && len(options.DryRun) > 0
}

// mayMatter tells most lines apart without reading them: they are many.
func mayMatter(line []byte) bool {
	return bytes.Contains(line, []byte(`configpin`)) || bytes.Contains(line, []byte(`"resource":"`+configMaps+`"`)) || bytes.Contains(line, []byte(`"resource":"`+secrets+`"`))
}

// A mark is a request for something of this name, which is nowhere: once it is in
// the log, what was answered before is.
const markPrefix = "configpin-oracle-mark-"

func isMark(name string) bool { return strings.HasPrefix(name, markPrefix) }
