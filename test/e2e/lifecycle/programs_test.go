package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/configpin/configpin/test/lab/controlplane/process"
	"github.com/configpin/configpin/test/lab/installation"
)

// What a Pod of the webhook goes through when it is deleted. preStop is the chart's; a
// node hears a moment after the Pod's own kubelet that it isn't behind the Service.
const (
	preStop  = 5 * time.Second
	noticing = time.Second
)

// build is configpin as one commit has it: the folder of its checkout, and its programs.
type build struct{ checkout, programs string }

func (b build) chart() string { return filepath.Join(b.checkout, "manifests", "charts", "configpin") }

// built builds the programs of a checkout.
func built(ctx context.Context, checkout, into string) (build, error) {
	if err := os.MkdirAll(into, 0o700); err != nil {
		return build{}, err
	}
	command := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-o", into, "./cmd/webhook", "./cmd/versioner")
	command.Dir = checkout
	if out, err := command.CombinedOutput(); err != nil {
		return build{}, fmt.Errorf("building %s: %w\n%s", checkout, err, out)
	}
	return build{checkout: checkout, programs: into}, nil
}

// pod is a process that plays the Pod of a program.
type pod struct {
	process.Process
	address, health string
}

// program returns the process of one of the Deployments, with the flags that its Pods
// have, but for where it listens and finds what a kubelet would give it.
func (l *lab) program(ctx context.Context, b build, program, name, user string) (*pod, error) {
	deployment, err := l.api.AppsV1().Deployments(installation.Namespace).Get(ctx, "configpin-"+program, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	kubeconfig, err := l.cluster.KubeconfigFor(user, installation.Groups()...)
	if err != nil {
		return nil, err
	}
	p := &pod{Process: process.Process{Name: name, Path: filepath.Join(b.programs, program), Dir: l.cluster.Dir()}}
	l.all = append(l.all, p)
	if p.address, err = l.address(name); err != nil {
		return nil, err
	}
	if p.health, err = l.address(name + "-health"); err != nil {
		return nil, err
	}
	p.Args = append(p.Args, deployment.Spec.Template.Spec.Containers[0].Args...)
	p.Args = append(p.Args, "--kubeconfig="+kubeconfig, "--health-address="+p.health)
	if program == "webhook" {
		p.Args = append(p.Args, "--bind-address="+p.address, "--cert-dir="+l.certificates)
	} else {
		p.Args = append(p.Args, "--leader-election-namespace="+installation.Namespace)
		if slices.ContainsFunc(p.Args, func(arg string) bool { return strings.HasPrefix(arg, "--issue-certificate=") }) {
			p.Args = append(p.Args, "--issued-certificate-dir="+l.certificates)
		}
	}
	return p, nil
}

func (l *lab) address(name string) (string, error) {
	port, err := l.cluster.Port(name)
	return net.JoinHostPort("127.0.0.1", fmt.Sprint(port)), err
}

// ready waits as a kubelet does.
func (p *pod) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errors.New("it isn't ready"))
	defer cancel()
	return p.Await(ctx, process.AnswersOK(http.DefaultClient, "http://"+p.health+"/readyz"))
}

// startWebhooks starts what the Deployment's Pods run, and puts each behind the Service
// when it is ready. It doesn't wait for that.
func (l *lab) startWebhooks(ctx context.Context, b build) error {
	for range 2 {
		if err := l.startWebhook(ctx, b); err != nil {
			return err
		}
	}
	return nil
}

func (l *lab) startWebhook(ctx context.Context, b build) error {
	l.started++
	p, err := l.program(ctx, b, "webhook", fmt.Sprint("webhook-", l.started), installation.WebhookUser)
	if err != nil {
		return err
	}
	l.webhooks = append(l.webhooks, p)
	return p.Start()
}

// serve waits until the webhook's Pods are ready, and puts them behind the Service.
func (l *lab) serve(ctx context.Context) error {
	for _, p := range l.webhooks {
		if err := p.ready(ctx); err != nil {
			return err
		}
		l.egress.add(p.address)
	}
	return nil
}

// startVersioner starts the versioner's Pod.
func (l *lab) startVersioner(ctx context.Context, b build) (err error) {
	l.started++
	l.versioner, err = l.program(ctx, b, "versioner", fmt.Sprint("versioner-", l.started), installation.VersionerUser)
	if err != nil {
		return err
	}
	if err := l.versioner.Start(); err != nil {
		return err
	}
	return l.versioner.ready(ctx)
}

// roll replaces every Pod as the Deployments do: the webhook's one by one, none before
// its successor is ready, and the versioner's.
func (l *lab) roll(ctx context.Context, b build) error {
	for range len(l.webhooks) {
		old := l.webhooks[0]
		l.webhooks = l.webhooks[1:]
		if err := l.startWebhook(ctx, b); err != nil {
			return err
		}
		if err := l.serve(ctx); err != nil {
			return err
		}
		if err := l.terminate(old); err != nil {
			return err
		}
	}
	before := l.versioner
	if err := l.startVersioner(ctx, b); err != nil {
		return err
	}
	return before.Stop()
}

// terminate ends a Pod of the webhook as a kubelet does.
func (l *lab) terminate(p *pod) error {
	<-time.After(noticing)
	l.egress.remove(p.address)
	<-time.After(preStop - noticing)
	return p.Stop()
}

// terminateAll ends all Pods at once, as when their Deployments are deleted.
func (l *lab) terminateAll() error {
	ended := make(chan error)
	for _, p := range l.webhooks {
		go func() { ended <- l.terminate(p) }()
	}
	errs := []error{l.versioner.Stop()}
	for range l.webhooks {
		errs = append(errs, <-ended)
	}
	l.webhooks, l.versioner = nil, nil
	return errors.Join(errs...)
}

// mount writes the webhook's certificate where its Pods would have it, whenever somebody
// issues it, until ctx ends.
func (l *lab) mount(ctx context.Context, t *testing.T) {
	t.Helper()
	for {
		secret, err := l.api.CoreV1().Secrets(installation.Namespace).Get(ctx, certificate+"-certificate", metav1.GetOptions{})
		if err == nil && len(secret.Data) > 0 {
			for _, name := range []string{"tls.key", "tls.crt"} {
				if err := replace(filepath.Join(l.certificates, name), secret.Data[name]); err != nil {
					t.Errorf("mounting the certificate: %v", err)
				}
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// replace writes a file so that nobody reads half of it.
func replace(path string, content []byte) error {
	fresh := path + ".new"
	if err := os.WriteFile(fresh, content, 0o600); err != nil {
		return err
	}
	return os.Rename(fresh, path)
}
