package lifecycle

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admission/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
)

// How much is asked of the cluster at a time. Writes are as many as two cores take
// beside everything else; reviews are sent to the webhook as the API server sends them.
const (
	writers       = 12
	writesASecond = 40
	reviewers     = 32
	reviewsSecond = 200
)

// kind is a way in which people write workloads.
type kind int

const (
	annotating kind = iota // nothing of the template
	changing               // the template, and no names
	applying               // all of it, with the names of sources
)

// everyWay is all of them.
var everyWay = []kind{annotating, changing, applying}

func (k kind) String() string { return [...]string{"annotate", "set env", "apply"}[k] }

// load is what is asked while something else happens to configpin.
type load struct {
	lab    *lab
	cancel func()
	ended  sync.WaitGroup
	began  time.Time

	// keeps says that nothing may be un-pinned: the webhook is there.
	keeps bool

	writes, reviews, failed, unpinned atomic.Int64

	mu   sync.Mutex
	said []string // by the first that failed
}

// underLoad plays something while the cluster is written to in every way, and reviews
// are sent where there is a webhook. It fails the test for every request that was
// refused, and, where the webhook is there all the time, for everything un-pinned.
func (l *lab) underLoad(what string, webhook bool, play func()) {
	l.t.Helper()
	ctx, cancel := context.WithCancel(l.t.Context())
	load := &load{lab: l, cancel: cancel, began: time.Now(), keeps: webhook}
	defer load.stop()
	for i := range writers {
		load.ended.Go(func() { load.write(ctx, i, everyWay[i%len(everyWay)]) })
	}
	before := l.failedOpen()
	if webhook {
		for range reviewers {
			load.ended.Go(func() { load.review(ctx) })
		}
	}
	load.goOn(40)
	play()
	load.goOn(40)
	load.stop()
	elapsed := time.Since(load.began)
	l.t.Logf("%s: in %.0f s %d writes (%.0f a second) and %d reviews (%.0f a second), %d refused, %d un-pinned", what, elapsed.Seconds(),
		load.writes.Load(), float64(load.writes.Load())/elapsed.Seconds(),
		load.reviews.Load(), float64(load.reviews.Load())/elapsed.Seconds(), load.failed.Load(), load.unpinned.Load())
	for _, said := range load.said {
		l.t.Errorf("%s: %s", what, said)
	}
	if webhook && load.reviews.Load() == 0 {
		l.t.Errorf("%s: nothing was reviewed", what)
	}
	if webhook && l.failedOpen() != before {
		l.t.Errorf("%s: the API server went on without the webhook %d times: %s", what, l.failedOpen()-before, l.failures())
	}
}

// failedOpen is how often the API server let a request through because the webhook didn't
// answer it.
func (l *lab) failedOpen() int {
	l.t.Helper()
	text, err := l.api.Discovery().RESTClient().Get().AbsPath("/metrics").DoRaw(l.t.Context())
	require.NoError(l.t, err)
	sum := 0
	for _, sample := range failOpen.FindAllSubmatch(text, -1) {
		count, err := strconv.Atoi(string(sample[1]))
		require.NoError(l.t, err)
		sum += count
	}
	return sum
}

var failOpen = regexp.MustCompile(`(?m)^apiserver_admission_webhook_fail_open_count\{name="[a-z]+\.configpin\.io",.*\} ([0-9]+)$`)

// failures are the API server's newest words about that.
func (l *lab) failures() string {
	var said []string
	for line := range strings.Lines(l.cluster.Process("kube-apiserver").LogTail(2000)) {
		if strings.Contains(line, "failing open") {
			said = append(said, line)
		}
	}
	return strings.Join(said[max(0, len(said)-5):], "")
}

func (load *load) stop() {
	load.cancel()
	load.ended.Wait()
}

// goOn waits until a number of further writes is done.
func (load *load) goOn(n int64) {
	from := load.writes.Load()
	for deadline := time.Now().Add(patience); load.writes.Load() < from+n; <-time.After(pause) {
		if time.Now().After(deadline) {
			load.lab.t.Errorf("only %d writes in %s", load.writes.Load()-from, patience)
			return
		}
	}
}

func (load *load) fail(format string, args ...any) {
	load.failed.Add(1)
	load.mu.Lock()
	defer load.mu.Unlock()
	if len(load.said) < 5 {
		load.said = append(load.said, fmt.Sprintf("%5.1f s: ", time.Since(load.began).Seconds())+fmt.Sprintf(format, args...))
	}
}

// write writes one Deployment again and again. What is begun is finished.
func (load *load) write(ctx context.Context, i int, way kind) {
	ticker := time.NewTicker(time.Second * writers / writesASecond)
	defer ticker.Stop()
	name := writtenName(i)
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		written, err := load.lab.write(context.WithoutCancel(ctx), name, way, fmt.Sprint(time.Now().UnixNano()))
		load.writes.Add(1)
		switch {
		case err != nil:
			load.fail("%s deployment %s: %v", way, name, err)
		case !isPinned(written):
			load.unpinned.Add(1)
			if load.keeps {
				load.fail("%s deployment %s: it names %v", way, name, names(written))
			}
		}
	}
}

