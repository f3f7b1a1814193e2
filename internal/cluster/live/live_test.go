package live

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/semaphore"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/hashing"
	"github.com/configpin/configpin/internal/pin"
	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/wellknown"
	"github.com/configpin/configpin/internal/workload"
)

// large is a source of which a View doesn't hold on to the content.
func large(name, text string) snapshot.Object {
	return snapshot.Object{
		Kind: wellknown.ConfigMap, Namespace: "shop", Name: name,
		Annotations: map[string]string{wellknown.Versioned: "true"},
		Data:        map[string]string{"key": strings.Repeat(text, maxHeld)},
	}
}

// deploying is the creation of a Deployment that mounts sources.
func deploying(t *testing.T, sources ...string) *pin.Case {
	t.Helper()
	var volumes []string
	for _, name := range sources {
		volumes = append(volumes, fmt.Sprintf(`{"name":%q,"configMap":{"name":%q}}`, name, name))
	}
	object, err := workload.Lookup("apps", "Deployment").Read(`{"metadata":{"name":"web","labels":{"configpin.io/enabled":"true"}},` +
		`"spec":{"template":{"spec":{"volumes":[` + strings.Join(volumes, ",") + `]}}}}`)
	require.NoError(t, err)
	return pin.NewCase(pin.Request{New: object})
}

// viewsOf has one large content read again at a time.
func viewsOf(client corev1client.CoreV1Interface, key func() *hashing.Key) *Views {
	views := NewViews(cluster.NewObjects(client, cluster.Scope{Namespaces: cluster.Everywhere, Secrets: cluster.Everywhere}, key))
	views.keeping = semaphore.NewWeighted(1)
	return views
}

// stored is what a ConfigMap holds.
func stored(t *testing.T, client corev1client.CoreV1Interface, name string) map[string]string {
	t.Helper()
	found, err := client.ConfigMaps("shop").Get(t.Context(), name, metav1.GetOptions{})
	require.NoError(t, err)
	return found.Data
}

func TestAViewHoldsOnToNoLargeContent(t *testing.T) {
	blue := large("app", "blue")
	client := fake.NewClientset(blue.ConfigMap()).CoreV1()
	view, err := viewsOf(client, nil).View(t.Context(), "shop", deploying(t, "app"))
	require.NoError(t, err)
	for target, held := range view.read {
		assert.Empty(t, held.Data, target)
	}
	settled, err := view.Keep(t.Context(), view.of.Decide().Outcomes, false)
	require.NoError(t, err)
	assert.True(t, settled)
	assert.Equal(t, blue.Data, stored(t, client, snapshot.Of(blue, 12).Name))
}

func TestALargeSourceThatChangesMeanwhileIsDecidedAboutAgain(t *testing.T) {
	green := large("app", "green")
	client := fake.NewClientset(large("app", "blue").ConfigMap()).CoreV1()
	view, err := viewsOf(client, nil).View(t.Context(), "shop", deploying(t, "app"))
	require.NoError(t, err)
	_, err = client.ConfigMaps("shop").Update(t.Context(), green.ConfigMap(), metav1.UpdateOptions{})
	require.NoError(t, err)
	settled, err := view.Keep(t.Context(), view.of.Decide().Outcomes, false)
	require.NoError(t, err)
	require.False(t, settled)
	decision := view.of.Decide()
	settled, err = view.Keep(t.Context(), decision.Outcomes, false)
	require.NoError(t, err)
	assert.True(t, settled)
	assert.Equal(t, snapshot.Of(green, 12).Name, decision.Outcomes[0].Name)
	assert.Equal(t, green.Data, stored(t, client, decision.Outcomes[0].Name))
}

