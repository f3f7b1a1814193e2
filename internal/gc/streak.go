package gc

import apierrors "k8s.io/apimachinery/pkg/api/errors"

// maxFailures is in how many namespaces in a row something may fail before the
// pass ends: then it isn't the namespaces.
const maxFailures = 3

// streak is in how many namespaces in a row something failed.
type streak int

// isLong counts the next namespace, and says whether the pass has to end. What is
// forbidden is the namespace's own: its Roles went with it, and it stays in the
// list of those that are served until somebody takes it out. However many of those
// come in a row, they say nothing of the others.
func (s *streak) isLong(err error) bool {
	switch {
	case err == nil:
		*s = 0
	case !apierrors.IsForbidden(err):
		*s++
	}
	return *s >= maxFailures
}
