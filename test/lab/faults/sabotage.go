package faults

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"

	"k8s.io/client-go/rest"
)

// EnvSabotage is a variable that, set to anything, has a program do what it must never do:
// where a namespace is called like a sabotage, or like one and "--" and more, its requests
// are changed on their way to the API server. So one program serves all of a test.
const EnvSabotage = "CONFIGPIN_SABOTAGE"

// wire is a request on its way.
type wire struct {
	method, path, contentType string
	body                      map[string]any
}

// occasion says whether a request is one that is sabotaged.
type occasion func(wire) bool

// sabotage is what a program does in the place of something else.
type sabotage struct {
	program string // by its name
	at      occasion
	do      func(*wire)
}

// What the programs do.
func touch(w wire) bool            { return touches(w, "deployments") }
func touchStatefulSet(w wire) bool { return touches(w, "statefulsets") }
func touchCronJob(w wire) bool     { return touches(w, "cronjobs") }

func touches(w wire, resource string) bool {
	return w.method == http.MethodPatch && strings.Contains(w.path, "/"+resource+"/")
}

func create(w wire) bool {
	return w.method == http.MethodPost && strings.HasSuffix(w.path, "/configmaps")
}

func look(w wire) bool {
	return w.method == http.MethodGet && strings.Contains(w.path, "/configmaps/app-")
}

func number(w wire) bool { return annotates(w, "configpin.io/revision") }
func mark(w wire) bool   { return annotates(w, "configpin.io/unused-since") }

func annotates(w wire, key string) bool {
	annotations, _ := metadata(w)["annotations"].(map[string]any)
	return w.method == http.MethodPatch && strings.Contains(w.path, "/configmaps/") && annotations[key] != nil
}

func metadata(w wire) map[string]any {
	found, _ := w.body["metadata"].(map[string]any)
	return found
}

const owner = `[{"apiVersion":"v1","kind":"Node","name":"node-0","uid":"00000000-0000-0000-0000-000000000000"}]`

