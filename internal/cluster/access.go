package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/utils/ptr"

	"github.com/configpin/configpin/internal/hashing"
	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/wellknown"
)

// access is how the objects of one kind are reached.
type access struct {
	get    func(ctx context.Context, namespace, name string) (snapshot.Object, error)
	create func(ctx context.Context, object snapshot.Object) (snapshot.Object, error)
	patch  func(ctx context.Context, namespace, name string, patch []byte) (snapshot.Object, error)
	list   func(ctx context.Context, namespace string, options metav1.ListOptions) (objects []snapshot.Object, following string, err error)
	remove func(ctx context.Context, object snapshot.Object) error
}

// typed is a client of one kind in one namespace. One is a pointer to an object of
// that kind, and Many one to a list of them.
type typed[One, Many any] interface {
	Get(ctx context.Context, name string, options metav1.GetOptions) (One, error)
	Create(ctx context.Context, object One, options metav1.CreateOptions) (One, error)
	Patch(ctx context.Context, name string, patchType types.PatchType, patch []byte, options metav1.PatchOptions, subresources ...string) (One, error)
	List(ctx context.Context, options metav1.ListOptions) (Many, error)
	Delete(ctx context.Context, name string, options metav1.DeleteOptions) error
}

// dialect is what differs from kind to kind.
type dialect[One, Many any] struct {
	in    func(namespace string) typed[One, Many]
	read  func(One) (snapshot.Object, error)
	write func(snapshot.Object) One
	items func(Many) (items []One, following string)
	told  func(error) error // of what is answered to a write, if not all
}

func (d dialect[One, Many]) access() access {
	read := func(found One, err error) (snapshot.Object, error) {
		if err != nil {
			return snapshot.Object{}, err
		}
		return d.read(found)
	}
	written := func(found One, err error) (snapshot.Object, error) { return read(found, d.told(err)) }
	return access{
		get: func(ctx context.Context, namespace, name string) (snapshot.Object, error) {
			return read(d.in(namespace).Get(ctx, name, metav1.GetOptions{}))
		},
		create: func(ctx context.Context, object snapshot.Object) (snapshot.Object, error) {
			return written(d.in(object.Namespace).Create(ctx, d.write(object), metav1.CreateOptions{FieldManager: wellknown.FieldManager}))
		},
		patch: func(ctx context.Context, namespace, name string, patch []byte) (snapshot.Object, error) {
			return written(d.in(namespace).Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: wellknown.FieldManager}))
		},
		list: func(ctx context.Context, namespace string, options metav1.ListOptions) ([]snapshot.Object, string, error) {
			found, err := d.in(namespace).List(ctx, options)
			if err != nil {
				return nil, "", err
			}
			items, following := d.items(found)
			objects := make([]snapshot.Object, len(items))
			for i, item := range items {
				if objects[i], err = d.read(item); err != nil {
					return nil, "", err
				}
			}
			return objects, following, nil
		},
		remove: func(ctx context.Context, object snapshot.Object) error {
			return d.told(d.in(object.Namespace).Delete(ctx, object.Name, metav1.DeleteOptions{
				Preconditions: &metav1.Preconditions{UID: ptr.To(types.UID(object.UID)), ResourceVersion: &object.ResourceVersion},
			}))
		},
	}
}

func configMaps(client corev1client.ConfigMapsGetter) access {
	return dialect[*corev1.ConfigMap, *corev1.ConfigMapList]{
		in: func(namespace string) typed[*corev1.ConfigMap, *corev1.ConfigMapList] {
			return client.ConfigMaps(namespace)
		},
		read:  func(found *corev1.ConfigMap) (snapshot.Object, error) { return snapshot.FromConfigMap(found), nil },
		write: snapshot.Object.ConfigMap,
		items: func(list *corev1.ConfigMapList) ([]*corev1.ConfigMap, string) {
			return pointers(list.Items), list.Continue
		},
		told: func(err error) error { return err },
	}.access()
}

// errNoKey says that it isn't known yet what the digests of Secrets are made with.
var errNoKey = errors.New("the key of the digests isn't known yet")

// secrets reads each Secret with the key as it is then.
func secrets(client corev1client.SecretsGetter, key func() *hashing.Key) access {
	return dialect[*corev1.Secret, *corev1.SecretList]{
		in: func(namespace string) typed[*corev1.Secret, *corev1.SecretList] { return client.Secrets(namespace) },
		read: func(found *corev1.Secret) (snapshot.Object, error) {
			now := key()
			if now == nil {
				return snapshot.Object{}, errNoKey
			}
			return snapshot.FromSecret(found, now), nil
		},
		write: snapshot.Object.Secret,
		items: func(list *corev1.SecretList) ([]*corev1.Secret, string) {
			return pointers(list.Items), list.Continue
		},
		told: Discreet,
	}.access()
}

// Discreet takes from an answer about a Secret what it may say of its content: a
// webhook or a policy that refuses it saw that, and may quote it or tell its size.
func Discreet(err error) error {
	var answer apierrors.APIStatus
	if !errors.As(err, &answer) {
		return err
	}
	status := answer.Status()
	var details *metav1.StatusDetails
	if cause := corev1.NamespaceTerminatingCause; apierrors.HasStatusCause(err, cause) {
		details = &metav1.StatusDetails{Causes: []metav1.StatusCause{{Type: cause}}}
	}
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status:  metav1.StatusFailure,
		Code:    status.Code,
		Reason:  status.Reason,
		Details: details,
		Message: fmt.Sprintf("the API server refuses it (%s): see the rights, quotas and policies of the namespace", cmp.Or(string(status.Reason), fmt.Sprint(status.Code))),
	}}
}

func pointers[T any](items []T) []*T {
	all := make([]*T, len(items))
	for i := range items {
		all[i] = &items[i]
	}
	return all
}
