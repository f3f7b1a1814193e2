package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/configpin/configpin/manifests"
	"github.com/configpin/configpin/test/lab/controlplane"
	"github.com/configpin/configpin/test/lab/installation"
)

// lab is a control plane with configpin installed.
type lab struct {
	cluster *controlplane.Cluster
	client  kubernetes.Interface
	noop    *noop
}

// lab starts what is measured, when it is first needed.
func (b *bench) lab(ctx context.Context) (*lab, error) {
	if b.started != nil {
		return b.started, nil
	}
	cluster, err := controlplane.Start(ctx, controlplane.Options{Dir: b.dir, Progress: b.progress})
	if err != nil {
		return nil, err
	}
	objects, err := manifests.Objects()
	if err != nil {
		return nil, err
	}
	configpin, err := installation.New(ctx, cluster, installation.Options{
		Objects:        objects,
		WebhookFlags:   strings.Fields(os.Getenv("CONFIGPIN_FLAGS_WEBHOOK")),
		VersionerFlags: append(strings.Fields(os.Getenv("CONFIGPIN_FLAGS_VERSIONER")), versionerFlags()...),
		Progress:       b.progress,
	})
	if err != nil {
		return nil, err
	}
	if err := configpin.StartWebhook(ctx); err != nil {
		return nil, err
	}
	if err := configpin.StartVersioner(ctx); err != nil {
		return nil, err
	}
	client, err := kubernetes.NewForConfig(plainClient(cluster.Config()))
	if err != nil {
		return nil, fmt.Errorf("connecting to the cluster: %w", err)
	}
	space := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	if _, err := client.CoreV1().Namespaces().Create(ctx, space, metav1.CreateOptions{}); err != nil {
		return nil, fmt.Errorf("making a namespace: %w", err)
	}
	l := &lab{cluster: cluster, client: client}
	if l.noop, err = startNoop(ctx, l); err != nil {
		return nil, err
	}
	b.started = l
	return l, nil
}

// plainClient is as fast as configpin's own: it speaks protobuf, and limits
// nothing.
func plainClient(config *rest.Config) *rest.Config {
	config.ContentType = "application/vnd.kubernetes.protobuf"
	config.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	config.WarningHandler = rest.NoWarnings{}
	return config
}
