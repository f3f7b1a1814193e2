package main

import (
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/flowcontrol"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/cluster/census"
	"github.com/configpin/configpin/internal/gc"
	"github.com/configpin/configpin/internal/hashing"
)

// The garbage collector makes its requests at a rate of its own, of at most 50 in
// any second: nobody waits for it, and it must not be in anybody's way. It sends
// no more than 45, since some that were sent apart arrive together.
const (
	gcPerSecond = 40
	gcAtOnce    = 5
)

func newCollector(config *rest.Config, o *options, key func() *hashing.Key, recorder events.EventRecorder) (*gc.Collector, error) {
	config = rest.CopyConfig(config)
	config.UserAgent += "-gc"                                                         // tells its requests apart in an audit log
	config.RateLimiter = flowcontrol.NewTokenBucketRateLimiter(gcPerSecond, gcAtOnce) // one for all clients
	objects, err := cluster.Connect(config, o.scope, key)
	if err != nil {
		return nil, err
	}
	taker, err := census.New(config, o.scope, o.referenceKinds)
	if err != nil {
		return nil, err
	}
	options := o.gc
	options.DryRun = o.gcMode == gcDryRun
	return &gc.Collector{
		Census:  taker,
		Objects: objects,
		Events:  recorder,
		Options: options,
		Clock:   gc.SystemClock(),
	}, nil
}
