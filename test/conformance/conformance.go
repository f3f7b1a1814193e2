// Package conformance is the one suite about what configpin does on a real
// cluster: it creates, edits, rolls back and breaks things as people do, and
// looks at what the API server has stored in the end. Run and Disturb take any cluster
// with configpin installed; the tests of this package bring their own.
//
// It looks at the state of the cluster and never at calls, and it finds the refs
// of a template by code of its own: what shares the product's walk would share its
// mistakes. Only what identifies a snapshot is taken from internal/snapshot, since
// names and digests are API and have golden vectors. What must hold whatever a
// scenario does, test/lab/oracle judges.
//
// It deliberately starts no containers. Whether a kubelet serves the bytes that
// a name stands for is not looked at here; whether the name exists, is.
package conformance

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/configpin/configpin/test/lab/oracle"
)

// Target is a cluster with configpin installed.
type Target struct {
	// Config and Kubeconfig are those of somebody who may do everything. No
	// rate limit is added to them.
	Config     *rest.Config
	Kubeconfig string

	// Kubectl is the path of the program.
	Kubectl string

	// AuditLog is the file to which the API server writes each request, with the
	// annotations of admission, and with what test/lab/oracle needs of what was sent. Without it, neither that is looked at nor who wrote
	// what.
	AuditLog string

	// Clients are the paths of programs with which people deploy. What needs one
	// that isn't there is skipped.
	Clients Clients

	// ArgoIgnores are the jqPathExpressions with which docs/gitops.md has Argo CD's
	// legacy diff ignore what admission changes.
	ArgoIgnores []string

	// Settle is the versioner's --settle. Its --rollout-burst and --snapshot-burst
	// must be 1000 or more: some scenarios roll a workload out often.
	Settle time.Duration

	// MinAge is the versioner's --gc-min-age, which must be seconds.
	MinAge time.Duration

	// ReferenceKind is a kind of custom resources of which the versioner knows
	// (--gc-reference-kinds), and whose objects can hold anything in their spec.
	// Without it, what needs one is skipped. Its --gc-interval must be seconds,
	// and its --gc-grace 90s.
	ReferenceKind schema.GroupVersionKind

	// Corpus is a folder with argo-cd.yaml and kube-prometheus.yaml. Without it,
	// what needs them is skipped.
	Corpus string

	// Operator controls configpin's programs.
	Operator Operator
}

// Clients are programs with which people deploy.
type Clients struct {
	Helm3, Helm4, Kustomize string

	// GitOps does, by their own libraries, what Argo CD and Flux do: see
	// test/lab/clients.
	GitOps string
}

// Operator controls configpin's programs, those that run and others for a while,
// and what they run on. What starts a program returns when that is ready.
type Operator interface {
	StartWebhook(ctx context.Context) error
	StopWebhook() error
	StartVersioner(ctx context.Context) error
	StopVersioner() error
	KillVersioner() error

	// BeStrict makes requests fail when the webhook does, and BeLenient lets them
	// pass again, as they do by default.
	BeStrict(ctx context.Context) error
	BeLenient(ctx context.Context) error

	// Said is all that the programs tell: their metrics, and their logs.
	Said(ctx context.Context) (string, error)

	// Readiness is what the versioner answers to whoever asks whether it is ready.
	Readiness(ctx context.Context) (string, error)

	// KillAPIServer ends the API server as the loss of its node would.
	// StartAPIServer returns when everything answers again.
	KillAPIServer() error
	StartAPIServer(ctx context.Context) error

	// FreezeStore stops etcd where it is, and ThawStore lets it go on.
	FreezeStore() error
	ThawStore() error

	// StartRivals starts versioners that don't take turns, with further flags,
	// beside any that runs.
	StartRivals(ctx context.Context, flags []string, names ...string) error
	StopRivals(names ...string) error

	// StartFailing starts a versioner that exits right before or right after one
	// of its calls of the API server, counted from 1. It doesn't take turns. This
	// returns when it is ready, or has exited.
	StartFailing(ctx context.Context, when Failure) (Failing, error)
}

// Failure is when a versioner exits.
type Failure struct {
	After bool // or else before
	Call  int
}

// Failing is a versioner that exits at one of its calls, or runs on if it never
// makes that many.
type Failing interface {
	Failed() bool // it has exited, where it was told to
	Stop() error
}

// scenario is one test, in a namespace of its own.
type scenario struct {
	name string
	run  func(*space)
}

// atOnce is how many scenarios do something at a time. More of them keep two processors
// busy so that answers come late, and a webhook that takes more than its three seconds
// lets a workload pass un-pinned, to be seen to afterwards.
const atOnce = 6

