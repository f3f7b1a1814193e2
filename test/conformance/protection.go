package conformance

import (
	"fmt"
	"strings"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/configpin/configpin/internal/wellknown"
)

// protection is about the policy that protects snapshots from everybody.
var protection = []scenario{
	{"anybody may create a snapshot that can't be changed: ConfigMap", restoring("ConfigMap")},
	{"anybody may create a snapshot that can't be changed: Secret", restoring("Secret")},
	{"a snapshot is changed by nobody but who means it: ConfigMap", tampering("ConfigMap")},
	{"a snapshot is changed by nobody but who means it: Secret", tampering("Secret")},
	{"what exists is labelled as a snapshot by nobody but who means it", victim},
	{"a snapshot is deleted as the refusal says, and not otherwise", deletingSnapshots},
	{"what carries the label and can be changed is its owner's", neverSnapshot},
	{"a snapshot has no owner and no finalizer, but by who means it: ConfigMap", unbound("ConfigMap")},
	{"a snapshot has no owner and no finalizer, but by who means it: Secret", unbound("Secret")},
	{"a namespace goes with its snapshots, and a snapshot with the owner that it was given", deletedByKubernetes},
	{"a namespace goes when what a snapshot waited for is done", waitsForFinalizer},
}

// Who does what: somebody who may do everything, as RBAC has it, and the group of
// those who may change snapshots.
const (
	someone = "alice"
	masters = "system:masters"
	admins  = "configpin:admins"
)

// as is the API for a user.
func (s *space) as(user string, groups ...string) client.Client {
	s.t.Helper()
	config := rest.CopyConfig(s.Config)
	config.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: groups}
	api, err := client.New(config, client.Options{Mapper: s.api.RESTMapper()})
	require.NoError(s.t, err)
	return api
}

// asAdmin is what refusals tell people to add to a command of kubectl.
const asAdmin = "--as='" + someone + "' --as-group=" + admins + " --as-group=" + masters

// refused checks that an error is a refusal by the policy, word for word.
func (s *space) refused(err error, message string) {
	s.t.Helper()
	if assert.True(s.t, apierrors.IsForbidden(err), "got %v", err) {
		_, got, _ := strings.Cut(err.Error(), "ValidatingAdmissionPolicy 'configpin-snapshots' with binding 'configpin-snapshots' denied request: ")
		assert.Equal(s.t, message, got)
	}
}

// isKept is what the policy says of a change.
func isKept(object string) string {
	return object + " is a snapshot, whose labels, annotations, owners and finalizers stay as they are. " +
		"Change its source instead, or, to change it all the same, add to the kubectl command: " + asAdmin
}

// isNeeded is what the policy says of a deletion.
func isNeeded(name, namespace string) string {
	return fmt.Sprintf("configmap/%[1]s is a snapshot, which Pods and rollbacks may need, and which configpin deletes when nothing does. "+
		"To delete it all the same: kubectl delete configmap %[1]s --namespace=%[2]s %[3]s", name, namespace, asAdmin)
}

// labelledObject looks like a snapshot of a source that isn't there, as a backup
// brings it.
func (s *space) labelledObject(kind, name string, immutable bool) *unstructured.Unstructured {
	object := &unstructured.Unstructured{Object: map[string]any{"immutable": immutable}}
	object.SetGroupVersionKind(schema.GroupVersionKind{Version: "v1", Kind: kind})
	object.SetNamespace(s.name)
	object.SetName(name)
	object.SetLabels(map[string]string{wellknown.SnapshotOf: "app", "velero.io/restore-name": "monday"})
	object.SetAnnotations(map[string]string{wellknown.Source: "app"})
	return object
}

func restoring(kind string) func(*space) {
	return func(s *space) {
		s.tampering = true
		for user, api := range map[string]client.Client{"user": s.as(someone, masters), "admin": s.as(someone, admins, masters)} {
			require.NoError(s.t, api.Create(s.t.Context(), s.labelledObject(kind, "app-"+user, true)))
			for _, mutable := range []*unstructured.Unstructured{s.labelledObject(kind, "mutable", false), s.labelledObject(kind, "mutable", true)} {
				if immutable, _, _ := unstructured.NestedBool(mutable.Object, "immutable"); immutable {
					unstructured.RemoveNestedField(mutable.Object, "immutable")
				}
				s.refused(api.Create(s.t.Context(), mutable), strings.ToLower(kind)+
					"/mutable carries the label configpin.io/snapshot-of and could be changed, so it is no snapshot. Set immutable: true, or leave the label out.")
			}
		}
	}
}

