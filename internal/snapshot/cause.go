package snapshot

import (
	"strings"

	"github.com/configpin/configpin/internal/wellknown"
)

// A change-cause is what people write on a source to say why it holds what it holds,
// after the edit or with it (kubectl annotate; an applied manifest). It stays there when
// somebody else edits the source later and says nothing, and then it isn't about that.

// maxCause is how many bytes of a cause are taken over: it is a sentence, and all
// annotations of an object have to fit into 256 KiB
// (k8s.io/apimachinery/pkg/api/validation, TotalAnnotationSizeLimitB).
const maxCause = 1024

// Cause is what a source says of why it holds what a snapshot doesn't yet hold, given
// the snapshot that was current before (zero for none): nothing, if it said the same then.
func Cause(source, before Object) string {
	cause := said(source)
	if heard(before) == cause {
		return ""
	}
	return cause
}

// Began are the annotations that are to be set on a snapshot that becomes current, or,
// where nil, taken off. Source is as it is, and before the snapshot that was current
// (zero for none). A content that comes back, and of which nothing new is said, keeps the
// cause that it had, as a ReplicaSet does after an undo; a cause that is taken away is
// nothing that is said.
func Began(current, source, before Object) map[string]any {
	cause := said(source)
	switch {
	case Revision(current) > 0 && heard(current) == cause: // it is current as before, or all the same
		return nil
	case heard(before) != cause && cause != "":
		return annotations(current, cause, "", false)
	case Revision(current) == 0:
		return annotations(current, "", cause, cause != "")
	default:
		return annotations(current, current.Annotations[wellknown.ChangeCause], cause, true)
	}
}

// Follows are the annotations that are to be set on a snapshot that is current, or taken
// off, because its source says something else since.
func Follows(current, source Object) map[string]any {
	cause := said(source)
	if heard(current) == cause {
		return nil
	}
	return annotations(current, cause, "", false)
}

// said is the cause on a source.
func said(source Object) string { return brief(source.Annotations[wellknown.KubernetesChangeCause]) }

// heard is the cause that was on the source when a snapshot was current, as far as
// somebody looked: its own, or one that was there before it.
func heard(o Object) string {
	if earlier, found := o.Annotations[wellknown.EarlierChangeCause]; found {
		return earlier
	}
	return brief(o.Annotations[wellknown.ChangeCause])
}

func brief(cause string) string {
	if len(cause) <= maxCause {
		return cause
	}
	return strings.ToValidUTF8(cause[:maxCause-len("...")], "") + "..."
}

// annotations are what makes a snapshot say cause, and, if it came while the source
// said something else, earlier.
func annotations(o Object, cause, earlier string, hasEarlier bool) map[string]any {
	changed := map[string]any{}
	set := func(key, value string, wanted bool) {
		switch has, found := o.Annotations[key]; {
		case wanted && (!found || has != value):
			changed[key] = value
		case !wanted && found:
			changed[key] = nil
		}
	}
	set(wellknown.ChangeCause, cause, cause != "")
	set(wellknown.EarlierChangeCause, earlier, hasEarlier)
	return changed
}
