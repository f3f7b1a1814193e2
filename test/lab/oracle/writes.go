package oracle

import (
	"slices"

	"github.com/configpin/configpin/internal/wellknown"
)

// foreignWrites are what our programs wrote, or tried to, that isn't theirs.
func foreignWrites(r *record, _ Rules) []Violation {
	var found []Violation
	for _, e := range r.Audit {
		if !e.ours() || !e.writes() {
			continue
		}
		if reason := r.foreign(e); reason != "" {
			object := e.Resource + " " + e.Name
			if e.Subresource != "" {
				object = e.Resource + "/" + e.Subresource + " " + e.Name
			}
			found = append(found, Violation{Object: object, What: e.Verb + " by " + e.User + ": " + reason})
		}
	}
	return found
}

func (r *record) foreign(e Entry) string {
	switch {
	case (e.Resource == configMaps || e.Resource == secrets) && e.Subresource == "":
		return r.foreignContent(e)
	case !permitted(e):
		return "it never writes that"
	case e.touches() && e.Sent != emptyPatch && e.Sent != releasing:
		return "a touch that isn't empty"
	}
	return ""
}

// emptyPatch is all that a touch is: whatever else is in one, its sender owns from then on.
// What lost its label in an outage is labelled, so that admission answers at all.
const (
	emptyPatch = "{}"
	releasing  = `[{"op":"test","path":"/metadata/labels/configpin.io~1enabled","value":null},` +
		`{"op":"add","path":"/metadata/labels/configpin.io~1enabled","value":"released"}]`
)

// touched are the workloads that our programs send through admission.
var touched = []string{"deployments", "statefulsets", "daemonsets", "cronjobs"}

func (e Entry) touches() bool {
	return e.ours() && e.Verb == "patch" && slices.Contains(touched, e.Resource)
}

// permitted says whether our programs write such things at all.
func permitted(e Entry) bool {
	if e.Subresource != "" {
		return false
	}
	switch e.Resource {
	case "events":
		return e.Verb == "create" || e.Verb == "patch"
	case secrets: // the key of digests; what is created has no name in the log
		return e.Namespace == system && e.User == versionerUser && e.Verb == "create" && (e.Name == "" || e.Name == wellknown.DigestKeySecret)
	case "leases":
		return e.Namespace == system && slices.Contains([]string{"create", "update", "patch"}, e.Verb)
	case "tokenreviews", "subjectaccessreviews":
		return e.Verb == "create"
	}
	return e.touches() && e.User == versionerUser
}

// foreignContent says why a write of a ConfigMap or a Secret isn't ours. One that failed
// wrote nothing: that is how a name that is taken is found.
func (r *record) foreignContent(e Entry) string {
	switch {
	case !slices.Contains([]string{"create", "patch", "delete"}, e.Verb):
		return "it never does that to a ConfigMap or a Secret"
	case !e.succeeded():
		return ""
	}
	spoofed := false
	for _, f := range r.Facts {
		switch {
		case f.resource() != e.Resource || f.Name != e.Name:
		case r.kept[f.UID] && f.verified():
			return ""
		default:
			spoofed = true
		}
	}
	if spoofed {
		return "that is no snapshot"
	}
	return "nobody ever saw that it is a snapshot"
}
