package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/template"

	"github.com/configpin/configpin/manifests"
	"github.com/configpin/configpin/test/lab/controlplane"
	"github.com/configpin/configpin/test/lab/installation"
)

var summary = template.Must(template.New("summary").Parse(`
configpin runs on a Kubernetes {{.Version}} of your own, at {{.URL}}
Everything about it is in {{.Dir}}: NAME.log and NAME.pid of each process, and the data.

Use it in this shell:
  source {{.Env}}
  kubectl get nodes

Then try a ConfigMap that is versioned and a Deployment that is pinned:
  kubectl create configmap app --from-literal=colour=blue
  kubectl annotate configmap app configpin.io/versioned=true
  kubectl create deployment app --image=example.com/app:1
  kubectl label deployment app configpin.io/enabled=true
  kubectl set env deployment/app --from=configmap/app
  kubectl patch configmap app --type=merge --patch='{"data":{"colour":"green"}}'
  kubectl get configmaps
  kubectl rollout status deployment/app
  kubectl rollout undo deployment/app

Pods become ready but run nothing: there are no containers here (with make up NODE=real, there are). To end all of it: make down
`))

// servesSecrets reads CONFIGPIN_SECRETS. Whoever writes 0, or no, mustn't get the
// contrary, and whoever writes yes mustn't get nothing.
func servesSecrets(value string) (bool, error) {
	switch value {
	case "1":
		return true, nil
	case "", "0":
		return false, nil
	default:
		return false, usageError(fmt.Sprintf("local: CONFIGPIN_SECRETS is %q, not 1 or 0", value))
	}
}

func up(ctx context.Context, dir string, out io.Writer) error {
	flags, components := []string{}, []manifests.Component{}
	secrets, err := servesSecrets(os.Getenv("CONFIGPIN_SECRETS"))
	if err != nil {
		return err
	}
	if secrets {
		flags, components = append(flags, "--secrets"), append(components, manifests.Secrets, manifests.DigestKey)
	}
	objects, err := manifests.Objects(components...)
	if err != nil {
		return err
	}
	unlock, err := lock(ctx, dir, out)
	if err != nil {
		return err
	}
	defer unlock()
	if nodeProcess(dir).Running() {
		return errors.New("a cluster with a real node runs here; end it with make down first")
	}
	cluster, err := controlplane.Start(ctx, controlplane.Options{Dir: dir, Detached: true, Progress: out})
	if err != nil {
		return err
	}
	i, err := installation.New(ctx, cluster, installation.Options{
		Objects:        objects,
		WebhookFlags:   append(flags, strings.Fields(os.Getenv("CONFIGPIN_FLAGS_WEBHOOK"))...),
		VersionerFlags: append(flags, strings.Fields(os.Getenv("CONFIGPIN_FLAGS_VERSIONER"))...),
		Detached:       true,
		Progress:       out,
	})
	if err != nil {
		return err
	}
	if err := i.StartVersioner(ctx); err != nil { // first: it makes the key that the webhook may wait for
		return err
	}
	if err := i.StartWebhook(ctx); err != nil {
		return err
	}
	if err := installation.BuildPlugin(ctx, i.Programs()); err != nil {
		return err
	}
	if err := os.WriteFile(cluster.EnvFile(), []byte(cluster.Env(i.Programs())), 0o600); err != nil {
		return fmt.Errorf("writing the environment: %w", err)
	}
	return summary.Execute(out, map[string]string{
		"Version": cluster.Binaries().KubernetesVersion,
		"URL":     cluster.URL(),
		"Dir":     dir,
		"Env":     cluster.EnvFile(),
	})
}
