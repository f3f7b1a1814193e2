package main

import (
	"k8s.io/client-go/rest"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/serve"
)

// connect returns the sources and snapshots to serve. The key is nil where no Secrets
// are served.
func connect(flags *serve.Flags, config *rest.Config) (*cluster.Objects, *cluster.DigestKey, error) {
	scope, err := flags.Scope()
	if err != nil {
		return nil, nil, err
	}
	if len(scope.Secrets) == 0 {
		objects, err := cluster.Connect(config, cluster.Scope(scope), nil)
		return objects, nil, err
	}
	namespace, err := flags.DigestKeyNamespace()
	if err != nil {
		return nil, nil, err
	}
	key, err := cluster.NewDigestKey(config, namespace)
	if err != nil {
		return nil, nil, err
	}
	objects, err := cluster.Connect(config, cluster.Scope(scope), key.Key)
	return objects, key, err
}
