package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/configpin/configpin/test/lab/controlplane"
)

// namespace is where the story takes place.
const namespace = "story"

// placeholders of the CoreDNS manifest, and what cluster/addons fills in.
var placeholders = strings.NewReplacer(
	"__DNS__DOMAIN__", "cluster.local",
	"__DNS__SERVER__", "None",
	"__DNS__MEMORY__LIMIT__", "170Mi",
	"namespace: kube-system", "namespace: "+namespace,
)

// writeManifests writes configs.yaml and workloads.yaml: manifests that nobody
// here wrote, out of the Kubernetes that was just built. CoreDNS moves from
// kube-system, which configpin never touches, to a namespace of the story.
func writeManifests(ctx context.Context, folder string) error {
	kubernetes, err := controlplane.KubernetesModuleDir(ctx)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("writing manifests: %w", err)
	}
	var configs, workloads []string
	for _, file := range []string{
		"cluster/addons/dns/coredns/coredns.yaml.base",
		"test/e2e/testing-manifests/statefulset/mysql-upgrade/configmap.yaml",
		"test/e2e/testing-manifests/statefulset/mysql-upgrade/service.yaml",
		"test/e2e/testing-manifests/statefulset/mysql-upgrade/statefulset.yaml",
	} {
		text, err := os.ReadFile(filepath.Join(kubernetes, filepath.FromSlash(file)))
		if err != nil {
			return fmt.Errorf("reading a manifest of Kubernetes: %w", err)
		}
		for document := range strings.SplitSeq(placeholders.Replace(string(text)), "\n---") {
			switch {
			case strings.Contains(document, "\nkind: ConfigMap\n"):
				configs = append(configs, document)
			case strings.Contains(document, "kind:"):
				workloads = append(workloads, document)
			}
		}
	}
	for name, documents := range map[string][]string{
		"configs.yaml":   configs,
		"workloads.yaml": workloads,
		"volumes.yaml":   {volumes},
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(strings.Join(documents, "\n---\n")), 0o644); err != nil {
			return fmt.Errorf("writing manifests: %w", err)
		}
	}
	return nil
}

// volumes are what the StatefulSet claims: nothing provisions any here.
const volumes = `
apiVersion: v1
kind: List
items:
  - &volume
    apiVersion: v1
    kind: PersistentVolume
    metadata: {name: mysql-0}
    spec:
      capacity: {storage: 100Gi}
      accessModes: [ReadWriteOnce]
      storageClassName: default
      hostPath: {path: /tmp}
  - {<<: *volume, metadata: {name: mysql-1}}
  - {<<: *volume, metadata: {name: mysql-2}}
`
