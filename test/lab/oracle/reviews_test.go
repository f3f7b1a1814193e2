package oracle

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

func review(user string, object []byte) *admissionv1.AdmissionRequest {
	r := &admissionv1.AdmissionRequest{Kind: metav1.GroupVersionKind{Kind: "Deployment"}, Namespace: space, Name: "web", Object: runtime.RawExtension{Raw: object}}
	r.UserInfo.Username = user
	return r
}

func TestReviewsArePaired(t *testing.T) {
	t.Parallel()
	one, two := object("app", "", "", ""), object("app", "", "", `,"hostNetwork":true`)
	pinned, changed := object(app1, "", pinnedTo("configmap/app="+app1), ""), object(app1, "", "", `,"hostPID":true`)
	var r reviews
	r.before(review(person, one))
	r.before(review(person, two))
	r.after(review(person, two))
	r.after(review(person, pinned))
	assert.Empty(t, r.of(space), "two at a time, and each is what it was")

	r.before(review(person, one))
	r.after(review(person, changed))
	assert.Equal(t, []Violation{{"I11", space, "Deployment web", "was changed at .spec.template.spec.hostPID"}}, r.of(space))
	assert.Empty(t, r.of("elsewhere"))

	r.after(review("somebody else", one))
	compared, alone := r.counts()
	assert.Equal(t, []int{3, 1}, []int{compared, alone})
}

func TestReviewsForgetWhatNeverComesAfter(t *testing.T) {
	t.Parallel()
	var r reviews
	for i := range 3 * maxWaiting {
		r.before(review(fmt.Sprint(i), object("app", "", "", "")))
	}
	assert.Len(t, r.waiting, maxWaiting)
	assert.Len(t, r.order, maxWaiting)
}
