package main

import (
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/gc"
	"github.com/configpin/configpin/internal/retention"
	"github.com/configpin/configpin/internal/rollout"
	"github.com/configpin/configpin/internal/serve"
	"github.com/configpin/configpin/internal/versioner"
	"github.com/configpin/configpin/internal/wellknown"
)

// options are the flags of this program.
type options struct {
	scope        cluster.Scope
	hashes       wellknown.Hashes
	keyNamespace string // where Secrets are served

	snapshots versioner.Options
	rollout   rollout.Options

	gc             gc.Options
	gcMode         string
	referenceKinds []schema.GroupVersionResource

	historyLimit, secretsHistoryLimit int
	goneAfter, secretsGoneAfter       time.Duration

	issueFor, issuedDir string // see issuer

	concurrency   int
	elect         bool
	namespace     string
	leaseDuration time.Duration
}

func addOptions(flags *serve.Flags) *options {
	o := &options{}
	flags.IntVar(&o.snapshots.Burst, "snapshot-burst", 20, "how many contents of a source are kept at once, however fast it changes")
	// The last content is kept in any case, and what a workload is deployed with at once.
	flags.DurationVar(&o.snapshots.Every, "snapshot-every", 10*time.Second, "after how long one more is")
	flags.DurationVar(&o.rollout.Settle, "settle", 2*time.Second, "how long the sources of a workload have to be quiet before it rolls out, so that what changes together is one rollout")
	flags.DurationVar(&o.rollout.SettleMax, "settle-max", 10*time.Second, "how long a workload waits for that at most")
	flags.IntVar(&o.rollout.Burst, "rollout-burst", 3, "how many rollouts a workload may have at once")
	flags.DurationVar(&o.rollout.Every, "rollout-every", time.Minute, "after how long it may have one more")
	// The former were written by nobody since, or while the webhook was away; the latter lost it then. At
	// most ten are touched a second.
	flags.DurationVar(&o.rollout.Sweep, "sweep", 10*time.Minute, "how often to look for workloads that carry no label: in opted-in namespaces, or because they lost it")
	// See [retention.md](retention.md).
	flags.StringVar(&o.gcMode, "gc", gcOn, "whether snapshots that nothing needs are deleted: on, off, or dry-run (nothing is written; the log says how many would be)")
	// Longer than `--gc-grace`, so that what one marks, the next deletes.
	flags.DurationVar(&o.gc.Interval, "gc-interval", 15*time.Minute, "how long to wait from one look at all snapshots to the next")
	flags.DurationVar(&o.gc.Rules.MinAge, "gc-min-age", time.Hour, "how old a snapshot has to be before it is marked")
	flags.DurationVar(&o.gc.Rules.Grace, "gc-grace", 10*time.Minute, "how long a snapshot has to be marked before it is deleted, at least 1m30s")
	// Then [none is retained](retention.md#when-a-configmap-goes).
	flags.DurationVar(&o.goneAfter, "gc-gone-after", 24*time.Hour, "how long a snapshot has to be marked, if that is more than --gc-grace, where its ConfigMap is gone")
	flags.DurationVar(&o.secretsGoneAfter, "secrets-gc-gone-after", time.Hour, "how long a snapshot has to be marked, if that is more than --gc-grace, where its Secret is gone")
	flags.IntVar(&o.historyLimit, "history-limit", 10, "how many snapshots that nothing names are retained of each ConfigMap that doesn't say so itself")
	flags.IntVar(&o.secretsHistoryLimit, "secrets-history-limit", 1, "how many snapshots that nothing names are retained of each Secret that doesn't say so itself")
	// The versioner needs the right to list them. [retention.md](retention.md#what-is-looked-through) has
	// those that it always looks through.
	flags.Func("gc-reference-kinds", "further `kinds` that can name a snapshot, as in argoproj.io/v1alpha1/rollouts, separated by commas", o.addReferenceKinds)
	// Namespaces take turns.
	flags.IntVar(&o.concurrency, "concurrency", 16, "how many sources, and how many workloads, are handled at a time")
	// As in `configpin-system/configpin-webhook`. See [security.md](security.md#without-cert-manager).
	flags.StringVar(&o.issueFor, "issue-certificate", "", "issue the certificate of the webhook with this Service, `namespace/name`, because no cert-manager does")
	// Issuing begins again where it isn't mounted after a quarter of an hour.
	flags.StringVar(&o.issuedDir, "issued-certificate-dir", "/certs", "`folder` where that is mounted")
	// Two at once do no harm, but twice the work.
	flags.BoolVar(&o.elect, "leader-elect", true, "take turns with other replicas")
	// In any but that which the policies name, [one of them](policies.md#another-namespace) refuses the lease.
	flags.StringVar(&o.namespace, "leader-election-namespace", "", "`namespace` of the lease configpin-versioner (default: the Pod's own)")
	// One that stops hands over at once.
	flags.DurationVar(&o.leaseDuration, "lease-duration", 15*time.Second, "how long others wait for a leader that died")
	return o
}

