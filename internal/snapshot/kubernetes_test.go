package snapshot_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/wellknown"
)

// meta is all of an object's metadata that is read.
func meta() metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace: "shop", Name: "app", UID: "u", ResourceVersion: "7",
		Labels: map[string]string{"a": "b"}, Annotations: map[string]string{"c": "d"},
		CreationTimestamp: metav1.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
	}
}

// written is what an API server is sent of it: it dates objects itself.
func written() metav1.ObjectMeta {
	sent := meta()
	sent.CreationTimestamp = metav1.Time{}
	return sent
}

// What is read of an object is all that it holds, and is written again as it was.
func TestObjectsOfKubernetes(t *testing.T) {
	of := snapshot.Object{
		Namespace: "shop", Name: "app", UID: "u", ResourceVersion: "7",
		Labels: map[string]string{"a": "b"}, Annotations: map[string]string{"c": "d"},
		Created: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
	}
	for name, immutable := range map[string]*bool{"it doesn't say": nil, "it can change": ptr.To(false), "it can't": ptr.To(true)} {
		t.Run(name, func(t *testing.T) {
			want := of
			want.Kind, want.Immutable = wellknown.ConfigMap, immutable != nil && *immutable
			want.Data, want.Binary = map[string]string{"k": "v"}, map[string][]byte{"b": {1}}
			c := &corev1.ConfigMap{ObjectMeta: meta(), Immutable: immutable, Data: want.Data, BinaryData: want.Binary}
			assert.Equal(t, want, snapshot.FromConfigMap(c))
			assert.Equal(t, &corev1.ConfigMap{ObjectMeta: written(), Immutable: &want.Immutable, Data: want.Data, BinaryData: want.Binary}, want.ConfigMap())

			want.Kind, want.Type, want.Key, want.Binary = wellknown.Secret, "Opaque", key(t, 1), nil
			data := map[string][]byte{"k": []byte("v")}
			s := &corev1.Secret{ObjectMeta: meta(), Immutable: immutable, Type: "Opaque", Data: data}
			assert.Equal(t, want, snapshot.FromSecret(s, want.Key))
			assert.Equal(t, &corev1.Secret{ObjectMeta: written(), Immutable: &want.Immutable, Type: "Opaque", Data: data}, want.Secret())
		})
	}
	going := meta()
	going.DeletionTimestamp = &metav1.Time{Time: time.Unix(1, 0)}
	assert.True(t, snapshot.FromMetadata(wellknown.ConfigMap, &going).Terminating)
	assert.Nil(t, snapshot.FromSecret(&corev1.Secret{}, nil).Data)
	assert.Nil(t, snapshot.Object{Kind: wellknown.Secret}.Secret().Data)
}

func TestReference(t *testing.T) {
	o := snapshot.Object{Kind: wellknown.Secret, Namespace: "shop", Name: "db", UID: "u", ResourceVersion: "7"}
	assert.Equal(t, &corev1.ObjectReference{
		APIVersion: "v1", Kind: "Secret", Namespace: "shop", Name: "db", UID: "u", ResourceVersion: "7",
	}, o.Reference())
}

func TestASnapshotHoldsAll(t *testing.T) {
	o := source()
	o.Binary = map[string][]byte{"b": {1}}
	assert.Equal(t, o.Binary, snapshot.Of(o, 12).Binary)
}

// What just fits is told as it is.
func TestBounds(t *testing.T) {
	long := strings.Repeat("a", 63)
	assert.Equal(t, long, snapshot.LabelValue(long))
	assert.Len(t, snapshot.LabelValue(long+"a"), 52)
	fits := strings.Repeat("a", 63-len("configmap."))
	assert.Equal(t, wellknown.ObservedPrefix+"configmap."+fits, snapshot.ObservedLabel(wellknown.ConfigMap, fits))
	assert.NotContains(t, snapshot.ObservedLabel(wellknown.ConfigMap, fits+"a"), fits)
	assert.Equal(t, 1572864, snapshot.Size(snapshot.Object{Annotations: map[string]string{wellknown.Size: "1572864"}}))
	assert.Zero(t, snapshot.Size(snapshot.Object{Annotations: map[string]string{wellknown.Size: "1572865"}}))
}

// Every part of what is the same snapshot is looked at.
func TestSame(t *testing.T) {
	one := snapshot.Of(source(), 12)
	assert.True(t, snapshot.Same(one, snapshot.Of(source(), 12)))
	for name, change := range map[string]func(*snapshot.Object){
		"its namespace": func(o *snapshot.Object) { o.Namespace = "other" },
		"its name":      func(o *snapshot.Object) { o.Name = "other" },
		"its label":     func(o *snapshot.Object) { o.Labels[wellknown.SnapshotOf] = "other" },
		"its source":    func(o *snapshot.Object) { o.Annotations[wellknown.Source] = "other" },
		"that it stays": func(o *snapshot.Object) { o.Immutable = false },
	} {
		other := snapshot.Of(source(), 12)
		change(&other)
		assert.False(t, snapshot.Same(one, other), name)
	}
}

// Who claims to be a snapshot has its label, a digest, and a name that agrees.
func TestWhatClaimsNothing(t *testing.T) {
	for name, change := range map[string]func(*snapshot.Object){
		"by another label":      func(o *snapshot.Object) { o.Labels[wellknown.SnapshotOf] = "other" },
		"without a label":       func(o *snapshot.Object) { o.Labels = nil },
		"without a digest":      func(o *snapshot.Object) { delete(o.Annotations, wellknown.Digest) },
		"with another name":     func(o *snapshot.Object) { o.Name = "app-other" },
		"with half of a digest": func(o *snapshot.Object) { o.Annotations[wellknown.Digest] = o.Annotations[wellknown.Digest][:24] },
	} {
		o := snapshot.Of(source(), 12)
		change(&o)
		_, _, claimed := snapshot.Claimed(o)
		assert.False(t, claimed, name)
	}
}