// Run plays the scenarios that leave the programs alone: in parallel but for large ones, as
// many as it takes whatever -parallel says, which has to be higher than their number.
func Run(t *testing.T, target Target) {
	t.Helper()
	c := connect(t, target)
	t.Run("undisturbed", func(t *testing.T) {
		for _, s := range large {
			t.Run(s.name, func(t *testing.T) { c.play(t, s) })
		}
		for _, s := range patient() {
			t.Run(s.name, func(t *testing.T) {
				t.Parallel()
				c.play(t, s)
			})
		}
		slots := make(chan struct{}, atOnce)
		for _, s := range undisturbed() {
			t.Run(s.name, func(t *testing.T) {
				t.Parallel()
				slots <- struct{}{}
				defer func() { <-slots }()
				c.play(t, s)
			})
		}
	})
	t.Run(quiet.name, func(t *testing.T) { c.play(t, quiet) })
	t.Run("every right is used", func(t *testing.T) {
		if all := len(slices.Concat(large, patient(), undisturbed())) + 1; target.AuditLog == "" || int(c.played.Load()) < all {
			t.Skipf("only %d of %d scenarios were played, or there is no audit log", c.played.Load(), all)
		}
		c.rightsAreUsed(t)
	})
	c.nothingElsewhere(t, c.withoutAuditLog()...)
}

// Disturb plays the scenarios that stop the programs, or what they run on, one after
// another. It needs an Operator.
func Disturb(t *testing.T, target Target) {
	t.Helper()
	c := connect(t, target)
	for _, s := range disturbing() {
		t.Run(s.name, func(t *testing.T) { c.play(t, s) })
	}
	// An API server that is killed leaves requests that nobody answers, and half a line.
	c.nothingElsewhere(t, append(c.withoutAuditLog(), oracle.Alone, oracle.Unreadable)...)
}

func (c *cluster) nothingElsewhere(t *testing.T, unknowable ...oracle.Reason) {
	t.Helper()
	t.Run("nothing was written elsewhere", func(t *testing.T) {
		verdict, err := c.oracle.Elsewhere(t.Context())
		require.NoError(t, err)
		passes(t, verdict, unknowable...)
	})
}

// patient are scenarios that wait for the garbage collector most of the time. The
// shortest grace period is minutes long for a test, so that they run beside all others.
func patient() []scenario { return slices.Concat(garbage, impostors, unusedSecrets) }

func undisturbed() []scenario {
	var all []scenario
	for _, theme := range [][]scenario{stories, jobs, refForms, settling, switches, naming, crowds, goneSnapshots, behind, badInput, refusals, ownership, disowned, migrations, configHashes, corpora, rollbacks, others, keptPins, protection, backups, hostile, visible, drifts, going, matrix(rows), secretive(), secrets} {
		all = append(all, theme...)
	}
	return all
}

func disturbing() []scenario {
	var all []scenario
	for _, theme := range [][]scenario{defaults, dryRuns, matrix(disturbingRows), versionerOutages, webhookOutages, disownedOutages, strictOutages, storeOutages, keyOutages, waiting, restless} {
		all = append(all, theme...)
	}
	return all
}

// cluster is a Target, connected.
type cluster struct {
	Target
	api      client.Client
	watching dynamic.Interface
	oracle   *oracle.Oracle
	cache    string // of kubectl's discovery
	played   atomic.Int64
}

func connect(t *testing.T, target Target) *cluster {
	t.Helper()
	config := rest.CopyConfig(target.Config)
	config.QPS = -1
	config.WarningHandler = rest.NoWarnings{}
	api, err := client.New(config, client.Options{})
	require.NoError(t, err)
	watching, err := dynamic.NewForConfig(config)
	require.NoError(t, err)
	target.Config = config
	judge, err := oracle.Watch(t.Context(), oracle.Options{Config: config, Label: spaceLabel, AuditLog: target.AuditLog})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, judge.Stop(context.WithoutCancel(t.Context()))) })
	return &cluster{Target: target, api: api, watching: watching, oracle: judge, cache: t.TempDir()}
}

func (c *cluster) play(t *testing.T, s scenario) {
	t.Helper()
	c.played.Add(1)
	n := c.space(t)
	s.run(n)
	n.verify()
}

// Everybody's names, since what is in a scenario matters more than how it is
// called.
const (
	colour = "colour" // the key that most sources hold
	image  = "example.com/app:1"
	app    = "app" // the label of Pods
)

var configMapKind = corev1.SchemeGroupVersion.WithKind("ConfigMap")