// sabotages by their names, which begin with the occasion.
var sabotages = map[string]sabotage{
	"touch-scales":                {"versioner", touch, patch(`{"spec":{"replicas":0}}`)},
	"touch-pauses":                {"versioner", touch, patch(`{"spec":{"paused":true}}`)},
	"touch-annotates":             {"versioner", touch, patch(`{"metadata":{"annotations":{"configpin.io/exclude":"configmap/sabotaged"}}}`)},
	"touch-forgets":               {"versioner", touch, patch(`{"metadata":{"annotations":{"kubectl.kubernetes.io/last-applied-configuration":"{}"}}}`)},
	"touch-labels":                {"versioner", touch, patch(`{"metadata":{"labels":{"configpin.io/rollout":"manual"}}}`)},
	"touch-labels-as-kubernetes":  {"versioner", touch, patch(`{"metadata":{"labels":{"app.kubernetes.io/instance":"sabotaged"}}}`)},
	"touch-owns":                  {"versioner", touch, patch(`{"metadata":{"ownerReferences":` + owner + `}}`)},
	"touch-labels-pods":           {"versioner", touch, patch(`{"spec":{"template":{"metadata":{"labels":{"sabotaged":"true"}}}}}`)},
	"touch-annotates-pods":        {"versioner", touch, patch(`{"spec":{"template":{"metadata":{"annotations":{"configpin.io/sabotaged":"true"}}}}}`)},
	"touch-restarts":              {"versioner", touch, patch(`{"spec":{"template":{"metadata":{"annotations":{"kubectl.kubernetes.io/restartedAt":"sabotaged"}}}}}`)},
	"touch-promotes":              {"versioner", touch, patch(`{"spec":{"template":{"spec":{"serviceAccountName":"sabotaged"}}}}`)},
	"touch-image":                 {"versioner", touch, patchContainer(`{"name":"app","image":"example.com/sabotaged:1"}`)},
	"touch-command":               {"versioner", touch, patchContainer(`{"name":"app","command":["sabotaged"]}`)},
	"touch-privileges":            {"versioner", touch, patchContainer(`{"name":"app","securityContext":{"privileged":true}}`)},
	"touch-value":                 {"versioner", touch, patchContainer(`{"name":"app","env":[{"name":"PLAIN","value":"sabotaged"}]}`)},
	"touch-variable":              {"versioner", touch, patchContainer(`{"name":"app","env":[{"name":"SABOTAGED","value":"true"}]}`)},
	"touch-key":                   {"versioner", touch, patchContainer(`{"name":"app","env":[{"name":"COLOUR","valueFrom":{"configMapKeyRef":{"key":"sabotaged"}}}]}`)},
	"touch-adds-container":        {"versioner", touch, patchContainer(`{"name":"sabotaged","image":"example.com/sabotaged:1"}`)},
	"touch-adds-volume":           {"versioner", touch, patchVolume(`{"name":"sabotaged","hostPath":{"path":"/"}}`)},
	"touch-turns-volume":          {"versioner", touch, patchVolume(`{"name":"app","configMap":null,"secret":{"secretName":"sabotaged"}}`)},
	"touch-mode-of-volume":        {"versioner", touch, patchVolume(`{"name":"app","configMap":{"defaultMode":511}}`)},
	"touch-opts-out":              {"versioner", touch, patch(`{"metadata":{"labels":{"configpin.io/enabled":"false"}}}`)},
	"touch-unlabels":              {"versioner", touch, patch(`{"metadata":{"labels":{"configpin.io/enabled":null}}}`)},
	"touch-scale":                 {"versioner", touch, below("/scale", `{"spec":{"replicas":0}}`)},
	"touch-status":                {"versioner", touch, below("/status", `{"status":{"conditions":[{"type":"Sabotaged","status":"True"}]}}`)},
	"touch-deletes":               {"versioner", touch, remove},
	"touch-token":                 {"versioner", touch, post("serviceaccounts/default/token", `{"apiVersion":"authentication.k8s.io/v1","kind":"TokenRequest","spec":{}}`)},
	"touch-statefulset-init":      {"versioner", touchStatefulSet, patchTemplate(`{"initContainers":[{"name":"first","image":"example.com/sabotaged:1"}]}`)},
	"touch-statefulset-prefix":    {"versioner", touchStatefulSet, patchContainer(`{"name":"app","envFrom":[{"prefix":"SABOTAGED_","configMapRef":{"name":"app"}}]}`)},
	"touch-statefulset-key":       {"versioner", touchStatefulSet, patchContainer(`{"name":"app","env":[{"name":"PASSWORD","valueFrom":{"secretKeyRef":{"key":"sabotaged"}}}]}`)},
	"touch-statefulset-mode":      {"versioner", touchStatefulSet, patchVolume(`{"name":"db","secret":{"defaultMode":511}}`)},
	"touch-statefulset-projected": {"versioner", touchStatefulSet, patchVolume(`{"name":"all","projected":{"defaultMode":511}}`)},
	"touch-statefulset-items":     {"versioner", touchStatefulSet, patchVolume(`{"name":"all","projected":{"sources":[{"configMap":{"name":"app"}},{"secret":{"name":"db","items":[{"key":"colour","path":"sabotaged"}]}}]}}`)},
	"touch-statefulset-adds":      {"versioner", touchStatefulSet, patchVolume(`{"name":"all","projected":{"sources":[{"configMap":{"name":"app"}},{"secret":{"name":"db"}},{"serviceAccountToken":{"path":"token"}}]}}`)},
	"touch-cronjob-backoff":       {"versioner", touchCronJob, patch(`{"spec":{"jobTemplate":{"spec":{"backoffLimit":0}}}}`)},
	"touch-cronjob-labels":        {"versioner", touchCronJob, patch(`{"spec":{"jobTemplate":{"metadata":{"labels":{"configpin.io/enabled":"true"}}}}}`)},
	"touch-cronjob-finalizes":     {"versioner", touchCronJob, patch(`{"spec":{"jobTemplate":{"metadata":{"finalizers":["example.com/sabotaged"]}}}}`)},
	"touch-cronjob-promotes":      {"versioner", touchCronJob, patch(`{"spec":{"jobTemplate":{"spec":{"template":{"spec":{"serviceAccountName":"sabotaged"}}}}}}`)},
	"create-mutable":              {"versioner", create, func(w *wire) { delete(w.body, "immutable") }},
	"create-unlabelled":           {"versioner", create, func(w *wire) { delete(metadata(*w), "labels") }},
	"create-undigested":           {"versioner", create, func(w *wire) { delete(metadata(*w), "annotations") }},
	"create-misnamed":             {"versioner", create, func(w *wire) { metadata(*w)["name"] = "sabotaged" }},
	"create-owned":                {"versioner", create, func(w *wire) { metadata(*w)["ownerReferences"] = parsed(owner) }},
	"create-secret":               {"versioner", create, post("secrets", `{"metadata":{"name":"sabotaged"}}`)},
	"create-lease":                {"versioner", create, postTo("/apis/coordination.k8s.io/v1", "leases", `{"metadata":{"name":"sabotaged"}}`)},
	"create-role":                 {"versioner", create, postTo("/apis/rbac.authorization.k8s.io/v1", "roles", `{"metadata":{"name":"sabotaged"},"rules":[]}`)},
	"number-unlabels":             {"versioner", number, patch(`{"metadata":{"labels":{"configpin.io/snapshot-of":null}}}`)},
	"number-owns":                 {"versioner", number, patch(`{"metadata":{"ownerReferences":` + owner + `}}`)},
	"number-digest":               {"versioner", number, patch(`{"metadata":{"annotations":{"configpin.io/digest":"sabotaged"}}}`)},
	"number-deletes":              {"versioner", number, remove},
	"number-deletes-source":       {"versioner", number, elsewhere("app", remove)},
	"number-labels-source":        {"versioner", number, elsewhere("app", patch(`{"metadata":{"labels":{"configpin.io/snapshot-of":"app"}}}`))},
	"number-annotates-source":     {"versioner", number, elsewhere("app", patch(`{"metadata":{"annotations":{"configpin.io/revision":"1"}}}`))},
	"number-edits-source":         {"versioner", number, elsewhere("app", patch(`{"data":{"sabotaged":"true"}}`))},
	"mark-labels":                 {"versioner", mark, patch(`{"metadata":{"labels":{"sabotaged":"true"}}}`)},
	"mark-labels-another":         {"versioner", mark, patch(`{"metadata":{"labels":{"configpin.io/snapshot-of":"extra"}}}`)},
	"mark-deletes":                {"versioner", mark, remove},
	"mark-source":                 {"versioner", mark, elsewhere("extra", patch(`{"metadata":{"annotations":{"configpin.io/unused-since":"2026-01-01T00:00:00Z"}}}`))},
	"look-numbers":                {"webhook", look, patch(`{"metadata":{"annotations":{"configpin.io/revision":"1000000"}}}`)},
	"look-marks":                  {"webhook", look, patch(`{"metadata":{"annotations":{"configpin.io/unused-since":"2020-01-01T00:00:00Z"}}}`)},
	"look-deletes":                {"webhook", look, remove},
	"look-scales":                 {"webhook", look, deployment(patch(`{"spec":{"replicas":0}}`))},
}

