package conformance

import (
	"fmt"
	"slices"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/configpin/configpin/internal/hashing"
	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/wellknown"
)

// secretive are scenarios of other themes, played once more with Secrets: whatever a
// scenario writes of ConfigMaps is written of Secrets instead, and what it reads of
// Secrets looks to it like ConfigMaps.
func secretive() []scenario {
	var all []scenario
	for _, s := range slices.Concat(stories, settling, naming, goneSnapshots, jobs, []scenario{
		{"a workload that its namespace opts in is held like any other", heldByNamespace},
	}) {
		all = append(all, scenario{"with Secrets: " + s.name, withSecrets(s.run)})
	}
	return all
}

func withSecrets(play func(*space)) func(*space) {
	return func(s *space) {
		s.secrets = true
		play(s)
	}
}

// sourceKind is what messages call the kind of the scenario's sources.
func (s *space) sourceKind() string {
	if s.secrets {
		return string(wellknown.Secret)
	}
	return string(wellknown.ConfigMap)
}

// inKind returns an object as it is written in this scenario. Manifests of workloads
// are changed where they are, so that what is written later agrees with them.
func (s *space) inKind(object client.Object) client.Object {
	if !s.secrets {
		return object
	}
	switch o := object.(type) {
	case *corev1.ConfigMap:
		return secretOf(o)
	case *unstructured.Unstructured:
		nameSecrets(o.Object["spec"])
	}
	return object
}

// secretOf is a ConfigMap as a Secret. What is text and what is bytes makes no
// difference to it.
func secretOf(c *corev1.ConfigMap) *corev1.Secret {
	secret := &corev1.Secret{ObjectMeta: *c.ObjectMeta.DeepCopy(), Immutable: c.Immutable, Type: corev1.SecretTypeOpaque, Data: map[string][]byte{}}
	for key, value := range c.BinaryData {
		secret.Data[key] = value
	}
	for key, value := range c.Data {
		secret.Data[key] = []byte(value)
	}
	return secret
}

// configMapOf is a Secret as a ConfigMap.
func configMapOf(secret *corev1.Secret) *corev1.ConfigMap {
	c := &corev1.ConfigMap{ObjectMeta: secret.ObjectMeta, Immutable: secret.Immutable, Data: map[string]string{}}
	for key, value := range secret.Data {
		c.Data[key] = string(value)
	}
	return c
}

// nameSecrets has a JSON value name Secrets where it names ConfigMaps.
func nameSecrets(value any) {
	switch v := value.(type) {
	case []any:
		for _, element := range v {
			nameSecrets(element)
		}
	case map[string]any:
		for _, names := range [][2]string{{"configMapKeyRef", "secretKeyRef"}, {"configMapRef", "secretRef"}, {"configMap", "secret"}} {
			holder, is := v[names[0]].(map[string]any)
			if !is {
				continue
			}
			delete(v, names[0])
			v[names[1]] = holder
			if _, projected := v["name"]; names[1] == "secret" && projected { // a volume has a name, an element of a projected one hasn't
				holder["secretName"] = holder["name"]
				delete(holder, "name")
			}
		}
		for _, field := range v {
			nameSecrets(field)
		}
	}
}

// object is what a source or a snapshot is to configpin.
func (s *space) object(c *corev1.ConfigMap) snapshot.Object {
	s.t.Helper()
	if !s.secrets {
		return snapshot.FromConfigMap(c)
	}
	return snapshot.FromSecret(secretOf(c), s.digestKey())
}

// digestKey is the key of Secrets' digests. Another scenario may have deleted it, and
// then it is put back.
func (s *space) digestKey() *hashing.Key {
	s.t.Helper()
	stored := &corev1.Secret{}
	s.eventually("there is a key of Secrets' digests", func() (string, bool) {
		err := s.api.Get(s.t.Context(), client.ObjectKey{Namespace: installed, Name: wellknown.DigestKeySecret}, stored)
		return fmt.Sprint(err), err == nil
	})
	key, err := hashing.NewKey(stored.Data[wellknown.DigestKeyData])
	require.NoError(s.t, err)
	return key
}

// installed is the namespace that configpin lives in.
const installed = "configpin-system"
