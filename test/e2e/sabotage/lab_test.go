package sabotage

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/configpin/configpin/manifests"
	"github.com/configpin/configpin/test/lab/controlplane"
	"github.com/configpin/configpin/test/lab/faults"
	"github.com/configpin/configpin/test/lab/installation"
)

// lab is a control plane with configpin, whose requests are changed on the way.
type lab struct {
	api         kubernetes.Interface
	asVersioner kubernetes.Interface
	asWebhook   kubernetes.Interface
	auditLog    string
	programs    *installation.Installation
}

func newLab(t *testing.T) *lab {
	t.Helper()
	dir := t.TempDir()
	l := &lab{auditLog: filepath.Join(dir, "audit.log")}
	cluster, err := controlplane.Start(t.Context(), controlplane.Options{Dir: dir, Progress: t.Output(), AuditLog: l.auditLog})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, cluster.Stop()) })
	config := cluster.Config()
	config.WarningHandler = rest.NoWarnings{}
	l.api, err = kubernetes.NewForConfig(config)
	require.NoError(t, err)
	l.asVersioner = clientFor(t, cluster, installation.VersionerUser)
	l.asWebhook = clientFor(t, cluster, installation.WebhookUser)

	objects, err := manifests.Objects()
	require.NoError(t, err)
	l.programs, err = installation.New(t.Context(), cluster, installation.Options{
		Objects:      objects,
		WebhookFlags: []string{"--secrets", "--drain=0s"},
		VersionerFlags: []string{
			"--secrets", "--settle=200ms", "--settle-max=1s", "--rollout-burst=1000", "--leader-elect=false",
			"--gc-interval=1s", "--gc-min-age=1s", "--gc-grace=90s",
		},
		BuildFlags: []string{"-tags=faults"},
		Env:        []string{faults.EnvSabotage + "=true"},
		Progress:   t.Output(),
	})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, l.programs.Stop()) })
	l.letUsDoEverything(t)
	require.NoError(t, l.programs.StartVersioner(t.Context())) // first: it makes the key that the webhook waits for
	require.NoError(t, l.programs.StartWebhook(t.Context()))
	l.awaitPolicy(t, true)
	return l
}

func clientFor(t *testing.T, cluster *controlplane.Cluster, user string) kubernetes.Interface {
	t.Helper()
	config, err := cluster.ConfigFor(user, installation.Groups()...)
	require.NoError(t, err)
	config.WarningHandler = rest.NoWarnings{}
	api, err := kubernetes.NewForConfig(config)
	require.NoError(t, err)
	return api
}

// letUsDoEverything takes RBAC out of the way, and the policy that lets nobody
// create a mutable snapshot, so that nothing but this policy is in it.
func (l *lab) letUsDoEverything(t *testing.T) {
	t.Helper()
	l.takeAway(t, "configpin-snapshots")
	_, err := l.api.RbacV1().ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "sabotage"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects: []rbacv1.Subject{
			{Kind: rbacv1.ServiceAccountKind, Namespace: installation.Namespace, Name: "configpin-webhook"},
			{Kind: rbacv1.ServiceAccountKind, Namespace: installation.Namespace, Name: "configpin-versioner"},
		},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
}

// policy is what this is about.
const policy = "configpin-ourselves"

// takeAway leaves a policy without its binding.
func (l *lab) takeAway(t *testing.T, policy string) {
	t.Helper()
	require.NoError(t, l.api.AdmissionregistrationV1().ValidatingAdmissionPolicyBindings().Delete(t.Context(), policy, metav1.DeleteOptions{}))
}

// awaitPolicy waits until the API server knows whether the policy applies.
func (l *lab) awaitPolicy(t *testing.T, applies bool) {
	t.Helper()
	require.Eventually(t, func() bool {
		_, err := l.asVersioner.CoreV1().Namespaces().Create(t.Context(), namespace("asked"), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return applies == (err != nil && strings.Contains(err.Error(), policy))
	}, time.Minute, 50*time.Millisecond)
}

// answer is what the API server noted of a request.
type answer struct {
	Verb           string
	User           struct{ Username string }
	ObjectRef      struct{ Namespace, Resource, Subresource string }
	ResponseStatus struct {
		Code    int
		Message string
	}
}

func (a answer) refused() bool {
	return a.ResponseStatus.Code == 403 &&
		strings.Contains(a.ResponseStatus.Message, denied)
}

const denied = "ValidatingAdmissionPolicy '" + policy + "' with binding '" + policy + "' denied request: "

// news are what was answered to our programs about the namespace since the last
// look.
func (s *stage) news(t *testing.T) []answer {
	t.Helper()
	log, err := os.Open(s.auditLog)
	require.NoError(t, err)
	defer log.Close()
	_, err = log.Seek(s.read, io.SeekStart)
	require.NoError(t, err)
	var found []answer
	lines := bufio.NewReaderSize(log, 1<<20)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return found // the API server is writing the rest
		}
		s.read += int64(len(line))
		if !bytes.Contains(line, []byte(s.name)) {
			continue
		}
		var a answer
		require.NoError(t, json.Unmarshal(line, &a))
		if strings.HasPrefix(a.User.Username, "system:serviceaccount:"+installation.Namespace+":") && a.ObjectRef.Namespace == s.name {
			found = append(found, a)
		}
	}
}
