package gc

// maxFailures is in how many namespaces in a row something may fail before the
// pass ends: then it isn't the namespaces.
const maxFailures = 3

// streak is in how many namespaces in a row something failed.
type streak int

// isLong counts the next namespace, and says whether the pass has to end.
func (s *streak) isLong(err error) bool {
	if err == nil {
		*s = 0
		return false
	}
	*s++
	return *s >= maxFailures
}
