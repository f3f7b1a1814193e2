package conformance

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/configpin/configpin/internal/hashing"
	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/wellknown"
)

// secrets are about what is different with Secrets. What isn't, the scenarios of
// secretive are about.
var secrets = []scenario{
	{"a Secret's snapshot is of its type", typesAreKept},
	{"some types of Secrets are never kept", typesNeverKept},
	{"stringData that changes nothing makes no snapshot", sameStringData},
	{"the key of the digests comes back as it was when somebody deletes it", keyComesBack},
	{"who may not read Secrets learns nothing of them", nothingIsLearnt},
}

// unusedSecrets is about what becomes of Secrets that nothing names.
var unusedSecrets = []scenario{
	{"one unused snapshot of a Secret is retained, and those of a lost key are collected", oneRetained},
	{"with Secrets: what rollout undo can reach survives, and what it can't goes", withSecrets(reachable)},
	{"with Secrets: " + markLosing.name, withSecrets(markLosing.run)},
	{"with Secrets: a source that is deleted for good", withSecrets(sourceIsGone)},
}

// keyOutages are about programs that start without the key that there was.
var keyOutages = []scenario{
	{"the key of the digests is lost, and nothing rolls out", keyIsLost},
}

func secretHolding(name string, secretType corev1.SecretType, data map[string]string) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{wellknown.Versioned: wellknown.True}},
		Type:       secretType,
		StringData: data,
	}
}

// secretEnv takes all keys of a Secret as variables.
func secretEnv(name string) use {
	return func(spec *corev1.PodSpec) {
		c := &spec.Containers[0]
		c.EnvFrom = append(c.EnvFrom, corev1.EnvFromSource{
			SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: name}},
		})
	}
}

func (s *space) readSecret(name string) *corev1.Secret {
	s.t.Helper()
	found := &corev1.Secret{}
	require.NoError(s.t, s.api.Get(s.t.Context(), client.ObjectKey{Namespace: s.name, Name: name}, found))
	return found
}

func typesAreKept(s *space) {
	for name, source := range map[string]*corev1.Secret{
		"opaque": secretHolding("opaque", corev1.SecretTypeOpaque, map[string]string{"any": "thing"}),
		"basic":  secretHolding("basic", corev1.SecretTypeBasicAuth, map[string]string{"username": "app", "password": "x"}),
		"ssh":    secretHolding("ssh", corev1.SecretTypeSSHAuth, map[string]string{"ssh-privatekey": "x"}),
		"tls":    secretHolding("tls", corev1.SecretTypeTLS, map[string]string{"tls.crt": "x", "tls.key": "y"}),
		"docker": secretHolding("docker", corev1.SecretTypeDockerConfigJson, map[string]string{".dockerconfigjson": "{}"}),
		"own":    secretHolding("own", "example.com/own", map[string]string{"any": "thing"}),
	} {
		s.create(source)
		web := s.deploy("Deployment", name, secretEnv(name))
		kept := s.readSecret(s.pin(web, name))
		assert.Equal(s.t, source.Type, kept.Type)
		assert.Equal(s.t, s.readSecret(name).Data, kept.Data)
		assert.True(s.t, *kept.Immutable)
		assert.Empty(s.t, kept.Annotations[wellknown.Size], "how large it is, too, is nobody's business")
	}
}

func typesNeverKept(s *space) {
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "robot"}}
	s.create(account)
	token := secretHolding("token", corev1.SecretTypeServiceAccountToken, nil)
	token.Annotations[corev1.ServiceAccountNameKey] = account.Name
	for _, source := range []*corev1.Secret{
		token,
		secretHolding("bootstrap", "bootstrap.kubernetes.io/token", map[string]string{"token-id": "abcdef"}),
		secretHolding("release", "helm.sh/release.v1", map[string]string{"release": "x"}),
	} {
		s.create(source)
		s.event(source.Name, wellknown.ReasonSnapshotFailed, "Nothing is pinned to what it holds now: type "+string(source.Type)+" is never kept")
		web := optedIn(s.t, "Deployment", source.Name, secretEnv(source.Name))
		s.warned(s.apply(web), "secret/"+source.Name+": no snapshot can be made, so it is not pinned: type ")
		assert.Equal(s.t, "secret/"+source.Name, describe(refsOf(templateOf(s.t, s.get(web)).Spec)))
	}
	s.pass()
	for _, kept := range list[corev1.SecretList](s).Items {
		assert.NotContains(s.t, kept.Labels, wellknown.SnapshotOf, kept.Name)
	}
}

