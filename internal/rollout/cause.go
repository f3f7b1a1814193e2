package rollout

import (
	"errors"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// vain is why a touch left a workload behind.
type vain struct {
	result string // as the metric calls it
	cause  string // what is in the way; empty where nobody answered
}

var (
	unanswered = vain{result: resultUnanswered}
	reverted   = vain{resultReverted, "another webhook or a MutatingAdmissionPolicy changes back what admission answers (kubectl get mutatingwebhookconfigurations)"}
)

func refused(err error) vain { return vain{resultRefused, err.Error()} }

// isRefusal says whether somebody doesn't want a workload to be touched, for as
// long as nobody changes that: a policy or a webhook, by whatever code, or, where
// requests fail with a webhook, one that is away (500).
func isRefusal(err error) bool {
	status := apierrors.APIStatus(nil)
	if !errors.As(err, &status) {
		return false
	}
	switch code := status.Status().Code; code {
	case http.StatusNotFound, http.StatusConflict, http.StatusTooManyRequests, http.StatusUnauthorized:
		return false
	default:
		return code >= 400 && code <= http.StatusInternalServerError
	}
}