func writtenName(i int) string { return fmt.Sprint("written-", i) }

// write writes a Deployment in one of the ways.
func (l *lab) write(ctx context.Context, name string, way kind, value string) (*appsv1.Deployment, error) {
	deployments := l.api.AppsV1().Deployments(shop)
	switch way {
	case annotating:
		patch := fmt.Appendf(nil, `{"metadata": {"annotations": {"written": %q}}}`, value)
		return deployments.Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{})
	case changing:
		patch := fmt.Appendf(nil, `{"spec": {"template": {"spec": {"containers": [{"name": "app", "env": [{"name": "WRITTEN", "value": %q}]}]}}}}`, value)
		return deployments.Patch(ctx, name, types.StrategicMergePatchType, patch, metav1.PatchOptions{})
	default:
		manifest := deployment(name, true)
		manifest.Spec.Template.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "WRITTEN", Value: value}}
		text, err := json.Marshal(manifest)
		if err != nil {
			return nil, err
		}
		configuration := &appsv1ac.DeploymentApplyConfiguration{}
		if err := json.Unmarshal(text, configuration); err != nil {
			return nil, err
		}
		return deployments.Apply(ctx, configuration, metav1.ApplyOptions{FieldManager: "deployer", Force: true})
	}
}

var snapshot = regexp.MustCompile(`^app-[0-9a-v]{12}$`)

// names are those of ConfigMaps in a template.
func names(d *appsv1.Deployment) []string {
	var found []string
	for _, c := range d.Spec.Template.Spec.Containers {
		for _, from := range c.EnvFrom {
			found = append(found, from.ConfigMapRef.Name)
		}
	}
	for _, v := range d.Spec.Template.Spec.Volumes {
		found = append(found, v.ConfigMap.Name)
	}
	return found
}

func isPinned(d *appsv1.Deployment) bool {
	return !slices.ContainsFunc(names(d), func(name string) bool { return !snapshot.MatchString(name) })
}

// review sends reviews of new Deployments to the webhook, through its Service.
func (load *load) review(ctx context.Context) {
	client, err := load.lab.caller(ctx)
	if err != nil {
		load.fail("calling the webhook: %v", err)
		return
	}
	defer client.CloseIdleConnections()
	body, err := reviewed()
	if err != nil {
		load.fail("writing a review: %v", err)
		return
	}
	ticker := time.NewTicker(time.Second * reviewers / reviewsSecond)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		answered, err := ask(context.WithoutCancel(ctx), client, body)
		load.reviews.Add(1)
		switch {
		case err != nil:
			load.fail("reviewing: %v", err)
		case !answered.Allowed:
			load.fail("reviewing: refused: %s", answered.Result.Message)
		case !bytes.Contains(answered.Patch, []byte(`"app-`)):
			load.unpinned.Add(1)
			load.fail("reviewing: not pinned: %s", answered.Patch)
		}
	}
}

// caller calls the webhook as the API server does: through the Service, whose name has to
// be in a certificate of the authority in the webhook configuration.
func (l *lab) caller(ctx context.Context) (*http.Client, error) {
	configuration, err := l.api.AdmissionregistrationV1().MutatingWebhookConfigurations().Get(ctx, configurationName, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(configuration.Webhooks[0].ClientConfig.CABundle)
	return &http.Client{
		Timeout: 10 * time.Second,
		Transport: &http.Transport{
			DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return l.egress.dial(ctx) },
			TLSClientConfig:   &tls.Config{RootCAs: roots},
			ForceAttemptHTTP2: true,
		},
	}, nil
}

// reviewed is a review of a Deployment that isn't pinned yet.
func reviewed() ([]byte, error) {
	object := deployment("reviewed", true)
	raw, err := json.Marshal(object)
	if err != nil {
		return nil, err
	}
	return json.Marshal(admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "admission.k8s.io/v1", Kind: "AdmissionReview"},
		Request: &admissionv1.AdmissionRequest{
			UID:       "1",
			Kind:      metav1.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"},
			Resource:  metav1.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"},
			Name:      object.Name,
			Namespace: shop,
			Operation: admissionv1.Create,
			Object:    runtime.RawExtension{Raw: raw},
		},
	})
}

func ask(ctx context.Context, client *http.Client, body []byte) (*admissionv1.AdmissionResponse, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+certificate+".configpin-system.svc/mutate", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", response.Status, text)
	}
	var review admissionv1.AdmissionReview
	if err := json.Unmarshal(text, &review); err != nil {
		return nil, err
	}
	return review.Response, nil
}
