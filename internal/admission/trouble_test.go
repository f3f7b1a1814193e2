package admission_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/semaphore"
	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/configpin/configpin/internal/admission"
	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/cluster/live"
	"github.com/configpin/configpin/internal/hashing"
)

// troubled is a cluster that refuses something: verb and resource are those of the
// requests that fail with err, while it is set.
type troubled struct {
	verb, resource string
	err            error
	client         *fake.Clientset
	mux            http.Handler
}

func (c *troubled) start(t *testing.T, sources ...string) {
	t.Helper()
	meta := func(name string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: "shop", Name: name, Annotations: map[string]string{"configpin.io/versioned": "true"}}
	}
	objects := []runtime.Object{&corev1.Secret{ObjectMeta: meta("db"), Data: map[string][]byte{"password": []byte("hunter2")}}}
	for _, name := range sources {
		objects = append(objects, &corev1.ConfigMap{ObjectMeta: meta(name), Data: map[string]string{"colour": "blue"}})
	}
	c.client = fake.NewClientset(objects...)
	c.client.PrependReactor(c.verb, c.resource, func(clienttesting.Action) (bool, runtime.Object, error) { return c.err != nil, nil, c.err })
	served := cluster.NewObjects(c.client.CoreV1(), cluster.Scope{Namespaces: cluster.Everywhere, Secrets: cluster.Everywhere},
		func() *hashing.Key { return testKey(t, 1) })
	handler := admission.Handler{Objects: live.NewViews(served), Slots: semaphore.NewWeighted(1)}
	c.mux = handler.Mux()
}

// writes is an opted-in Deployment, created, or updated where old isn't empty.
func writes(object, old string) admissionv1.AdmissionRequest {
	request := admissionv1.AdmissionRequest{
		UID: "1", Operation: admissionv1.Create, Namespace: "shop",
		Kind:   metav1.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"},
		Object: runtime.RawExtension{Raw: []byte(object)},
	}
	if old != "" {
		request.Operation, request.OldObject.Raw = admissionv1.Update, []byte(old)
	}
	return request
}

const usesBoth = `{"metadata":{"name":"web","labels":{"configpin.io/enabled":"true"}},"spec":{"template":{"metadata":{"annotations":{}},
	"spec":{"volumes":[{"name":"a","configMap":{"name":"app"}},{"name":"b","secret":{"secretName":"db"}}]}}}}`

// stores returns what is stored of a write, and what the person is told.
func (c *troubled) stores(t *testing.T, object, old string) (stored string, warnings []string) {
	t.Helper()
	response := post(t, c.mux, admission.PathWorkload, writes(object, old))
	require.True(t, response.Allowed)
	if response.Patch == nil {
		return object, response.Warnings
	}
	patch, err := jsonpatch.DecodePatch(response.Patch)
	require.NoError(t, err)
	applied, err := patch.Apply([]byte(object))
	require.NoError(t, err)
	return string(applied), response.Warnings
}

// TestAForbiddenReadIsNotServed: a RoleBinding that is missing in one namespace keeps
// nothing else there from being pinned, and counts no longer than it is missing.
func TestAForbiddenReadIsNotServed(t *testing.T) {
	secrets := schema.GroupResource{Resource: "secrets"}
	c := &troubled{verb: "get", resource: "secrets", err: apierrors.NewForbidden(secrets, "db", errors.New("no RBAC policy matched"))}
	c.start(t, "app")
	before := unreadable(t)
	created, warnings := c.stores(t, usesBoth, "")
	assert.Contains(t, created, `"configMap":{"name":"app-`)
	assert.Contains(t, created, `"secretName":"db"`)
	assert.NotContains(t, strings.Join(warnings, " "), "secret")
	assert.InDelta(t, before+1, unreadable(t), 0)

	c.err = nil
	pinned, _ := c.stores(t, created, created)
	assert.Contains(t, pinned, `"secretName":"db-`, "the right is back")

	c.err = apierrors.NewForbidden(secrets, "db", errors.New("no RBAC policy matched"))
	applied, warnings := c.stores(t, usesBoth, pinned)
	assert.JSONEq(t, pinned, applied, "nothing is un-pinned by a right that is missing")
	assert.Regexp(t, `\nsecret/db can't be read by configpin: its pin db-[0-9a-v]{12} is kept$`, strings.Join(warnings, "\n"))
}