func sameStringData(s *space) {
	s.secrets = true
	s.source("db", "blue")
	web := s.deploy("Deployment", "web", secretEnv("db"))
	s.rolledOut(web, 1)
	s.edit("db", "blue")
	s.patch(configMap("db", nil), `{"metadata":{"labels":{"team":"shop"}},"stringData":{"`+colour+`":"blue"}}`)
	s.pass()
	assert.Zero(s.t, s.rollouts(web))
	assert.Len(s.t, s.configMaps().snapshots["db"], 1)
}

func oneRetained(s *space) {
	s.secrets = true
	s.source("db", "blue")
	web := optedIn(s.t, "Deployment", "web", secretEnv("db"))
	historyOf(s, 0)(web)
	s.apply(web)
	kept := map[string]string{"blue": s.showing(web, "db", "blue")}
	for _, value := range []string{"green", "red", "black"} {
		s.edit("db", value)
		kept[value] = s.showing(web, "db", value)
		s.newestIs(web, kept[value])
	}
	lost := s.ofLostKey("db", "white")
	s.collected(kept["blue"], kept["green"], lost)
	s.survives(kept["red"], kept["black"])
}

// ofLostKey makes a snapshot of a content of a source as it was made with a key that
// is lost.
func (s *space) ofLostKey(source, value string) string {
	s.t.Helper()
	key, err := hashing.NewKey(bytes.Repeat([]byte("lost"), hashing.KeySize/len("lost")))
	require.NoError(s.t, err)
	made := snapshot.Of(snapshot.FromSecret(secretOf(&corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.name, Name: source},
		Data:       map[string]string{colour: value},
	}), key), snapshot.Lengths[0]).Secret()
	s.create(made)
	return made.Name
}

func keyComesBack(s *space) {
	before := s.keySecret(s.t.Context())
	require.NoError(s.t, s.api.Delete(s.t.Context(), before))
	s.eventually("the key is there again", func() (string, bool) {
		found := &corev1.Secret{}
		err := s.api.Get(s.t.Context(), client.ObjectKeyFromObject(before), found)
		if err != nil || found.UID == before.UID {
			return fmt.Sprint("it isn't: ", err), false
		}
		assert.Equal(s.t, before.Data, found.Data)
		assert.True(s.t, *found.Immutable)
		return "", true
	})
	s.secrets = true
	s.source("db", "blue")
	web := s.deploy("Deployment", "web", secretEnv("db"))
	s.showing(web, "db", "blue")
}

func (s *space) keySecret(ctx context.Context) *corev1.Secret {
	s.t.Helper()
	found := &corev1.Secret{}
	require.NoError(s.t, s.api.Get(ctx, client.ObjectKey{Namespace: installed, Name: wellknown.DigestKeySecret}, found))
	return found
}

