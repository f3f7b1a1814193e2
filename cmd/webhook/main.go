// Command webhook is configpin's mutating admission webhook: it makes the Pod
// templates of opted-in workloads name snapshots.
package main

import (
	"context"
	"errors"
	"os"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/configpin/configpin/internal/serve"
)

const examples = `  # On a workstation, for a cluster of one's own:
  webhook --kubeconfig ~/.kube/config --bind-address 127.0.0.1:9443 --cert-dir ./pki

  # Serve Secrets too, in two namespaces:
  webhook --secrets-namespaces shop,bank

  # See every decision:
  webhook --cert-dir /certs -v 1
`

func main() { os.Exit(serve.Main(run)) }

func run(ctx context.Context, args []string) error {
	flags := serve.NewFlags("configpin-webhook", "pins the Pod templates of opted-in workloads to snapshots.", examples)
	address := flags.String("bind-address", ":9443", "`address` that serves admission reviews, in TLS 1.3")
	// They are read again when they change, and waited for when they aren't there yet. Files that are of
	// no use, because one is missing, damaged, or doesn't fit the other, leave what was served before.
	certificates := flags.String("cert-dir", "/certs", "`folder` of tls.crt and tls.key")
	// Nothing else is read or answered. They are read again as the files of `--cert-dir` are. See
	// [security.md](security.md#who-may-call-the-webhook).
	clientCA := flags.String("client-ca", "", "`file` of certificates, in PEM; a caller must show one for clients that one of these signed (default: anybody is answered)")
	clientNames := flags.String("client-names", "", "`names`, separated by commas, of which that must have one, as its common name or as a DNS name (default: any)")
	// Others wait, as long as the API server does.
	concurrency := flags.Int("concurrency", 64, "how many reviews are answered at a time")
	drain := flags.Duration("drain", 5*time.Second, "how long to go on serving after being told to stop, while /readyz says so")
	if err := flags.Read(args); err != nil {
		return err
	}
	if *concurrency < 1 {
		return flags.Wrong("--concurrency is %d, not at least 1", *concurrency)
	}
	if *drain < 0 {
		return flags.Wrong("--drain is %s, not 0 or more", *drain)
	}
	callers, err := callersOf(flags, *clientCA, *clientNames)
	if err != nil {
		return err
	}
	config, err := flags.Connect()
	if err != nil {
		return err
	}
	handler, key, err := connect(flags, config)
	if err != nil {
		return err
	}
	reach, err := serve.Reach(config)
	if err != nil {
		return err
	}
	handler.Slots = semaphore.NewWeighted(int64(*concurrency))
	server := serve.Server{
		Address: *address,
		Handler: handler.Mux(),
		CertDir: *certificates,
		Callers: callers,
		Drain:   *drain,
	}

	// What the server needs outlives ctx: it still serves while it drains.
	draining, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	group, failed := errgroup.WithContext(draining)
	group.Go(func() error { return server.Watch(failed) })
	if key != nil {
		group.Go(func() error { return key.Start(failed) })
	}
	group.Go(func() error {
		return serve.Health(failed, flags.HealthAddress, func(probe context.Context) error {
			if ctx.Err() != nil {
				return errors.New("stopping")
			}
			return errors.Join(server.Loaded(), key.Loaded(), reach(probe))
		})
	})
	group.Go(func() error {
		defer stop()
		serving, done := context.WithCancel(ctx)
		defer done()
		context.AfterFunc(failed, done)
		return server.Serve(serving)
	})
	return group.Wait()
}
