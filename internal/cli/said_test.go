package cli

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/rest"

	"github.com/configpin/configpin/internal/cluster"
	"github.com/configpin/configpin/internal/cluster/ask"
	"github.com/configpin/configpin/internal/inspect"
	"github.com/configpin/configpin/internal/pin"
	"github.com/configpin/configpin/internal/refs"
	"github.com/configpin/configpin/internal/snapshot"
	"github.com/configpin/configpin/internal/wellknown"
	"github.com/configpin/configpin/internal/workload"
)

// What a person sees seldom is said here, word for word: a transcript would have to wait
// for it, or to break what others look at.

// offline is a session of somebody who says something, and what it prints.
func offline(says string) (s *session, out, complaints *bytes.Buffer) {
	streams, in, out, complaints := genericiooptions.NewTestIOStreams()
	in.WriteString(says)
	return &session{
		program: &program{IOStreams: streams, home: home},
		config:  &rest.Config{Host: "https://example.com"},
		noted:   map[string]bool{},
	}, out, complaints
}

var appSource = refs.Target{Kind: wellknown.ConfigMap, Name: "app"}

func TestCertificatesThatAreNoGood(t *testing.T) {
	t.Parallel()
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	s, _, _ := offline("")
	for name, row := range map[string]struct {
		look func(*checkup)
		want finding
	}{
		"it is no base64": {
			func(c *checkup) { c.authority("!") },
			finding{"certificate authority", problem, "it can't be read", "see the caBundle of zz-configpin"},
		},
		"it holds no certificate": {
			func(c *checkup) { c.authority(base64.StdEncoding.EncodeToString([]byte("none"))) },
			finding{
				"certificate authority", problem, "it can't be read",
				"see who is to renew it: kubectl describe certificate -n configpin-system, or the logs of the versioner",
			},
		},
		"it is over": {
			func(c *checkup) { c.expires("it", now, "do this", 7) },
			finding{"it", problem, "it expired 2030-01-01T00:00:00Z", "do this"},
		},
		"it is nearly over": {
			func(c *checkup) { c.expires("it", now.Add(7*24*time.Hour-time.Second), "do this", 7) },
			finding{"it", problem, "it expires in 6 days", "do this"},
		},
		"it is good for long enough": {
			func(c *checkup) { c.expires("it", now.Add(7*24*time.Hour), "do this", 7) },
			finding{"it", fine, "good for 7 days", ""},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := &checkup{session: s, now: now}
			row.look(c)
			assert.Equal(t, []finding{row.want}, c.findings)
		})
	}
}

func TestManyRightsAreMissing(t *testing.T) {
	t.Parallel()
	var missing []right
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g"} {
		missing = append(missing, right{program: webhook, resource: name, verb: "get"})
	}
	said := refusals(missing)
	assert.True(t, strings.HasSuffix(said, "the webhook may not get e in all namespaces; and 2 more"), said)
}

func TestWhatCannotGoBack(t *testing.T) {
	t.Parallel()
	_, err := parseGoal([]string{"app"})
	require.EqualError(t, err, `--to is "app", not of the form configmap/NAME=REVISION`)
	_, err = parseGoal([]string{"configmap/app=live"})
	require.EqualError(t, err, "what configmap/app holds now is no older content: see kubectl configpin resume --help")
	_, err = parseGoal([]string{"configmap/app=1", "configmap/app=2"})
	require.EqualError(t, err, "--to is given 2 times: take one source back, and then the next")
	_, err = choose([]inspect.Ref{{Source: "configmap/app", State: inspect.Unpinned}}, "deployment/web", goal{})
	require.EqualError(t, err, "deployment/web is pinned to nothing: see kubectl configpin status deployment/web")
}

func TestRevisionsThatNobodyNumbered(t *testing.T) {
	t.Parallel()
	revisions := []inspect.Revision{{Snapshot: "app-1"}, {}}
	_, err := find(revisions, appSource, "3")
	require.EqualError(t, err, `configmap/app has no revision "3": it has none with a number (kubectl configpin history configmap/app)`)

	var out bytes.Buffer
	source := cluster.Key{Namespace: "shop", Target: appSource}
	require.NoError(t, (&output{format: formatWide}).print(&out, historyAnswer(source, revisions, time.Time{})))
	header, rows, _ := strings.Cut(out.String(), "\n")
	assert.Equal(t, []string{"REVISION", "SNAPSHOT", "AGE", "CURRENT", "USED BY", "CHANGED", "CHANGE-CAUSE", "BYTES", "UNUSED SINCE", "DIGEST"}, columns(header))
	assert.Contains(t, rows, "<not kept yet>")
	assert.Equal(t, "configmap/app\n└── - <not kept yet>\n", treeReport{Source: "configmap/app", Snapshots: []snapshotTree{{}}}.draw(time.Time{}))
}

// columns are the words of a header that are two spaces apart.
func columns(header string) []string {
	var words []string
	for word := range strings.SplitSeq(header, "  ") {
		if word = strings.TrimSpace(word); word != "" {
			words = append(words, word)
		}
	}
	return words
}

func TestStatusInWords(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "No workload that you may list is opted in.", summary{Unlisted: []string{"jobs.batch"}}.String())
	since := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	assert.Equal(t, "Held since 2030-01-01T00:00Z", state(inspect.Ref{State: inspect.Held, HeldSince: since}))
	assert.Equal(t, "Held", state(inspect.Ref{State: inspect.Held}), "no Event tells of it any more")
	var out bytes.Buffer
	require.NoError(t, (&output{format: formatWide}).print(&out, statusAnswer(statusReport{Workloads: []workloadStatus{{of: cluster.Workload{Kind: workload.Lookup("apps", "Deployment")}}}}, true)))
	header, _, _ := strings.Cut(out.String(), "\n")
	assert.Equal(t, []string{"NAMESPACE", "WORKLOAD", "SOURCE", "PINNED", "LIVE", "STATE", "PINNED TO", "LIVE IS"}, columns(header))
}

