package main

import (
	"k8s.io/client-go/rest"

	"github.com/configpin/configpin/internal/admission"
	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/cluster/live"
	"github.com/configpin/configpin/internal/hashing"
	"github.com/configpin/configpin/internal/serve"
)

// connect returns a handler of what is in the cluster. The key is nil where no Secrets
// are served.
func connect(flags *serve.Flags, config *rest.Config) (*admission.Handler, *cluster.DigestKey, error) {
	scope, err := flags.Scope()
	if err != nil {
		return nil, nil, err
	}
	var key *cluster.DigestKey
	var current func() *hashing.Key
	if len(scope.Secrets) > 0 {
		namespace, err := flags.DigestKeyNamespace()
		if err != nil {
			return nil, nil, err
		}
		if key, err = cluster.NewDigestKey(config, namespace); err != nil {
			return nil, nil, err
		}
		current = key.Key
	}
	objects, err := cluster.Connect(config, cluster.Scope(scope), current)
	if err != nil {
		return nil, nil, err
	}
	history, err := live.NewHistory(config)
	if err != nil {
		return nil, nil, err
	}
	return &admission.Handler{Objects: live.NewViews(objects), History: history, Hashes: flags.HashAnnotations}, key, nil
}
