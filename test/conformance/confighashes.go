package conformance

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// configHashes are about the annotation with which charts have a workload roll out
// when its ConfigMap changes: a hash of the config, in the template.
var configHashes = hashScenarios()

func hashScenarios() []scenario {
	all := []scenario{
		{"a hash of config under a key of one's own doesn't end a hold", ownHash},
		{"an undo that brings back nothing but a hash of config is no conflict: helm 4", nothingButHash(helm4)},
		{"an undo that brings back nothing but a hash of config is no conflict: kubectl", nothingButHash(serverSide)},
		{"a hash of config that leaves the manifest on the move to server-side apply leaves the workload", hashLeaves},
	}
	for _, tool := range []deployer{clientSide, serverSide, kustomize, helm3, helm4, argoServerSide, argoClientSide, flux} {
		all = append(all,
			scenario{"a hash of config doesn't end a hold: " + tool.name, hashHolds(tool)},
			scenario{"another image beside a hash of config ends a hold: " + tool.name, hashDeploys(tool)},
		)
	}
	return all
}

// checksum is the key of most charts.
const checksum = "checksum/config"

// OwnHash is the key of somebody who has a hash of config elsewhere. The programs must
// know of it (--hash-annotations).
const OwnHash = "conformance.configpin.io/config-hash"

// hashed has a manifest carry a hash of its source's content, as the tool would have it:
// helm computes it, and others apply what was computed.
func hashed(tool deployer, key string) func(web *unstructured.Unstructured, value string) {
	return func(web *unstructured.Unstructured, value string) {
		sum := sha256.Sum256([]byte(value))
		text := hex.EncodeToString(sum[:])
		if tool.name == helm3.name || tool.name == helm4.name {
			text = "{{ include (print $.Template.BasePath `/configmap-app.yaml`) . | sha256sum }}"
		}
		metadata := web.Object["spec"].(map[string]any)["template"].(map[string]any)["metadata"].(map[string]any)
		metadata["annotations"] = map[string]any{key: text}
	}
}

// hashOf is the hash that is stored.
func (s *space) hashOf(web *unstructured.Unstructured, key string) string {
	s.t.Helper()
	value := templateOf(s.t, s.get(web)).Annotations[key]
	require.NotEmpty(s.t, value)
	return value
}

// undoneWithHash is a workload that was rolled back, with a hash under key.
func (s *space) undoneWithHash(tool deployer, key string) *rolledBack {
	s.t.Helper()
	s.hash = hashed(tool, key)
	return s.undone("Deployment", tool)
}

func hashHolds(tool deployer) func(*space) {
	return func(s *space) { s.hashHolds(tool, checksum) }
}

func ownHash(s *space) { s.hashHolds(clientSide, OwnHash) }

func (s *space) hashHolds(tool deployer, key string) {
	s.t.Helper()
	w := s.undoneWithHash(tool, key)
	blue := s.hashOf(w.web, key)
	w.deploy()
	s.pass()
	assert.Equal(s.t, "blue", s.colourOf(w.web, "app"))
	assert.True(s.t, s.held(w.web, "app"))
	assert.NotEqual(s.t, blue, s.hashOf(w.web, key), "what is declared is stored")
	s.rolledOut(w.web, 3) // the same content
	s.complete(w.web)
	s.noDrift(w)
	before := w.look()
	w.deploy()
	s.pass()
	s.complete(w.web)
	assert.Equal(s.t, before, w.look(), "and once is enough")
	w.declare("red")
	w.deploy()
	s.showing(w.web, "app", "red")
	assert.False(s.t, s.held(w.web, "app"))
}

func hashDeploys(tool deployer) func(*space) {
	return func(s *space) {
		w := s.undoneWithHash(tool, checksum)
		newImage(w)
		s.showing(w.web, "app", "green")
		assert.False(s.t, s.held(w.web, "app"))
		s.noDrift(w)
	}
}

// nothingButHash goes back to a template that names the same snapshots.
func nothingButHash(tool deployer) func(*space) {
	return func(s *space) {
		w := s.undoneWithHash(tool, checksum)
		blue := s.hashOf(w.web, checksum)
		w.deploy()
		s.rolledOut(w.web, 3)
		s.complete(w.web)
		s.undo(w.web)
		assert.Equal(s.t, blue, s.hashOf(w.web, checksum))
		assert.True(s.t, s.held(w.web, "app"))
		w.deploy()
		assert.NotEqual(s.t, blue, s.hashOf(w.web, checksum))
		assert.True(s.t, s.held(w.web, "app"))
	}
}

func hashLeaves(s *space) {
	s.source("app", "blue")
	without := optedIn(s.t, "Deployment", "web", colourEnv)
	with := without.DeepCopy()
	hashed(clientSide, checksum)(with, "blue")
	s.apply(with)
	s.showing(with, "app", "blue")
	s.apply(without, "--server-side")
	assert.NotContains(s.t, slices.Collect(maps.Keys(templateOf(s.t, s.get(without)).Annotations)), checksum)
}

// hashTaken is about an undo that nobody saw.
func hashTaken(s *space) {
	s.need(helm4)
	s.hash = hashed(helm4, checksum)
	w := &rolledBack{space: s, tool: helm4, web: optedIn(s.t, "Deployment", "web", envFrom("app"), volume("app"), colourEnv)}
	for i, value := range []string{"blue", "green"} {
		w.declare(value)
		w.deploy()
		s.showing(w.web, "app", value)
		s.rolledOut(w.web, i+1)
	}
	s.complete(w.web)
	s.withoutWebhook(func() { s.undo(w.web) })
	s.eventually("nobody owns a name by an update", func() (string, bool) {
		owned := s.updaters(w.web)
		return owned, owned == ""
	})
	w.deploy()
	s.pass()
	assert.True(s.t, s.held(w.web, "app"))
}