// TestWhatBecomesASnapshotMeanwhile: what that is of has to be known as well, before the
// decision is taken again.
func TestWhatBecomesASnapshotMeanwhile(t *testing.T) {
	other := snapshot.Object{
		Kind: wellknown.ConfigMap, Namespace: "shop", Name: "other",
		Annotations: map[string]string{wellknown.Versioned: "true"}, Data: map[string]string{"key": "value"},
	}
	kept := snapshot.Of(other, 12)
	client := fake.NewClientset(large(kept.Name, "blue").ConfigMap(), other.ConfigMap()).CoreV1()
	view, err := viewsOf(client, nil).View(t.Context(), "shop", deploying(t, kept.Name))
	require.NoError(t, err)
	_, err = client.ConfigMaps("shop").Update(t.Context(), kept.ConfigMap(), metav1.UpdateOptions{})
	require.NoError(t, err)
	settled, err := view.Keep(t.Context(), view.of.Decide().Outcomes, false)
	require.NoError(t, err)
	require.False(t, settled)
	decision := view.of.Decide()
	require.Len(t, decision.Outcomes, 1)
	assert.Equal(t, refs.Target{Kind: wellknown.ConfigMap, Name: "other"}, decision.Outcomes[0].Source)
	assert.Equal(t, kept.Name, decision.Outcomes[0].Name)
}

// TestAKeyThatChangesMeanwhile: what is read before and after looks alike if it is.
func TestAKeyThatChangesMeanwhile(t *testing.T) {
	source := snapshot.Object{
		Kind: wellknown.Secret, Namespace: "shop", Name: "db", Type: "Opaque", Key: testKey(t, 1),
		Annotations: map[string]string{wellknown.Versioned: "true"}, Data: map[string]string{"password": "hunter2"},
	}
	kept := snapshot.Of(source, 12)
	var reads atomic.Int64
	views := viewsOf(fake.NewClientset(source.Secret(), kept.Secret()).CoreV1(), func() *hashing.Key { return testKey(t, byte(1+reads.Add(1)%2)) })
	object, err := workload.Lookup("apps", "Deployment").Read(`{"metadata":{"name":"web","labels":{"configpin.io/enabled":"true"}},"spec":{"template":{` +
		`"metadata":{"annotations":{"configpin.io/pins":"secret/db=` + kept.Name + `"}},"spec":{"volumes":[{"name":"db","secret":{"secretName":"` + kept.Name + `"}}]}}}}`)
	require.NoError(t, err)
	view, err := views.View(t.Context(), "shop", pin.NewCase(pin.Request{New: object, Old: &object}))
	require.NoError(t, err)
	secret := func(name string) pin.Fact { return view.of.Facts()[refs.Target{Kind: wellknown.Secret, Name: name}] }
	assert.Equal(t, secret("db").Digest, secret(kept.Name).Digest)
	assert.Equal(t, kept.Name, view.of.Decide().Outcomes[0].Name)
}

// hanging is a cluster in which no snapshot is made.
type hanging struct{ corev1client.CoreV1Interface }

func (h hanging) ConfigMaps(namespace string) corev1client.ConfigMapInterface {
	return hangingIn{h.CoreV1Interface.ConfigMaps(namespace)}
}

type hangingIn struct {
	corev1client.ConfigMapInterface
}

func (hangingIn) Create(ctx context.Context, _ *corev1.ConfigMap, _ metav1.CreateOptions) (*corev1.ConfigMap, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// TestASnapshotThatTakesTooLong: behind a webhook that hangs, whoever waits for us is
// answered before they give up.
func TestASnapshotThatTakesTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		app := snapshot.Object{
			Kind: wellknown.ConfigMap, Namespace: "shop", Name: "app",
			Annotations: map[string]string{wellknown.Versioned: "true"}, Data: map[string]string{"colour": "blue"},
		}
		views := viewsOf(hanging{fake.NewClientset(app.ConfigMap()).CoreV1()}, nil)
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		view, err := views.View(ctx, "shop", deploying(t, "app"))
		require.NoError(t, err)
		settled, err := view.Keep(ctx, view.of.Decide().Outcomes, false)
		require.NoError(t, err)
		assert.False(t, settled)
		require.NoError(t, ctx.Err(), "there is time to answer")
		assert.Equal(t, []string{"configmap/app: no snapshot can be made, so it is not pinned: it takes too long, as behind a webhook that doesn't answer"},
			view.of.Decide().Warnings)
	})
}

func testKey(t *testing.T, fill byte) *hashing.Key {
	t.Helper()
	key, err := hashing.NewKey(bytes.Repeat([]byte{fill}, hashing.KeySize))
	require.NoError(t, err)
	return key
}
