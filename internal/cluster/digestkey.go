package cluster

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/util/wait"
	coreinformers "k8s.io/client-go/informers/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	"k8s.io/utils/ptr"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/configpin/configpin/internal/hashing"
	"github.com/configpin/configpin/internal/wellknown"
)

// DigestKey is the key by which the digests of Secrets are made, as the cluster
// keeps it. It is followed by a watch, so that all programs change over together,
// should it ever be another. It is safe for concurrent use.
type DigestKey struct {
	secrets   kubernetes.Interface
	namespace string
	informer  cache.SharedIndexInformer

	// Make says that it is made where there is none, and put back where somebody
	// deletes it.
	Make bool

	// Changed, if set, is called when there is another key than before.
	Changed func()

	known atomic.Pointer[knownKey]
}

// knownKey is a key, and its bytes, to put it back.
type knownKey struct {
	key   *hashing.Key
	bytes []byte
}

// NewDigestKey returns the DigestKey of the programs in a namespace, not watching
// yet.
func NewDigestKey(config *rest.Config, namespace string) (*DigestKey, error) {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("connecting to the cluster: %w", err)
	}
	d := &DigestKey{secrets: client, namespace: namespace}
	plain := struct {
		kubernetes.Interface
		ListsFirst
	}{Interface: client}
	d.informer = coreinformers.NewFilteredSecretInformer(plain, namespace, 0, cache.Indexers{}, func(options *metav1.ListOptions) {
		options.FieldSelector = fields.OneTermEqualSelector(metav1.ObjectNameField, wellknown.DigestKeySecret).String()
	})
	return d, nil
}

// Key is the key, or nil while it isn't known. Once it is, one that is lost stays in
// use until there is another.
func (d *DigestKey) Key() *hashing.Key { return ptr.Deref(d.known.Load(), knownKey{}).key }

// Loaded returns why there is no key. Nobody who has no DigestKey needs one.
func (d *DigestKey) Loaded() error {
	if d != nil && d.Key() == nil {
		return fmt.Errorf("waiting for the key of Secrets' digests: Secret %s/%s", d.namespace, wellknown.DigestKeySecret)
	}
	return nil
}

// NeedLeaderElection lets every replica have the key.
func (d *DigestKey) NeedLeaderElection() bool { return false }

// keyPoll is how often it is looked whether there is no key, in what the watch
// has seen.
const keyPoll = time.Second

// Start watches until ctx ends.
func (d *DigestKey) Start(ctx context.Context) error {
	take := func(object any) {
		if secret, ok := object.(*corev1.Secret); ok {
			d.take(ctx, secret)
		}
	}
	_, err := d.informer.AddEventHandler(cache.ResourceEventHandlerFuncs{AddFunc: take, UpdateFunc: func(_, now any) { take(now) }})
	if err != nil {
		return fmt.Errorf("watching the key: %w", err)
	}
	go d.informer.RunWithContext(ctx)
	if !d.Make {
		<-ctx.Done()
		return nil
	}
	said := ""
	wait.UntilWithContext(ctx, func(ctx context.Context) {
		if !d.informer.HasSynced() || len(d.informer.GetStore().ListKeys()) > 0 {
			said = ""
			return
		}
		if err := d.make(ctx); err != nil && ctx.Err() == nil && err.Error() != said {
			said = err.Error() // it will be the same in a second
			logf.FromContext(ctx).Error(err, "Making the key of Secrets' digests")
		}
	}, keyPoll)
	return nil
}

// take takes over the key that a Secret holds. One that holds none leaves what there
// was before.
func (d *DigestKey) take(ctx context.Context, secret *corev1.Secret) {
	log := logf.FromContext(ctx).WithValues("secret", klog.KObj(secret))
	bytes := secret.Data[wellknown.DigestKeyData]
	key, err := hashing.NewKey(bytes)
	if err != nil {
		log.Error(err, "Ignoring the key of Secrets' digests; delete the Secret to have one made")
		return
	}
	before := d.known.Swap(&knownKey{key, bytes})
	if before == nil || before.key.ID() == key.ID() {
		return
	}
	log.Info("The key of Secrets' digests is another one: new contents get names by it, and what is pinned stays")
	if d.Changed != nil {
		d.Changed()
	}
}

// make creates the Secret: with the key that is in use, or with a new one. Of
// several that do so at once, one succeeds, and the others learn of its key.
func (d *DigestKey) make(ctx context.Context) error {
	key := make([]byte, hashing.KeySize)
	_, _ = rand.Read(key) // never fails
	if known := d.known.Load(); known != nil {
		key = known.bytes
	}
	_, err := d.secrets.CoreV1().Secrets(d.namespace).Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: wellknown.DigestKeySecret},
		Immutable:  ptr.To(true),
		Type:       wellknown.DigestKeyType,
		Data:       map[string][]byte{wellknown.DigestKeyData: key},
	}, metav1.CreateOptions{FieldManager: wellknown.FieldManager})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("creating secret %s/%s: %w", d.namespace, wellknown.DigestKeySecret, err)
	}
	return nil
}