// changes are what matters of a snapshot, changed one by one.
var changes = map[string]string{
	"the label is taken off":            `{"metadata":{"labels":{"configpin.io/snapshot-of":null}}}`,
	"it is said to be another source's": `{"metadata":{"labels":{"configpin.io/snapshot-of":"other"}}}`,
	"another label is put on":           `{"metadata":{"labels":{"team":"shop"}}}`,
	"it is marked as unused":            `{"metadata":{"annotations":{"configpin.io/unused-since":"2026-01-01T00:00:00Z"}}}`,
	"its annotations are taken off":     `{"metadata":{"annotations":null}}`,
	"it gets an owner":                  `{"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"ConfigMap","name":"app","uid":"00000000-0000-0000-0000-000000000000"}]}}`,
	"it can't be deleted any more":      `{"metadata":{"finalizers":["example.com/never"]}}`,
}

func tampering(kind string) func(*space) {
	return func(s *space) {
		s.tampering = true
		user, admin := s.as(someone, masters), s.as(someone, admins, masters)
		kept := s.labelledObject(kind, "app-kept", true)
		s.create(kept)
		for name, change := range changes {
			patch := client.RawPatch(types.MergePatchType, []byte(change))
			s.refused(user.Patch(s.t.Context(), kept.DeepCopy(), patch), isKept(resourceArgument(kept)))
			assert.NoError(s.t, admin.Patch(s.t.Context(), kept.DeepCopy(), patch, client.DryRunAll), name)
		}
		err := user.Patch(s.t.Context(), kept.DeepCopy(), client.RawPatch(types.MergePatchType, []byte(`{"data":{"colour":"cGluaw=="}}`)))
		assert.True(s.t, apierrors.IsInvalid(err), "the API server keeps its content by itself: %v", err)

		before := s.get(kept)
		assert.Equal(s.t, kept.GetResourceVersion(), before.GetResourceVersion(), "nobody changed it")
		require.NoError(s.t, user.Update(s.t.Context(), before.DeepCopy()), "as it is")
		require.NoError(s.t, user.Patch(s.t.Context(), before.DeepCopy(), client.RawPatch(types.MergePatchType, []byte(`{}`))))
		applied := before.DeepCopy()
		applied.SetManagedFields(nil)
		applied.SetResourceVersion("")
		applied.SetUID("")
		unstructured.RemoveNestedField(applied.Object, "metadata", "creationTimestamp")
		require.NoError(s.t, user.Apply(s.t.Context(), client.ApplyConfigurationFromUnstructured(applied), client.FieldOwner("backup")))
		require.NoError(s.t, admin.Patch(s.t.Context(), kept, client.RawPatch(types.MergePatchType, []byte(changes["another label is put on"]))))
	}
}

// victim: what nothing names and is labelled as a snapshot would be collected, if
// it looked like one.
func victim(s *space) {
	s.tampering = true
	source := configMap("app", map[string]string{colour: "blue"})
	s.create(source)
	label := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"labels":{"configpin.io/snapshot-of":"app"}}}`))
	immutable := client.RawPatch(types.MergePatchType, []byte(`{"immutable":true,"metadata":{"labels":{"configpin.io/snapshot-of":"app"}}}`))
	for _, patch := range []client.Patch{label, immutable} {
		s.refused(s.as(someone, masters).Patch(s.t.Context(), source.DeepCopy(), patch), "configmap/app was created without the label configpin.io/snapshot-of"+
			" and would be deleted as a snapshot that nothing names. Leave the label out.")
		assert.NoError(s.t, s.as(someone, admins, masters).Patch(s.t.Context(), source.DeepCopy(), patch, client.DryRunAll))
	}
}

func deletingSnapshots(s *space) {
	s.tampering = true
	user := s.as(someone, masters)
	s.source("app", "blue")
	web := s.deploy("Deployment", "web", envFrom("app"))
	blue := configMap(s.showing(web, "app", "blue"), nil)
	blue.SetNamespace(s.name)
	s.refused(user.Delete(s.t.Context(), blue), isNeeded(blue.Name, s.name))
	s.refused(user.DeleteAllOf(s.t.Context(), &corev1.ConfigMap{}, client.InNamespace(s.name), client.HasLabels{wellknown.SnapshotOf}),
		isNeeded(blue.Name, s.name))
	_, err := s.tryKubectl("", "delete", "configmap", blue.Name, "--as="+someone, "--as-group="+admins)
	require.Error(s.t, err, "the policy gives nobody a right")
	assert.Contains(s.t, s.snapshots(), blue.Name)

	for _, name := range []string{"system:kube-controller-manager", "system:serviceaccount:kube-system:namespace-controller", "system:serviceaccount:kube-system:generic-garbage-collector"} {
		assert.NoError(s.t, s.as(name, masters).Delete(s.t.Context(), blue.DeepCopy(), client.DryRunAll), name)
	}
	s.refused(s.as("system:serviceaccount:kube-system:job-controller", masters).Delete(s.t.Context(), blue.DeepCopy(), client.DryRunAll),
		strings.ReplaceAll(isNeeded(blue.Name, s.name), someone, "system:serviceaccount:kube-system:job-controller"))

	uid := s.readConfigMap(blue.Name).UID
	_, command, _ := strings.Cut(isNeeded(blue.Name, s.name), "kubectl ")
	s.kubectl(strings.Fields(strings.ReplaceAll(command, "'", ""))...)
	s.eventually("it is gone, and made again", func() (string, bool) {
		made, there := s.snapshots()[blue.Name]
		return "it is not there", there && made.UID != uid
	})
}

// neverSnapshot: such an object can't be created while the policy is there.
func neverSnapshot(s *space) {
	user, admin := s.as(someone, masters), s.as(someone, admins, masters)
	for _, name := range []string{"edited", "mended", "deleted"} {
		s.create(configMap(name, map[string]string{colour: "blue"}))
		object := configMap(name, nil)
		object.SetNamespace(s.name)
		require.NoError(s.t, admin.Patch(s.t.Context(), object, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"labels":{"configpin.io/snapshot-of":"app"}}}`))))
		object.Data[colour] = "green"
		assert.NoError(s.t, user.Update(s.t.Context(), object), "its content")
		metav1.SetMetaDataLabel(&object.ObjectMeta, "team", "shop")
		assert.NoError(s.t, user.Update(s.t.Context(), object), "its labels")
	}
	mended, deleted := s.readConfigMap("mended"), s.readConfigMap("deleted")
	delete(mended.Labels, wellknown.SnapshotOf)
	assert.NoError(s.t, user.Update(s.t.Context(), mended))
	assert.NoError(s.t, user.Delete(s.t.Context(), deleted))
}