func TestRefusalIsExplained(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	teller{out: &out}.prospect("Deployment", inspect.Prospect{Denied: "because"})
	assert.Equal(t, "  it is refused: because\n", out.String())
}

func TestEmptyValuesAreShown(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "+(empty)\n", contrast{}.text(inspect.Change{To: []byte{}}))
	assert.Equal(t, "-(empty)\n", contrast{}.text(inspect.Change{From: []byte{}}))
}

func TestRestoringWhatCannotBe(t *testing.T) {
	t.Parallel()
	s, _, _ := offline("")
	source := cluster.Key{Namespace: "shop", Target: refs.Target{Kind: wellknown.Secret, Name: "db"}}
	to := edition{snapshot.Object{Type: "Opaque"}, source.Target, "revision 1"}
	err := s.restore(t.Context(), source, snapshot.Object{Type: "Opaque", Immutable: true}, to, dryRunNone, true)
	require.EqualError(t, err, "secret/db is immutable: it can't hold anything else")
	err = s.restore(t.Context(), source, snapshot.Object{Type: "kubernetes.io/tls"}, to, dryRunNone, true)
	require.EqualError(t, err, "secret/db is of the type kubernetes.io/tls, and was of the type Opaque in revision 1: a Secret can't become another type")
}

func TestWhoWritesSourcesBack(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]string{
		"argocd.argoproj.io/tracking-id":     "Argo CD",
		"kustomize.toolkit.fluxcd.io/name":   "Flux",
		"helm.toolkit.fluxcd.io/name":        "Flux",
		"meta.helm.sh/release-name":          "helm",
		"app.kubernetes.io/managed-by-no-op": "",
	} {
		assert.Equal(t, want, managedBy(snapshot.Object{Annotations: map[string]string{key: "x"}}), key)
		assert.Equal(t, want, managedBy(snapshot.Object{Labels: map[string]string{key: "x"}}), key)
	}
}

func TestGoingThroughMany(t *testing.T) {
	t.Parallel()
	var all []cluster.Workload
	for range 12 {
		all = append(all, cluster.Workload{Kind: workload.Lookup("apps", "Deployment"), Namespace: "shop", Name: "web"})
	}
	s, out, complaints := offline("no\n")
	never := func(context.Context, *ask.Patches, cluster.Workload, dryRun) (step, error) {
		panic("nobody said yes")
	}
	err := s.goThrough(t.Context(), all, "shop", pace{dry: dryRunNone, every: time.Second}, "pin", never)
	require.EqualError(t, err, "nothing was changed")
	assert.Equal(t, "Pin 12 workloads of namespace shop, on https://example.com? Those that change roll out, one every 1s at most. [y/N] ", complaints.String())
	assert.Empty(t, out.String())

	s, out, _ = offline("y\n")
	gone := func(context.Context, *ask.Patches, cluster.Workload, dryRun) (step, error) {
		return step{}, apierrors.NewNotFound(schema.GroupResource{}, "web")
	}
	require.NoError(t, s.goThrough(t.Context(), all[:2], "shop", pace{dry: dryRunNone}, "pin", gone))
	assert.Equal(t, "[1/2] shop/deployment/web: gone\n[2/2] shop/deployment/web: gone\n0 of 2 workloads are rolling out.\n", out.String())

	failing := func(context.Context, *ask.Patches, cluster.Workload, dryRun) (step, error) {
		return step{}, errors.New("away")
	}
	err = s.goThrough(t.Context(), all, "shop", pace{dry: dryRunNone, yes: true}, "pin", failing)
	require.EqualError(t, err, "5 workloads in a row failed; 0 of 12 are done")

	require.EqualError(t, left([]string{"jobs.batch"}), "you may not list jobs.batch: what is there is left as it was")
	assert.Equal(t, "its labels are put right", sentence(pin.Decision{}))
}

// Templates may name anything, and that is printed whoever asks for what.
func TestWhatIsSaidIsClean(t *testing.T) {
	t.Parallel()
	evil := cluster.Key{Namespace: "shop", Target: refs.Target{Kind: wellknown.ConfigMap, Name: "a\x1b[2Jb\u202e"}}
	s, out, complaints := offline("")
	require.NoError(t, s.writeSource(t.Context(), evil, dryRunClient, true, "", evil.Target.String(), nil))
	require.NoError(t, lines(out, []string{evil.Target.String()}))
	contrast{out: out}.print(edition{source: evil.Target}, edition{snapshot.Object{Data: map[string]string{"k": ""}}, evil.Target, "now"})
	require.ErrorIs(t, s.confirm(t.Context(), false, evil.Target.String()), errNotConfirmed)
	all := []cluster.Workload{{Kind: workload.Lookup("apps", "Deployment"), Namespace: "shop", Name: evil.Name}}
	for _, err := range []error{nil, apierrors.NewNotFound(schema.GroupResource{}, ""), errors.New(evil.Name)} {
		_ = s.goThrough(t.Context(), all, "shop", pace{dry: dryRunNone}, "pin", func(context.Context, *ask.Patches, cluster.Workload, dryRun) (step, error) {
			return step{said: evil.Name}, err
		})
	}
	for _, text := range []string{out.String(), complaints.String()} {
		assert.Contains(t, text, "a<U+001B>[2Jb<U+202E>")
		assert.False(t, strings.ContainsFunc(text, overlooked), "%q", text)
	}
}
