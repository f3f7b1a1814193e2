package watch

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/pin"
	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/wellknown"
	"github.com/configpin/configpin/internal/workload"
)

// TestFactsOfWhatIsNotKnownYet: it is decided about the sources that are known. The other
// one stays as it is: held or not, and whatever it may hold.
func TestFactsOfWhatIsNotKnownYet(t *testing.T) {
	s, err := NewSources(&rest.Config{Host: "localhost"}, cluster.Scope{Namespaces: cluster.Everywhere}, nil)
	require.NoError(t, err)
	store := s.informers[wellknown.ConfigMap].of("shop").GetStore()
	target := func(name string) refs.Target { return refs.Target{Kind: wellknown.ConfigMap, Name: name} }
	kept := func(source, content string) snapshot.Object {
		object := snapshot.Object{Kind: wellknown.ConfigMap, Namespace: "shop", Name: source, Data: map[string]string{"colour": content}}
		made := snapshot.Of(object, snapshot.Lengths[0])
		require.NoError(t, store.Add(&metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: source, UID: "1", Annotations: map[string]string{wellknown.Versioned: wellknown.True},
		}}))
		require.NoError(t, store.Add(&metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: made.Name, UID: "2", Labels: made.Labels, Annotations: made.Annotations,
		}}))
		return made
	}
	known, unread, green := kept("known", "blue"), kept("unread", "blue"), kept("known", "green")
	s.SetCurrent(cluster.Key{Namespace: "shop", Target: target("known")}, Current{Name: green.Name, Digest: green.Annotations[wellknown.Digest]})

	for name, offered := range map[string]string{"it may be behind": snapshot.Suffix(unread.Name), "it may be held": "0123456789ab"} {
		t.Run(name, func(t *testing.T) {
			web, err := workload.Lookup("apps", "Deployment").Read(fmt.Sprintf(`{"metadata": {"name": "web", "namespace": "shop", "labels": {
				"configpin.io/enabled": "true", "observed.configpin.io/configmap.known": %q, "observed.configpin.io/configmap.unread": %q}}, "spec": {"template": {
				"metadata": {"annotations": {"configpin.io/pins": "configmap/known=%s,configmap/unread=%s"}},
				"spec": {"volumes": [{"configMap": {"name": %q}}, {"configMap": {"name": %q}}]}}}}`,
				snapshot.Suffix(known.Name), offered, known.Name, unread.Name, known.Name, unread.Name))
			require.NoError(t, err)
			touch := pin.NewCase(pin.Request{New: web, Old: &web})
			unknown := s.Tell("shop", touch)
			assert.Equal(t, map[refs.Target]bool{target("unread"): true}, unknown)
			decision := touch.Decide()
			named := map[string]string{}
			for _, outcome := range decision.Outcomes {
				named[outcome.Source.Name] = outcome.Name
				if outcome.Source == target("unread") {
					assert.Equal(t, offered, outcome.Observed)
					assert.False(t, outcome.Held)
				}
			}
			assert.Equal(t, map[string]string{"known": green.Name, "unread": unread.Name}, named)

			s.SetCurrent(cluster.Key{Namespace: "shop", Target: target("known")}, Current{Name: known.Name, Digest: known.Annotations[wellknown.Digest]})
			defer s.SetCurrent(cluster.Key{Namespace: "shop", Target: target("known")}, Current{Name: green.Name, Digest: green.Annotations[wellknown.Digest]})
			touch = pin.NewCase(touch.Request())
			s.Tell("shop", touch)
			assert.Empty(t, touch.Decide().Patch, "what isn't known makes nothing behind")
		})
	}
}
