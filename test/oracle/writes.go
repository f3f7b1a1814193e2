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
	}
	return ""
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
	case "deployments", "statefulsets", "daemonsets", "cronjobs":
		return e.User == versionerUser && e.Verb == "patch"
	}
	return false
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
