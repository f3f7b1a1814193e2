package main

import (
	"time"

	"github.com/configpin/configpin/internal/rollout"
	"github.com/configpin/configpin/internal/serve"
)

// options are the flags of this program.
type options struct {
	rollout rollout.Options

	concurrency   int
	elect         bool
	namespace     string
	leaseDuration time.Duration
}

func addOptions(flags *serve.Flags) *options {
	o := &options{}
	flags.DurationVar(&o.rollout.Settle, "settle", 2*time.Second, "how long the sources of a workload have to be quiet before it rolls out")
	flags.DurationVar(&o.rollout.SettleMax, "settle-max", 10*time.Second, "how long a workload may wait for that")
	flags.IntVar(&o.rollout.Burst, "rollout-burst", 3, "how many rollouts a workload may have at once")
	flags.DurationVar(&o.rollout.Every, "rollout-every", time.Minute, "after how long it may have one more")
	flags.DurationVar(&o.rollout.Sweep, "sweep", 10*time.Minute, "how often to look for workloads of opted-in namespaces that carry no label")
	flags.IntVar(&o.concurrency, "concurrency", 16, "how many sources, and how many workloads, are handled at a time")
	flags.BoolVar(&o.elect, "leader-elect", true, "take turns with other replicas")
	flags.StringVar(&o.namespace, "leader-election-namespace", "", "`namespace` of the lease (default: the Pod's own)")
	flags.DurationVar(&o.leaseDuration, "lease-duration", 15*time.Second, "how long others wait for a leader that died")
	return o
}

func (o *options) check(flags *serve.Flags) error {
	switch {
	case o.rollout.Settle < 0 || o.rollout.SettleMax < o.rollout.Settle:
		return flags.Wrong("--settle is %s and --settle-max %s, not 0 or more and at least as long", o.rollout.Settle, o.rollout.SettleMax)
	case o.rollout.Burst < 1:
		return flags.Wrong("--rollout-burst is %d, not at least 1", o.rollout.Burst)
	case o.rollout.Every <= 0:
		return flags.Wrong("--rollout-every is %s, not more than 0", o.rollout.Every)
	case o.rollout.Sweep <= 0:
		return flags.Wrong("--sweep is %s, not more than 0", o.rollout.Sweep)
	case o.concurrency < 1:
		return flags.Wrong("--concurrency is %d, not at least 1", o.concurrency)
	case o.leaseDuration < time.Second:
		return flags.Wrong("--lease-duration is %s, not at least 1s", o.leaseDuration)
	}
	return nil
}