// keyIsLost has three versioners start at once without a key. Whoever makes it, all
// programs have the same one.
func keyIsLost(s *space) {
	s.secrets = true
	s.source("db", "blue")
	s.source("other", "grey")
	current := s.deploy("Deployment", "current", secretEnv("db"), secretEnv("other"))
	grey := s.showing(current, "other", "grey")
	s.rolledOut(current, 1)
	held := s.deploy("Deployment", "held", secretEnv("db"))
	blue := s.showing(held, "db", "blue")
	s.rolledOut(held, 1)
	s.edit("db", "green")
	s.showing(held, "db", "green")
	green := s.showing(current, "db", "green")
	s.rolledOut(held, 2)
	s.undo(held)
	s.pass()
	require.Equal(s.t, blue, s.pin(held, "db"))

	before := s.keySecret(s.t.Context())
	require.NoError(s.t, s.Operator.StopVersioner())
	require.NoError(s.t, s.Operator.StopWebhook())
	require.NoError(s.t, s.api.Delete(s.t.Context(), before))
	rivals := []string{"key-one", "key-two", "key-three"}
	s.startAtOnce(rivals)
	require.NoError(s.t, s.Operator.StartWebhook(s.t.Context()))
	s.t.Cleanup(func() { assert.NoError(s.t, s.Operator.StartVersioner(context.WithoutCancel(s.t.Context()))) })
	s.t.Cleanup(func() { assert.NoError(s.t, s.Operator.StopRivals(rivals...)) })
	after := s.keySecret(s.t.Context())
	require.NotEqual(s.t, before.Data, after.Data, "or nothing was lost")

	s.pass()
	s.apply(optedIn(s.t, "Deployment", "held", secretEnv("db")))
	s.pass()
	assert.Equal(s.t, green, s.pin(current, "db"), "what it is pinned to is what the source holds, whatever its name")
	assert.Equal(s.t, grey, s.pin(current, "other"))
	assert.Equal(s.t, 1, s.rollouts(current))
	assert.Equal(s.t, blue, s.pin(held, "db"), "a hold is kept")
	assert.Equal(s.t, 2, s.rollouts(held))

	s.edit("other", "white")
	white := s.showing(current, "other", "white")
	assert.Equal(s.t, s.digestKey().ID(), s.readSecret(white).Annotations[wellknown.DigestKey])
	s.rolledOut(current, 3)
	s.undo(current)
	assert.Equal(s.t, grey, s.pin(current, "other"), "an undo goes back to a snapshot of the lost key")
	s.pass()
	assert.Equal(s.t, grey, s.pin(current, "other"))
	s.edit("db", "red")
	s.showing(held, "db", "red")
	s.showing(current, "db", "red")
}

// startAtOnce starts versioners without waiting for one before the next.
func (s *space) startAtOnce(names []string) {
	s.t.Helper()
	var group errgroup.Group
	for _, name := range names {
		group.Go(func() error { return s.Operator.StartRivals(s.t.Context(), nil, name) })
	}
	require.NoError(s.t, group.Wait())
}

// nothingIsLearnt looks through all that somebody sees who may see everything but
// Secrets, and what our programs say.
func nothingIsLearnt(s *space) {
	value := strings.Repeat("correct horse battery staple ", 34483) // 1000007 bytes: a number that nothing else has
	s.create(secretHolding("db", corev1.SecretTypeOpaque, map[string]string{"password": value}))
	s.create(secretHolding("nobody-uses-this", corev1.SecretTypeOpaque, map[string]string{"password": value + "!"}))
	s.create(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "plain"}, StringData: map[string]string{"password": value}})
	web := s.deploy("Deployment", "web", secretEnv("db"))
	first := s.pin(web, "db")
	s.rolledOut(web, 1)
	s.patch(secretHolding("db", "", nil), `{"stringData":{"password":"`+value+`?"}}`)
	s.eventually("the change is rolled out", func() (string, bool) { return first, s.pin(web, "db") != first })
	s.rolledOut(web, 2)
	s.undo(web)
	s.pass()

	spy := s.spy()
	seen := s.seenBy(spy)
	for _, name := range []string{"plain", "absent"} {
		s.absent["secret/"+name] = true
		warnings := s.dryRunBy(spy, optedIn(s.t, "Deployment", "probe-"+name, secretEnv(name)))
		assert.Empty(s.t, warnings, "whether there is a Secret %s", name)
	}
	places := map[string]string{"what a viewer sees": seen}
	if s.Operator != nil {
		said, err := s.Operator.Said(s.t.Context())
		require.NoError(s.t, err)
		places["metrics and logs"] = said
	}
	for where, text := range places {
		for what, secret := range secretsOf(s.readSecret("db")) {
			assert.NotContains(s.t, text, secret, "%s has %s", where, what)
		}
	}
	assert.NotContains(s.t, seen, "nobody-uses-this", "which Secrets there are")
}