// Sabotages are the names of all there are.
func Sabotages() []string { return slices.Collect(maps.Keys(sabotages)) }

// patch writes a patch that looks the same for every kind.
func patch(body string) func(*wire) {
	return func(w *wire) {
		w.method, w.contentType, w.body = http.MethodPatch, "application/merge-patch+json", parsed(body).(map[string]any)
	}
}

// patchContainer adds to a list by the names of its elements.
func patchContainer(container string) func(*wire) {
	return patchTemplate(`{"containers":[` + container + `]}`)
}

func patchVolume(volume string) func(*wire) { return patchTemplate(`{"volumes":[` + volume + `]}`) }

func patchTemplate(spec string) func(*wire) {
	return func(w *wire) {
		patch(`{"spec":{"template":{"spec":` + spec + `}}}`)(w)
		w.contentType = "application/strategic-merge-patch+json"
	}
}

func below(subresource, body string) func(*wire) {
	return func(w *wire) {
		patch(body)(w)
		w.path += subresource
	}
}

func remove(w *wire) { w.method, w.contentType, w.body = http.MethodDelete, "", nil }

// elsewhere does something to another ConfigMap of the namespace.
func elsewhere(name string, do func(*wire)) func(*wire) {
	return func(w *wire) {
		do(w)
		w.path = w.path[:strings.LastIndexByte(w.path, '/')+1] + name
	}
}