// Values of --gc.
const (
	gcOn     = "on"
	gcDryRun = "dry-run"
	gcOff    = "off"
)

func (o *options) addReferenceKinds(value string) error {
	for text := range strings.SplitSeq(value, ",") {
		kind, err := cluster.ParseKind(text)
		if err != nil {
			return err
		}
		o.referenceKinds = append(o.referenceKinds, kind)
	}
	return nil
}

func (o *options) resolve(flags *serve.Flags) error {
	switch {
	case o.snapshots.Burst < 1:
		return flags.Wrong("--snapshot-burst is %d, not at least 1", o.snapshots.Burst)
	case o.snapshots.Every <= 0:
		return flags.Wrong("--snapshot-every is %s, not more than 0", o.snapshots.Every)
	case o.rollout.Settle < 0 || o.rollout.SettleMax < o.rollout.Settle:
		return flags.Wrong("--settle is %s and --settle-max %s, not 0 or more and at least as long", o.rollout.Settle, o.rollout.SettleMax)
	case o.rollout.Burst < 1:
		return flags.Wrong("--rollout-burst is %d, not at least 1", o.rollout.Burst)
	case o.rollout.Every <= 0:
		return flags.Wrong("--rollout-every is %s, not more than 0", o.rollout.Every)
	case o.rollout.Sweep <= 0:
		return flags.Wrong("--sweep is %s, not more than 0", o.rollout.Sweep)
	case !slices.Contains([]string{gcOn, gcDryRun, gcOff}, o.gcMode):
		return flags.Wrong("--gc is %q, not on, dry-run or off", o.gcMode)
	case o.gc.Interval <= 0:
		return flags.Wrong("--gc-interval is %s, not more than 0", o.gc.Interval)
	case o.gc.Rules.MinAge < 0:
		return flags.Wrong("--gc-min-age is %s, not 0 or more", o.gc.Rules.MinAge)
	case o.gc.Rules.Grace < retention.MinGrace:
		return flags.Wrong("--gc-grace is %s, not at least %s: a request that names a snapshot can be under way for that long", o.gc.Rules.Grace, retention.MinGrace)
	case o.goneAfter < 0:
		return flags.Wrong("--gc-gone-after is %s, not 0 or more", o.goneAfter)
	case o.secretsGoneAfter < 0:
		return flags.Wrong("--secrets-gc-gone-after is %s, not 0 or more", o.secretsGoneAfter)
	case o.historyLimit < 0:
		return flags.Wrong("--history-limit is %d, not 0 or more", o.historyLimit)
	case o.secretsHistoryLimit < 0:
		return flags.Wrong("--secrets-history-limit is %d, not 0 or more", o.secretsHistoryLimit)
	case o.issueFor != "" && !isNamespaceAndName(o.issueFor):
		return flags.Wrong("--issue-certificate is %q, not of the form namespace/name", o.issueFor)
	case o.concurrency < 1:
		return flags.Wrong("--concurrency is %d, not at least 1", o.concurrency)
	case o.leaseDuration < time.Second:
		return flags.Wrong("--lease-duration is %s, not at least 1s", o.leaseDuration)
	}
	o.gc.HistoryLimit = map[wellknown.Kind]int{wellknown.ConfigMap: o.historyLimit, wellknown.Secret: o.secretsHistoryLimit}
	o.gc.GoneAfter = map[wellknown.Kind]time.Duration{wellknown.ConfigMap: o.goneAfter, wellknown.Secret: o.secretsGoneAfter}
	return o.resolveScope(flags)
}

func isNamespaceAndName(value string) bool {
	namespace, name, found := strings.Cut(value, "/")
	return found && namespace != "" && name != "" && !strings.Contains(name, "/")
}

func (o *options) resolveScope(flags *serve.Flags) error {
	scope, err := flags.Scope()
	if err != nil {
		return err
	}
	o.scope, o.hashes = cluster.Scope(scope), wellknown.Hashes(flags.HashAnnotations)
	if len(scope.Secrets) > 0 {
		o.keyNamespace, err = flags.DigestKeyNamespace()
	}
	return err
}