// secretsOf are texts that would tell of what a Secret holds.
func secretsOf(source *corev1.Secret) map[string]string {
	value := source.Data["password"]
	plain := sha256.Sum256(value)
	content := hashing.Sum(hashing.Content{
		Kind: "Secret", Source: source.Name, Type: string(source.Type), Data: map[string]string{"password": string(value)},
	}).String()
	return map[string]string{
		"a part of the value":         string(value[:28]),
		"a part of the value, base64": base64.StdEncoding.EncodeToString(value)[:28],
		"a hash of the value":         hex.EncodeToString(plain[:])[:12],
		"a hash of the value, base64": base64.StdEncoding.EncodeToString(plain[:])[:12],
		"a digest without the key":    content[:12],
		"its size":                    fmt.Sprint(len(value)),
		"its size with its keys":      fmt.Sprint(len(value) + len("password")),
	}
}

// spy is somebody who may see everything but Secrets, and write workloads.
func (s *space) spy() *rest.Config {
	s.t.Helper()
	user := "spy-of-" + s.name
	subject := []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: user}}
	s.create(&rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "spy-sees"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "view"},
		Subjects:   subject,
	})
	s.create(&rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Name: "spy-writes"},
		Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{"apps"}, Resources: []string{"deployments"}, Verbs: []string{"create"}},
			{APIGroups: []string{"events.k8s.io"}, Resources: []string{"events"}, Verbs: []string{"list"}},
		},
	})
	s.create(&rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "spy-writes"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "spy-writes"},
		Subjects:   subject,
	})
	config := rest.CopyConfig(s.Config)
	config.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: []string{"system:authenticated"}}
	return config
}

// seenBy is all that somebody can read in the namespace, as one text.
func (s *space) seenBy(config *rest.Config) string {
	s.t.Helper()
	reader, err := client.New(config, client.Options{})
	require.NoError(s.t, err)
	var forbidden corev1.SecretList
	require.Error(s.t, reader.List(s.t.Context(), &forbidden, client.InNamespace(s.name)), "or it is no spy")
	var all strings.Builder
	for _, kind := range []struct{ group, kind string }{
		{"v1", "ConfigMap"},
		{"v1", "Event"},
		{"events.k8s.io/v1", "Event"},
		{"v1", "Pod"},
		{"apps/v1", "Deployment"},
		{"apps/v1", "ReplicaSet"},
		{"apps/v1", "ControllerRevision"},
	} {
		items := &unstructured.UnstructuredList{}
		items.SetAPIVersion(kind.group)
		items.SetKind(kind.kind + "List")
		require.NoError(s.t, reader.List(s.t.Context(), items, client.InNamespace(s.name)), kind.kind)
		all.WriteString(pretty(s, items))
	}
	require.Contains(s.t, all.String(), "\"secret/db", "what is looked through has something in it")
	assert.NotEmpty(s.t, list[eventsv1.EventList](s).Items)
	return all.String()
}

// dryRunBy creates a workload on somebody's behalf, in a dry run, and returns the
// warnings.
func (s *space) dryRunBy(config *rest.Config, object *unstructured.Unstructured) []string {
	s.t.Helper()
	heard := &listener{}
	config = rest.CopyConfig(config)
	config.WarningHandler = heard
	writer, err := client.New(config, client.Options{})
	require.NoError(s.t, err)
	object.SetNamespace(s.name)
	require.NoError(s.t, writer.Create(s.t.Context(), object, client.DryRunAll))
	return heard.warnings
}

// listener hears warnings.
type listener struct{ warnings []string }

// HandleWarningHeader implements rest.WarningHandler.
func (l *listener) HandleWarningHeader(_ int, _, text string) { l.warnings = append(l.warnings, text) }