func ownedBy(owner *corev1.ConfigMap) []metav1.OwnerReference {
	return []metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: owner.Name, UID: owner.UID}}
}

// unbound: whoever may delete the owner would delete the snapshot.
func unbound(kind string) func(*space) {
	return func(s *space) {
		s.tampering = true
		owner := configMap("owner", nil)
		s.create(owner)
		owned, held := s.labelledObject(kind, "app-bound", true), s.labelledObject(kind, "app-bound", true)
		owned.SetOwnerReferences(ownedBy(owner))
		held.SetFinalizers([]string{"example.com/never"})
		for _, bound := range []*unstructured.Unstructured{owned, held} {
			s.refused(s.as(someone, masters).Create(s.t.Context(), bound.DeepCopy()), resourceArgument(bound)+
				" carries the label configpin.io/snapshot-of and has an owner or a finalizer, so that it could be deleted while it is used, or not be deleted at all."+
				" Leave ownerReferences and finalizers out, as configpin does, or leave the label out.")
			assert.NoError(s.t, s.as(someone, admins, masters).Create(s.t.Context(), bound.DeepCopy(), client.DryRunAll))
		}
	}
}

// waitsForFinalizer: whoever is to take a finalizer off isn't exempt.
func waitsForFinalizer(s *space) {
	other := s.twin()
	other.tampering = true
	user, finalized := s.as(someone, masters), client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`))
	held := other.labelledObject("ConfigMap", "app-held", true)
	held.SetFinalizers([]string{"example.com/wait"})
	require.NoError(s.t, s.as(someone, admins, masters).Create(s.t.Context(), held))
	other.refused(user.Patch(s.t.Context(), held.DeepCopy(), finalized), isKept("configmap/app-held"))
	s.kubectl("delete", "namespace", other.name, "--wait=false")
	s.eventually("the snapshot is being deleted", func() (string, bool) {
		return "it isn't", other.get(held).GetDeletionTimestamp() != nil
	})
	relabelled := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"labels":null,"finalizers":null}}`))
	other.refused(user.Patch(s.t.Context(), held.DeepCopy(), relabelled), isKept("configmap/app-held"))
	require.NoError(s.t, user.Patch(s.t.Context(), held.DeepCopy(), finalized))
	s.vanishes(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: other.name}})
}

func deletedByKubernetes(s *space) {
	owner := configMap("owner", nil)
	s.create(owner)
	owned := s.labelledObject("ConfigMap", "app-owned", true)
	owned.SetOwnerReferences(ownedBy(owner))
	require.NoError(s.t, s.as(someone, admins, masters).Create(s.t.Context(), owned))
	s.remove(owner)
	s.vanishes(owned)

	other := s.twin()
	other.create(s.labelledObject("ConfigMap", "app-kept", true))
	other.create(s.labelledObject("Secret", "app-kept", true))
	s.kubectl("delete", "namespace", other.name)
	err := s.api.Get(s.t.Context(), client.ObjectKey{Name: other.name}, &corev1.Namespace{})
	assert.True(s.t, apierrors.IsNotFound(err), "got %v", err)
}
