package installation

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"github.com/configpin/configpin/test/lab/controlplane/process"
	"github.com/configpin/configpin/test/lab/tools"
)

// Webhook is the webhook's process, to pause or to look at. Start it with StartWebhook.
func (i *Installation) Webhook() *process.Process { return i.process(webhook, webhook) }

// Versioner is the process of the versioner with this name, to pause or to look at. Start it with StartVersioner.
func (i *Installation) Versioner(name string) *process.Process { return i.process(name, versioner) }

// Variant returns the same installation for programs that get further flags and variables: those that are started
// through it need names of their own, and are stopped through it.
func (i *Installation) Variant(versionerFlags, env []string) *Installation {
	options := i.options
	options.VersionerFlags = slices.Concat(options.VersionerFlags, versionerFlags)
	options.Env = slices.Concat(options.Env, env)
	return &Installation{cluster: i.cluster, options: options, trusted: i.trusted}
}

// process returns the one value that stands for a process, so that its exit is noticed wherever it was started.
func (i *Installation) process(name, program string) *process.Process {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, p := range i.processes {
		if p.Name == name {
			return p
		}
	}
	p := &process.Process{
		Name:     name,
		Path:     filepath.Join(i.Programs(), program),
		Env:      i.options.Env,
		Dir:      i.options.Dir,
		Detached: i.options.Detached,
	}
	i.processes = append(i.processes, p)
	return p
}

func (i *Installation) webhookArgs() ([]string, error) {
	kubeconfig, err := i.cluster.KubeconfigFor(WebhookUser, Groups()...)
	if err != nil {
		return nil, err
	}
	bind, err := i.address(webhook)
	if err != nil {
		return nil, err
	}
	health, err := i.address(webhook + "-health")
	if err != nil {
		return nil, err
	}
	args := []string{
		"--kubeconfig=" + kubeconfig,
		"--bind-address=" + bind,
		"--cert-dir=" + i.Certificates(),
		"--health-address=" + health,
		"--digest-key-namespace=" + Namespace,
	}
	if len(i.options.ClientCA) > 0 {
		args = append(args, "--client-ca="+i.clientCA())
	}
	return append(args, i.options.WebhookFlags...), nil
}

func (i *Installation) versionerArgs(name string) ([]string, error) {
	kubeconfig, err := i.cluster.KubeconfigFor(VersionerUser, Groups()...)
	if err != nil {
		return nil, err
	}
	health, err := i.address(name + "-health")
	if err != nil {
		return nil, err
	}
	return append([]string{
		"--kubeconfig=" + kubeconfig,
		"--health-address=" + health,
		"--leader-election-namespace=" + Namespace,
		"--digest-key-namespace=" + Namespace,
	}, i.options.VersionerFlags...), nil
}

// Programs is the folder of the built programs.
func (i *Installation) Programs() string { return filepath.Join(i.options.Dir, "bin") }

// Plugin is the name of the kubectl plugin, which kubectl finds on the PATH.
const Plugin = "kubectl-configpin"

// BuildPlugin builds the kubectl plugin into a folder, from the checkout around the working directory.
func BuildPlugin(ctx context.Context, folder string) error {
	root, err := tools.Checkout()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return fmt.Errorf("building %s: %w", Plugin, err)
	}
	return goBuild(ctx, root, "./cmd/"+Plugin, filepath.Join(folder, Plugin), nil)
}

// build builds the programs from the checkout around the working directory.
func (i *Installation) build(ctx context.Context) error {
	root, err := tools.Checkout()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(i.Programs(), 0o700); err != nil {
		return fmt.Errorf("building configpin: %w", err)
	}
	for name, pkg := range map[string]string{webhook: i.options.WebhookPackage, versioner: i.options.VersionerPackage} {
		if err := goBuild(ctx, root, pkg, filepath.Join(i.Programs(), name), i.options.BuildFlags); err != nil {
			return err
		}
	}
	return nil
}

// goBuild leaves a program alone that would not change, so that its time says when it last did, and a running one is
// never written to.
func goBuild(ctx context.Context, root, pkg, output string, flags []string) error {
	fresh := output + ".new"
	cmd := exec.CommandContext(ctx, "go", slices.Concat([]string{"build", "-o", fresh}, flags, []string{pkg})...)
	cmd.Dir = root
	if printed, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building %s: %w\n%s", pkg, err, bytes.TrimSpace(printed))
	}
	before, err := os.ReadFile(output)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("building %s: %w", pkg, err)
	}
	after, err := os.ReadFile(fresh)
	if err != nil {
		return fmt.Errorf("building %s: %w", pkg, err)
	}
	if bytes.Equal(before, after) {
		return os.Remove(fresh)
	}
	return os.Rename(fresh, output)
}

// Certificates is the folder with the webhook's serving certificate.
func (i *Installation) Certificates() string {
	return filepath.Join(i.options.Dir, "webhook-certificates")
}

// writeServingCertificate makes the webhook's certificate unless there is a good one.
func (i *Installation) writeServingCertificate() error {
	certFile, keyFile := filepath.Join(i.Certificates(), "tls.crt"), filepath.Join(i.Certificates(), "tls.key")
	if accepted(certFile, keyFile, i.cluster.CAPEM()) {
		return nil
	}
	certPEM, keyPEM, err := i.cluster.ServingCert("configpin-webhook."+Namespace+".svc", net.IPv4(127, 0, 0, 1))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(i.Certificates(), 0o700); err != nil {
		return fmt.Errorf("writing the webhook's certificate: %w", err)
	}
	if err := errors.Join(os.WriteFile(keyFile, keyPEM, 0o600), os.WriteFile(certFile, certPEM, 0o600)); err != nil {
		return fmt.Errorf("writing the webhook's certificate: %w", err)
	}
	return nil
}

// accepted says whether the API server would accept the certificate.
func accepted(certFile, keyFile string, ca []byte) bool {
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return false
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	_, err = pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: "127.0.0.1"})
	return err == nil
}
