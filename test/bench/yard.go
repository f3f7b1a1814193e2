package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"k8s.io/client-go/kubernetes"

	"github.com/configpin/configpin/manifests"
	"github.com/configpin/configpin/test/lab/controlplane"
	"github.com/configpin/configpin/test/lab/installation"
)

// gcInterval is how long the versioner rests between two passes. It is longer
// than the shortest grace, so that each pass deletes what the one before marked,
// and longer than the two minutes after which Go's runtime collects its garbage
// although nobody allocates: by then, what the last pass needed has been given
// back.
const gcInterval = 150 * time.Second

// yard is a cluster where the collector works: of the others, whoever could
// disturb it has ended.
type yard struct {
	cluster   *controlplane.Cluster
	client    kubernetes.Interface
	stock     stock
	audit     string // the file with the requests of the versioner
	progress  io.Writer
	configpin *installation.Installation
	footprint *footprint
	last      pass
}

// gcAudit has the API server record the requests that the versioner makes, but
// for those that it makes whether it collects or not.
const gcAudit = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: None
  verbs: [watch]
- level: None
  resources: [{group: coordination.k8s.io}, {group: events.k8s.io}]
- level: None
  nonResourceURLs: ["*"]
- level: Metadata
  users: [%q]
- level: None
`

// yard starts a cluster, and returns how to end it.
func (b *bench) yard(ctx context.Context) (y *yard, stop func() error, err error) {
	dir := b.dir + "-gc"
	stop = func() error {
		_, err := controlplane.Remove(context.WithoutCancel(ctx), dir, b.progress)
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, stop())
		}
	}()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, fmt.Errorf("making a folder for a cluster: %w", err)
	}
	y = &yard{audit: filepath.Join(dir, "requests.log"), progress: b.progress, stock: stock{
		namespaces: b.namespaces,
		sources:    max(1, b.snapshots/perSource/b.namespaces),
		workloads:  b.referring,
	}}
	policy := filepath.Join(dir, "requests-policy.yaml")
	if err := os.WriteFile(policy, fmt.Appendf(nil, gcAudit, installation.VersionerUser), 0o600); err != nil {
		return nil, nil, fmt.Errorf("writing an audit policy: %w", err)
	}
	y.cluster, err = controlplane.Start(ctx, controlplane.Options{
		Dir:           dir,
		Progress:      b.progress,
		APIServerArgs: []string{"--audit-log-path=" + y.audit, "--audit-policy-file=" + policy},
	})
	if err != nil {
		return nil, nil, err
	}
	for _, name := range []string{"kwok", "kube-scheduler", "kube-controller-manager"} {
		if err := y.cluster.Process(name).Stop(); err != nil {
			return nil, nil, err
		}
	}
	if y.client, err = kubernetes.NewForConfig(plainClient(y.cluster.Config())); err != nil {
		return nil, nil, fmt.Errorf("connecting to the cluster: %w", err)
	}
	return y, stop, nil
}

// startCollector installs configpin, without its webhook, which nobody calls.
func (y *yard) startCollector(ctx context.Context) error {
	objects, err := manifests.Objects()
	if err != nil {
		return err
	}
	y.configpin, err = installation.New(ctx, y.cluster, installation.Options{
		Objects: objects,
		VersionerFlags: append(strings.Fields(os.Getenv("CONFIGPIN_FLAGS_VERSIONER")),
			"--gc-interval="+gcInterval.String(), "--gc-min-age=0s", "--gc-grace=90s"),
		Progress: y.progress,
	})
	if err != nil {
		return err
	}
	if err := y.configpin.StartVersioner(ctx); err != nil {
		return err
	}
	y.footprint = &footprint{pid: y.configpin.Versioner("versioner").PID(), field: "VmRSS"}
	go y.footprint.watch(ctx)
	return nil
}