// deployment does something to the Deployment web of the namespace.
func deployment(do func(*wire)) func(*wire) {
	return func(w *wire) {
		do(w)
		w.path = "/apis/apps/v1/namespaces/" + namespaceIn(w.path) + "/deployments/web"
	}
}

func post(resource, body string) func(*wire) { return postTo("/api/v1", resource, body) }

func postTo(api, resource, body string) func(*wire) {
	return func(w *wire) {
		w.method, w.contentType, w.body = http.MethodPost, "application/json", parsed(body).(map[string]any)
		w.path = api + "/namespaces/" + namespaceIn(w.path) + "/" + resource
	}
}

func parsed(text string) any {
	var value any
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		panic(fmt.Sprintf("%s: %v", text, err)) // it is written above
	}
	return value
}

func namespaceIn(path string) string {
	_, rest, _ := strings.Cut(path, "/namespaces/")
	name, _, _ := strings.Cut(rest, "/")
	return name
}

// addSabotage changes requests, if the environment asks for it. Bodies have to be
// JSON then.
func addSabotage(config *rest.Config) {
	if os.Getenv(EnvSabotage) == "" {
		return
	}
	program := config.UserAgent
	config.ContentType = "application/json"
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(request *http.Request) (*http.Response, error) {
			name, _, _ := strings.Cut(namespaceIn(request.URL.Path), "--")
			chosen, found := sabotages[name]
			if !found || "configpin-"+chosen.program != program || request.URL.Query().Has("watch") {
				return next.RoundTrip(request)
			}
			changed, err := sabotaged(request, chosen)
			if err != nil {
				return nil, err
			}
			return next.RoundTrip(changed)
		})
	})
}

// sabotaged is the request that is made instead.
func sabotaged(request *http.Request, chosen sabotage) (*http.Request, error) {
	changed := request.Clone(request.Context())
	var text []byte
	if request.Body != nil {
		var err error
		if text, err = io.ReadAll(request.Body); err != nil {
			return nil, fmt.Errorf("reading what to sabotage: %w", err)
		}
	}
	w := wire{method: request.Method, path: request.URL.Path, contentType: request.Header.Get("Content-Type")}
	_ = json.Unmarshal(text, &w.body) // what is no JSON is none of the occasions that look at it
	if chosen.at(w) {
		chosen.do(&w)
		fmt.Fprintf(os.Stderr, "sabotage: %s %s in the place of %s %s\n", w.method, w.path, request.Method, request.URL.Path)
		text = nil
		if w.body != nil {
			text, _ = json.Marshal(w.body) // it was JSON
		}
	}
	changed.Method, changed.URL.Path, changed.URL.RawPath = w.method, w.path, ""
	changed.Header.Set("Content-Type", w.contentType)
	if w.contentType == "" {
		changed.Header.Del("Content-Type")
	}
	changed.Body, changed.GetBody, changed.ContentLength = io.NopCloser(bytes.NewReader(text)), nil, int64(len(text))
	if len(text) == 0 {
		changed.Body = http.NoBody
	}
	return changed, nil
}