func unreadable(t *testing.T) float64 {
	t.Helper()
	families, err := metrics.Registry.Gather()
	require.NoError(t, err)
	for _, family := range families {
		if family.GetName() != "configpin_unreadable_total" {
			continue
		}
		for _, metric := range family.GetMetric() {
			return metric.GetCounter().GetValue()
		}
	}
	return 0
}

// TestAnotherWebhookThatIsDown: what asks the API server for a snapshot gets a 500, and
// the person who deploys something gets none.
func TestAnotherWebhookThatIsDown(t *testing.T) {
	down := apierrors.NewInternalError(errors.New(`failed calling webhook "x": connection refused, data: hunter2`))
	for _, resource := range []string{"configmaps", "secrets"} {
		c := &troubled{verb: "create", resource: resource}
		c.start(t, "app")
		c.err = down
		created, warnings := c.stores(t, usesBoth, "")
		said := strings.Join(warnings, "\n")
		assert.Contains(t, said, map[string]string{
			"configmaps": "configmap/app: no snapshot can be made, so it is not pinned: ",
			"secrets":    "secret/db: no snapshot can be made, so it is not pinned: ",
		}[resource])
		assert.Contains(t, created, map[string]string{"configmaps": `"configMap":{"name":"app"}`, "secrets": `"secretName":"db"`}[resource])
		if resource == "secrets" {
			assert.NotContains(t, said, "hunter2")
			assert.NotRegexp(t, `db-[0-9a-v]{12}`, said)
		}

		c.err = nil
		pinned, _ := c.stores(t, created, created)
		require.NotEqual(t, created, pinned)
		if resource == "configmaps" {
			_, err := c.client.CoreV1().ConfigMaps("shop").Patch(t.Context(), "app", types.MergePatchType, []byte(`{"data":{"colour":"green"}}`), metav1.PatchOptions{})
			require.NoError(t, err)
			c.err = down
			kept, warnings := c.stores(t, strings.Replace(usesBoth, `"name":"a"`, `"name":"changed"`, 1), pinned)
			assert.Equal(t, strings.Replace(pinned, `"name":"a"`, `"name":"changed"`, 1), kept, "what is pinned stays")
			assert.Regexp(t, `^configmap/app: no snapshot can be made; app-[0-9a-v.]+ is kept until one can: `, warnings[0])
		}
	}
}

// TestPinsThatWouldNotFit: the API server refuses a template whose annotations are too
// large, and with it a write that is fine without us.
func TestPinsThatWouldNotFit(t *testing.T) {
	c := &troubled{verb: "create", resource: "nothing"}
	c.start(t, "app")
	using := func(own int) string {
		return fmt.Sprintf(`{"metadata":{"name":"web","labels":{"configpin.io/enabled":"true"}},"spec":{"template":{"metadata":{"annotations":{"own":%q}},
			"spec":{"volumes":[{"name":"a","configMap":{"name":"app"}}]}}}}`, strings.Repeat("x", own))
	}
	const limit = 256 << 10
	pins := len("configpin.io/pins") + len("configmap/app=app-0123456789ab")
	fits, tooMuch := using(limit-pins-len("own")), using(limit-pins-len("own")+1)
	stored, _ := c.stores(t, fits, "")
	assert.Contains(t, stored, "configmap/app=app-")
	again, _ := c.stores(t, stored, stored)
	assert.Equal(t, stored, again)

	body, err := json.Marshal(admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "admission.k8s.io/v1", Kind: "AdmissionReview"}, Request: new(writes(tooMuch, "")),
	})
	require.NoError(t, err)
	recorder := httptest.NewRecorder()
	c.mux.ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodPost, admission.PathWorkload+"?timeout=3s", strings.NewReader(string(body))))
	assert.Equal(t, http.StatusInternalServerError, recorder.Code)
	assert.Equal(t, "configpin: patching Deployment shop/: its template's annotations have 262145 bytes with its pins, more than 262144\n", recorder.Body.String())

	c = &troubled{verb: "create", resource: "configmaps", err: apierrors.NewForbidden(schema.GroupResource{Resource: "configmaps"}, "app-1", errors.New("exceeded quota"))}
	c.start(t, "app")
	recorder = httptest.NewRecorder()
	c.mux.ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodPost, admission.PathWorkload+"?timeout=3s", strings.NewReader(string(body))))
	assert.Equal(t, http.StatusInternalServerError, recorder.Code, "it would fit without the snapshot that can't be made now, and not once it can")
}
